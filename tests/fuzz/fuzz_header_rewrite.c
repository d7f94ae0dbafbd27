/*
 * fuzz_header_rewrite.c - addresses of a hostile header replaced: the header that is printed is one header, whatever stood there.
 *
 * SPDX-License-Identifier: ISC
 */
#include <assert.h>
#include <stdint.h>

#include "smtp/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *mem = arena_new();
	struct span in = span((const char *)data, size);
	struct buf out = {0};

	for (int round = 0; round < 2; round++) {
		struct address_list list = address_list_parse(in, 1000, mem);

		for (size_t i = 0; i < list.n; i++)
			if (list.p[i].kind == ADDRESS_MAILBOX && list.p[i].address.n > 0 && (i & 1) == 0)
				list.p[i].address = SPAN("rewritten@example.test");
		buf_reset(&out);
		buf_str(&out, "To:");
		address_list_print(&list, &out);
		/* A line break is always that of folding. */
		for (size_t i = 0; i < out.n; i++)
			assert(out.p[i] != '\n' || (i + 1 < out.n && out.p[i + 1] == '\t'));
		in = span_copy(span_from(buf_view(&out), 3), mem);
	}
	buf_free(&out);
	arena_free(&mem);
	return 0;
}
