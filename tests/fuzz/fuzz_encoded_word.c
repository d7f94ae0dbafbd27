/*
 * fuzz_encoded_word.c - encoded words of any text, for a charset whose length is the first byte: each fits its line, all are ASCII.
 *
 * SPDX-License-Identifier: ISC
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "smtp/encoded_word.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span((const char *)data, size), charset, lines, line;
	struct buf out = {0};

	if (size < 1)
		return 0;
	charset = span_to(span_from(in, 1), data[0]);
	in = span_from(in, 1u + data[0]);
	if (encoded_words(in, charset, &out)) {
		for (lines = buf_view(&out); span_take_line(&lines, &line);)
			assert(line.n <= 76 && span_is_ascii(line) && (in.n == 0 || line.n > charset.n + 7));
	} else {
		assert(out.n == 0);
	}
	buf_free(&out);
	return 0;
}
