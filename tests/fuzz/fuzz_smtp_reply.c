/*
 * fuzz_smtp_reply.c - replies of a hostile server: memory stays bounded, codes stay in range.
 *
 * SPDX-License-Identifier: ISC
 */
#include <assert.h>
#include <stdint.h>

#include "smtp/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smtp_reply r = {0};
	struct span in = span((const char *)data, size), line;

	while (span_take_line(&in, &line)) {
		enum smtp_reply_state state = smtp_reply_line(&r, line);

		assert(r.text.n <= SMTP_REPLY_TEXT_MAX && r.lines <= SMTP_REPLY_LINES_MAX);
		if (state == SMTP_REPLY_MORE)
			continue;
		assert(state == SMTP_REPLY_ENDLESS || (r.code >= 100 && r.code <= 999));
		smtp_reply_reset(&r);
	}
	smtp_reply_free(&r);
	return 0;
}
