/*
 * error.c - error(8), also retry: bounces or defers all recipients with the text that stands in the next hop.
 * Which of the two is decided by the service's name (retry_... defers), as master.cf gives it.
 * Input: delivery requests from qmgr(8). Never reads content; needs no privilege, no network.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "mail/delivery.h"
#include "service/service.h"

static void
deliver(struct delivery *d)
{
	bool bounce = strcmp(service_env.name, "retry") != 0;
	const struct dsn fallback = { bounce ? 5 : 4, 0, 0 };
	struct dsn_text text = dsn_split(d->nexthop, fallback);

	service_progress();
	if (text.code.class != fallback.class)
		text.code.class = fallback.class;
	for (size_t i = 0; i < d->nrcpt; i++)
		delivery_report(d, &d->rcpt[i], "none", &text);
}

static void
serve(struct session *s)
{
	delivery_loop(s->peer, s->mem, deliver);
}

static const struct service error_service = { .name = "error", .kind = SERVICE_SINGLE, .serve = serve };

int
main(int argc, char **argv)
{
	return service_main(&error_service, argc, argv);
}
