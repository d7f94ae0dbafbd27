/*
 * route.h - which transport a recipient of a message goes to: as the queue manager decides it, and for those who want to
 * know before it does.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAIL_ROUTE_H
#define MAIL_ROUTE_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/span.h"

/* What of a message decides; addresses in internal form. */
struct routing {
	struct span sender, filter;	/* filter: of content_filter or FILTER, "transport:nexthop" */
	unsigned trace_flags;		/* DELIVERY_FLAG_*: probes pass no filter */
};

struct route {
	struct span transport, nexthop, recipient;
};

/*
 * Asks trivial-rewrite(8). Texts live in mem, as long as the parameters and conf. False: no transport delivers this; then
 * the transport is the error or the retry service and the next hop is its text.
 */
bool	route_recipient(const struct routing *, struct span recipient, struct arena *mem, struct route *out);

#endif
