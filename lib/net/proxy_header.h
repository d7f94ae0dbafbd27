/*
 * proxy_header.h - the header of a load balancer in front of a connection (HAProxy's PROXY protocol, versions 1 and 2).
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef NET_PROXY_HEADER_H
#define NET_PROXY_HEADER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"
#include "io/sock.h"

enum { PROXY_HEADER_MAX = 536 };	/* bytes; a longer header is bad */

struct proxy_header {
	size_t length;			/* bytes to consume */
	bool local;			/* the balancer speaks for itself: the connection's own addresses count */
	struct sock_addr client, server;
	const char *error;		/* what is wrong or missing */
};

enum proxy_header_status {
	PROXY_HEADER_OK,
	PROXY_HEADER_MORE,		/* so far so good; error says what it is if no more comes */
	PROXY_HEADER_BAD,
};

/* Read the header at the start of in. ipv4, ipv6: families that may occur. Never reads behind in; keeps no pointer. */
enum proxy_header_status proxy_header_parse(struct span in, bool ipv4, bool ipv6, struct proxy_header *out);

#endif
