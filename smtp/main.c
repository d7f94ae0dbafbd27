/*
 * main.c - SMTP and LMTP client: delivers requests of qmgr(8), one at a time. A session with a server may be kept
 * for the next request. Reads queue files and marks recipients done; never creates, renames or removes one.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "mail/dns_filter.h"
#include "service/service.h"
#include "smtp/content.h"
#include "smtp/smtp.h"

bool smtp_is_lmtp;

/* Wait for the next request; meanwhile a kept session grows old. False: the host retires and nothing has come. */
static bool
wait_request(struct stream *qmgr)
{
	if (!smtp_has_session())
		return true;
	if (service_wait_request(qmgr, conf.smtp_connection_cache_time_limit * 1000))
		return true;
	smtp_idle();
	return true;
}

static void
smtp_serve(struct session *s)
{
	struct delivery *d;

	if (!delivery_greet(s->peer))
		return;
	while (wait_request(s->peer) && (d = delivery_receive(s->peer, s->mem)) != NULL) {
		smtp_deliver(d);
		if (!delivery_finish(s->peer, d))
			break;
		arena_reset(s->mem);
	}
	smtp_idle();
}

static void
smtp_init(void)
{
	smtp_is_lmtp = strcmp(service_env.program, "lmtp") == 0;
	if (smtp_is_lmtp)
		conf_use_lmtp();
	smtp_generic_init();
	smtp_checks_init();
	smtp_features_init();
	delivery_filter_init(smtp_is_lmtp ? "lmtp_delivery_status_filter" : "smtp_delivery_status_filter", conf.smtp_delivery_status_filter);
	smtp_session_init();
	dns_prepare();
	dns_filter_open(smtp_is_lmtp ? "lmtp_dns_reply_filter" : "smtp_dns_reply_filter", conf.smtp_dns_reply_filter);
}

static const struct service smtp_service = {
	.name = "smtp", .kind = SERVICE_SINGLE, .init = smtp_init, .tables_changed = maps_restart_wanted, .serve = smtp_serve,
};

int
main(int argc, char **argv)
{
	return service_main(&smtp_service, argc, argv);
}
