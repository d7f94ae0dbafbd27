/*
 * bounce_client.c - clients of bounce(8).
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>

#include "base/log.h"
#include "conf/conf.h"
#include "mail/bounce_client.h"

static struct ipc_client clients[3];
static char paths[3][128];

static struct ipc_client *
client(enum bounce_log which)
{
	const char *names[] = { conf.bounce_service_name, conf.defer_service_name, conf.trace_service_name };
	struct ipc_client *c = &clients[which];

	if (c->path == NULL) {
		(void)snprintf(paths[which], sizeof paths[which], "private/%s", names[which]);
		c->path = paths[which];
	}
	return c;
}

void
dsn_to_report(const struct dsn_text *d, const char *action, struct ipc_dsn_report *out, struct arena *mem)
{
	*out = (struct ipc_dsn_report){ .reason = d->reason, .diag_type = d->diag_type, .diag_text = d->diag_text,
	    .mta_type = d->mta_type, .mta_name = d->mta_name };
	out->status = span_str(dsn_str(d->code, mem));
	out->action = span_str(d->action != NULL ? d->action : action);
}

void
dsn_from_report(const struct ipc_dsn_report *r, struct dsn_text *out)
{
	struct span status = r->status;

	*out = (struct dsn_text){ .code = { 4, 0, 0 }, .reason = r->reason, .diag_type = r->diag_type,
	    .diag_text = r->diag_text, .mta_type = r->mta_type, .mta_name = r->mta_name };
	(void)dsn_take(&status, &out->code);
}

static bool
call(enum bounce_log which, enum ipc_kind kind, const void *msg, struct span queue_id, struct arena *mem)
{
	struct ipc_status answer = {0};
	static const char *names[] = { "bounce", "defer", "trace" };

	if (ipc_call(client(which), kind, msg, IPC_status, mem, &answer) && answer.status == 0)
		return true;
	log_warning("%.*s: %s service failure", SPAN_ARG(queue_id), names[which]);
	return false;
}

bool
bounce_log_append(enum bounce_log which, struct span queue_id, const struct delivery_rcpt *r, const struct dsn_text *d,
    struct arena *mem)
{
	static const char *actions[] = { "failed", "delayed", "delivered" };
	struct ipc_delivery_rcpt rcpt = { .original = r->original, .address = r->address, .offset = r->offset,
	    .dsn_orcpt = r->dsn_orcpt, .notify = r->notify };
	struct ipc_dsn_report report;
	struct ipc_bounce_append m = { .queue_id = queue_id };

	dsn_to_report(d, actions[which], &report, mem);
	m.rcpt.p = &rcpt;
	m.rcpt.n = 1;
	m.report.p = &report;
	m.report.n = 1;
	return call(which, IPC_bounce_append, &m, queue_id, mem);
}

bool
bounce_log_send(enum bounce_log which, unsigned request, const struct bounce_message *b, struct arena *mem)
{
	struct ipc_bounce_send m = { .request = request, .queue_name = b->queue_name, .queue_id = b->queue_id,
	    .encoding = b->encoding, .sendopts = b->sendopts, .sender = b->sender, .envelope_id = b->envelope_id,
	    .ret_flags = b->ret_flags, .verp = b->verp };

	return call(which, IPC_bounce_send, &m, b->queue_id, mem);
}
