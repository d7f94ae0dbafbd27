/*
 * showq_wish.c - names "posthaste-showq:wishes:pid:serial". Any name may come from a peer; unknown wishes are passed over.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>
#include <unistd.h>

#include "base/span.h"
#include "mail/showq_wish.h"

static const char prefix[] = "posthaste-showq:";

void
showq_wish_name(unsigned wishes, unsigned serial, char out[SOCK_NAME_MAX])
{
	(void)snprintf(out, SOCK_NAME_MAX, "%s%u:%ld:%u", prefix, wishes, (long)getpid(), serial);
}

unsigned
showq_wishes(int fd)
{
	char name[SOCK_NAME_MAX];
	struct span rest;
	uint64_t n;

	if (!sock_peer_name(fd, name))
		return 0;
	rest = span_str(name);
	if (!span_take(&rest, span_str(prefix)) || !span_take_u64(&rest, &n) || !span_take_byte(&rest, ':'))
		return 0;
	return (unsigned)n & (WISH_NEXT_ATTEMPT | WISH_TRANSPORT | WISH_SUSPENDED);
}
