/*
 * fuzz_smtp_address.c - addresses, header lists, paths, xtext: nothing is read outside, and quoting comes back.
 *
 * SPDX-License-Identifier: ISC
 */
#include <assert.h>
#include <stdint.h>

#include "smtp/address.h"
#include "smtp/command.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *mem = arena_new();
	struct span in = span((const char *)data, size), local, domain, text, host;
	struct address_list list = address_list_parse(in, 100, mem);
	struct smtp_path path;
	struct buf out = {0};

	address_list_print(&list, &out);
	buf_free(&out);
	(void)address_unquote(in, mem);
	(void)address_literal_take(in, &host);
	if (address_split(in, &local, &domain) && address_hostname_ok(domain) && local.n > 0)
		assert(span_eq(address_unquote(address_quote(in, mem), mem), in));
	if (smtp_path_parse(in, SMTP_PATH_NULL, mem, &path))
		(void)smtp_path_parse(path.external, SMTP_PATH_NULL, mem, &path);
	if (smtp_xtext_decode(in, mem, &text)) {
		struct span again = smtp_xtext_encode(text, mem), back;

		assert(smtp_xtext_decode(again, mem, &back) && span_eq(back, text));
	}
	arena_free(&mem);
	return 0;
}
