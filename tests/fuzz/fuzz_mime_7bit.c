/*
 * fuzz_mime_7bit.c - hostile messages to quoted-printable: lines stay short where they are encoded, and nothing is added to others.
 *
 * SPDX-License-Identifier: ISC
 */
#include <assert.h>
#include <stdint.h>

#include "conf/conf.h"
#include "mail/mime_7bit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span((const char *)data, size), line;
	struct mime_7bit c;
	struct buf out = {0};
	size_t lines = 0;

	conf.mime_nesting_limit = 5;
	conf.mime_boundary_length_limit = 30;
	mime_7bit_init(&c);
	while (span_take_until(&in, '\n', &line)) {
		size_t before = out.n;
		bool was_body = c.mime.state == MIME_BODY;

		mime_7bit_add(&c, span_to(line, line.n / 3), false, &out);
		mime_7bit_add(&c, span_from(line, line.n / 3), true, &out);
		lines++;
		assert(!was_body || out.n > before);
		if (!was_body || !c.quoting)
			continue;
		struct span added = span_from(buf_view(&out), before), piece;

		while (span_take_until(&added, '\n', &piece))
			assert(piece.n <= 76 && span_is_ascii(piece) && (piece.n == 0 || piece.p[piece.n - 1] != ' '));
	}
	mime_7bit_end(&c, &out);
	assert(out.n <= size * 4 + lines * 60 + 100);
	mime_7bit_free(&c);
	buf_free(&out);
	return 0;
}
