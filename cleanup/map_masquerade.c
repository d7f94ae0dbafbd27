/*
 * map_masquerade.c - masquerade_domains: hosts hide behind their domain. No tables, no I/O.
 *
 * SPDX-License-Identifier: ISC
 */
#include "cleanup/cleanup.h"
#include "smtp/address.h"

static bool
is_listed(struct span word, const char *list)
{
	struct span in = span_str(list), w;

	while (span_take_word(&in, ", \t\r\n", &w))
		if (span_ieq(w, word))
			return true;
	return false;
}

static bool
is_at_or_below(struct span domain, struct span parent)
{
	size_t n = domain.n - parent.n;

	if (domain.n < parent.n || !span_iends(domain, parent))
		return false;
	return n == 0 || domain.p[n - 1] == '.';
}

struct span
masquerade(struct span address, const char *domains, const char *exceptions, struct arena *mem)
{
	struct span local, domain, in = span_str(domains), word;

	if (!address_split(address, &local, &domain) || is_listed(local, exceptions))
		return address;
	while (span_take_word(&in, ", \t\r\n", &word)) {
		bool keep = span_take_byte(&word, '!');

		if (!is_at_or_below(domain, word))
			continue;
		if (keep || domain.n == word.n)
			return address;
		return span_str(arena_printf(mem, "%.*s@%.*s", SPAN_ARG(local), SPAN_ARG(word)));
	}
	return address;
}
