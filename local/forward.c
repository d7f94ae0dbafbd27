/*
 * forward.c - addresses that leave this host become a new message; Delivered-To: headers stop loops.
 *
 * SPDX-License-Identifier: ISC
 */
#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "local/local.h"
#include "mail/cleanup_client.h"
#include "mail/rec.h"
#include "smtp/address.h"

#define LOOP_HEADERS_MAX	1000	/* Delivered-To: headers looked at */

bool
forwarding_loop(const struct attempt *a, struct span address)
{
	struct rec_reader reader;
	struct rec r;
	int seen = 0;
	bool loop = false;

	rec_reader_init(&reader, a->d->fd, a->d->data_offset);
	while (!loop && seen < LOOP_HEADERS_MAX && rec_next(&reader, &r, NULL) && r.type == REC_NORM && r.payload.n > 0) {
		struct span value = r.payload;

		if (!span_itake(&value, SPAN("Delivered-To:")))
			continue;
		seen++;
		loop = span_ieq(address_unquote(span_trim(value), a->d->mem), address);
	}
	rec_reader_free(&reader);
	return loop;
}

static bool
copy_content(const struct attempt *a, struct cleanup_client *c)
{
	struct rec_reader reader;
	struct rec r;
	struct err e = {0};
	bool ok = true;

	rec_reader_init(&reader, a->d->fd, a->d->data_offset);
	while (ok && (ok = rec_next(&reader, &r, &e)) && (r.type == REC_NORM || r.type == REC_CONT))
		ok = cleanup_text(c, r.payload) && (r.type == REC_CONT || cleanup_text(c, SPAN("\n")));
	rec_reader_free(&reader);
	return ok && r.type == REC_EXTRACT;
}

static void
put_envelope(const struct attempt *a, struct cleanup_client *c)
{
	const struct delivery *d = a->d;

	cleanup_attr(c, "log_ident", d->log_ident.n > 0 ? d->log_ident : d->queue_id);
	cleanup_attr(c, "rewrite_context", SPAN("local"));
	cleanup_attr(c, "envelope_id", d->envelope_id);
	cleanup_rec(c, REC_FROM, a->sender);
	cleanup_attr(c, "encoding", d->encoding);
	cleanup_attr(c, "log_client_name", d->client_name);
	cleanup_attr(c, "log_client_address", d->client_addr);
	cleanup_attr(c, "log_client_port", d->client_port);
	cleanup_attr(c, "log_helo_name", d->client_helo);
	cleanup_attr(c, "log_protocol_name", d->client_proto);
	for (size_t i = 0; i < a->forward.n; i++) {
		if (a->top->notify != 0)
			cleanup_attr(c, "notify_flags", span_str(arena_printf(d->mem, "%u", a->top->notify)));
		cleanup_attr(c, "dsn_orig_rcpt", a->top->dsn_orcpt);
		cleanup_rec(c, REC_ORIG_RCPT, a->top->original.n > 0 ? a->top->original : a->top->address);
		cleanup_rec(c, REC_RCPT, *VEC_AT(&a->forward, struct span, i));
	}
}

static void
put_trace_headers(const struct attempt *a, struct cleanup_client *c)
{
	char date[64];

	clock_mail_date(clock_wall().tv_sec, date, sizeof date);
	(void)cleanup_text(c, span_str(arena_printf(a->d->mem, "Received: by %s (%s)\n\tid %s; %s\n", conf.myhostname,
	    conf.mail_name, cleanup_queue_id(c), date)));
	(void)cleanup_text(c, span_str(arena_printf(a->d->mem, "Delivered-To: %.*s\n",
	    SPAN_ARG(address_quote(a->top->address, a->d->mem)))));
}

void
forward_all(struct attempt *a)
{
	struct target t = { .a = a, .rcpt = *a->top };
	struct err e = {0};
	struct span reason;
	struct dsn_text result;
	struct cleanup_client *c = cleanup_start(CLEANUP_FLAG_INTERNAL, &e);

	t.rcpt.offset = 0;
	if (c == NULL) {
		result = dsn_printf(a->d->mem, (struct dsn){ 4, 3, 0 }, "unable to forward message: %s", e.text);
		report(&t, &result);
		return;
	}
	const char *id = arena_printf(a->d->mem, "%s", cleanup_queue_id(c));

	put_envelope(a, c);
	put_trace_headers(a, c);
	unsigned status = 0;

	if (!copy_content(a, c)) {
		cleanup_cancel(&c);
		status = CLEANUP_STAT_WRITE;
	} else {
		status = cleanup_finish(&c, a->d->mem, &reason);
	}
	if (status == 0)
		result = dsn_printf(a->d->mem, (struct dsn){ 2, 0, 0 }, "forwarded as %s", id);
	else
		result = dsn_printf(a->d->mem, (struct dsn){ 4, 3, 0 }, "unable to forward message: %s",
		    cleanup_verdict(status)->text);
	result.action = "relayed";
	report(&t, &result);
}
