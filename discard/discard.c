/*
 * discard.c - discard(8): delivery agent that reports success and throws mail away.
 * Input: delivery requests from qmgr(8). Never reads content; needs no privilege, no network.
 *
 * SPDX-License-Identifier: ISC
 */
#include "mail/delivery.h"
#include "service/service.h"

static void
deliver(struct delivery *d)
{
	const struct dsn ok = { 2, 0, 0 };
	struct dsn_text text = dsn_split(d->nexthop, ok);

	service_progress();
	if (text.code.class != 2)
		text.code = ok;
	for (size_t i = 0; i < d->nrcpt; i++)
		delivery_sent(d, &d->rcpt[i], "none", &text);
}

static void
serve(struct session *s)
{
	delivery_loop(s->peer, s->mem, deliver);
}

static const struct service discard = { .name = "discard", .kind = SERVICE_SINGLE, .serve = serve };

int
main(int argc, char **argv)
{
	return service_main(&discard, argc, argv);
}
