/*
 * verp.c - variable envelope return paths.
 *
 * SPDX-License-Identifier: ISC
 */
#include "mail/verp.h"
#include "smtp/address.h"

struct span
verp_sender(struct span delimiters, struct span sender, struct span recipient, struct arena *mem)
{
	struct span local, domain, to_local, to_domain;

	if (delimiters.n != 2)
		return sender;
	(void)address_split(sender, &local, &domain);
	(void)address_split(recipient, &to_local, &to_domain);
	return span_str(arena_printf(mem, "%.*s%c%.*s%c%.*s%s%.*s", SPAN_ARG(local), delimiters.p[0], SPAN_ARG(to_local),
	    delimiters.p[1], SPAN_ARG(to_domain), domain.n > 0 ? "@" : "", SPAN_ARG(domain)));
}
