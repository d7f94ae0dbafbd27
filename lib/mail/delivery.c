/*
 * delivery.c - the agent's side of a delivery request. Trusts qmgr only as far as the request is well formed;
 * opens nothing but active/ID. Marks recipients done; never creates, renames or removes a queue file.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "io/file.h"
#include "mail/bounce_client.h"
#include "mail/delivery.h"
#include "mail/delivery_log.h"
#include "mail/queue.h"
#include "mail/rec.h"
#include "mail/verify_client.h"
#include "map/maps.h"

static struct timeval
from_us(int64_t us)
{
	return (struct timeval){ us / 1000000, us % 1000000 };
}

static void
copy_recipients(struct delivery *d, const struct ipc_delivery *m)
{
	d->nrcpt = m->rcpt.n;
	d->rcpt = ARENA_ARRAY(d->mem, struct delivery_rcpt, d->nrcpt);
	for (size_t i = 0; i < d->nrcpt; i++) {
		const struct ipc_delivery_rcpt *r = &m->rcpt.p[i];

		d->rcpt[i] = (struct delivery_rcpt){ .original = r->original, .address = r->address, .offset = r->offset,
		    .dsn_orcpt = r->dsn_orcpt, .notify = r->notify };
	}
}

static struct delivery *
from_message(const struct ipc_delivery *m, struct arena *mem)
{
	struct delivery *d = ARENA_NEW(mem, struct delivery);

	*d = (struct delivery){
		.mem = mem, .flags = m->flags, .sendopts = m->sendopts, .ret_flags = m->ret_flags,
		.queue_name = m->queue_name, .queue_id = m->queue_id, .nexthop = m->nexthop, .encoding = m->encoding,
		.sender = m->sender, .envelope_id = m->envelope_id, .client_name = m->client_name,
		.client_addr = m->client_addr, .client_port = m->client_port, .client_proto = m->client_proto,
		.client_helo = m->client_helo, .sasl_method = m->sasl_method, .sasl_username = m->sasl_username,
		.sasl_sender = m->sasl_sender, .log_ident = m->log_ident, .rewrite_context = m->rewrite_context,
		.data_offset = m->data_offset, .data_size = m->data_size, .arrival = from_us(m->arrival_us),
		.active = from_us(m->active_us), .fd = -1, .results = VEC_INIT(struct ipc_delivered_rcpt),
	};
	d->request = clock_wall();
	copy_recipients(d, m);
	return d;
}

static bool
open_queue_file(struct delivery *d)
{
	const char *queue = span_cstr(d->queue_name, d->mem);
	const char *id = span_cstr(d->queue_id, d->mem);

	if (!queue_id_valid(d->queue_id) || !queue_id_valid(d->queue_name)) {
		log_warning("delivery request with a bad queue file name; refused");
		return false;
	}
	d->fd = queue_open_moving(queue, id, O_RDWR);
	if (d->fd < 0) {
		if (errno != ENOENT)
			log_warning("open %s %s: %s", queue, id, strerror(errno));
		return false;
	}
	if (!file_lock(d->fd, FILE_LOCK_SHARED, false)) {
		log_warning("%s: cannot lock queue file: %s", id, strerror(errno));
		(void)close(d->fd);
		d->fd = -1;
		return false;
	}
	return true;
}

bool
delivery_greet(struct stream *qmgr)
{
	struct ipc_status hello = { .status = 0 };

	return ipc_send(qmgr, IPC_status, &hello);
}

struct delivery *
delivery_receive(struct stream *qmgr, struct arena *mem)
{
	for (;;) {
		struct ipc_delivery m;

		if (!ipc_expect(qmgr, IPC_delivery, IPC_MAX_BULK, mem, &m))
			return NULL;
		struct delivery *d = from_message(&m, mem);

		if (open_queue_file(d))
			return d;
		struct ipc_delivered failed = { .status = 1 };

		if (!ipc_send(qmgr, IPC_delivered, &failed))
			return NULL;
		arena_reset(mem);
	}
}

void
delivery_mark_done(struct delivery *d, struct delivery_rcpt *r)
{
	if ((d->flags & DELIVERY_FLAG_SUCCESS) && r->offset > 0 && !rec_mark(d->fd, r->offset, REC_DONE))
		log_warning("%.*s: cannot mark recipient done: %s", SPAN_ARG(d->queue_id), strerror(errno));
}

static bool
append(struct delivery *d, enum bounce_log which, const struct delivery_rcpt *r, const struct dsn_text *t)
{
	static const unsigned bits[] = { DELIVERY_LOG_BOUNCE, DELIVERY_LOG_DEFER, DELIVERY_LOG_TRACE };

	d->logs |= bits[which];
	return bounce_log_append(which, d->queue_id, r, t, d->mem);
}

/* For success reports: how it was delivered stands in front. */
static bool
append_trace(struct delivery *d, const struct delivery_rcpt *r, const char *relay, struct dsn_text t)
{
	if (strcmp(relay, "none") != 0)
		t.reason = span_str(arena_printf(d->mem, "delivery via %s: %.*s", relay, SPAN_ARG(t.reason)));
	return append(d, BOUNCE_LOG_TRACE, r, &t);
}

/* sendmail -bv and -v want to know of every outcome. */
static void
append_verdict(struct delivery *d, const struct delivery_rcpt *r, const char *relay, struct dsn_text t, const char *action)
{
	t.action = action;
	if (!append_trace(d, r, relay, t))
		log_warning("%.*s: cannot record the delivery report", SPAN_ARG(d->queue_id));
}

static struct dsn_text
with_class(const struct dsn_text *t, unsigned class)
{
	struct dsn_text out = *t;

	if (out.code.class != class)
		out.code = (struct dsn){ class, 0, 0 };
	return out;
}

/* verify(8) waits for this; a probe is never tried again. */
static void
tell_verify(const struct delivery *d, const struct delivery_rcpt *r, enum verify_status status, const struct dsn_text *t)
{
	if ((d->flags & DELIVERY_FLAG_MTA_PROBE) != 0 &&
	    !verify_update(r->original.n > 0 ? r->original : r->address, status, t->reason))
		log_warning("%.*s: verify service failure", SPAN_ARG(d->queue_id));
}

static struct maps *status_filter;

void
delivery_filter_init(const char *name, const char *value)
{
	status_filter = maps_open(name, value, 0);
}

/* What the administrator makes of code and text; success stays success, and failure failure. */
static struct dsn_text
filtered(struct delivery *d, const struct dsn_text *text, unsigned class)
{
	struct dsn_text t = with_class(text, class), out = t;
	struct span value, rest;
	struct dsn code;

	if (status_filter == NULL || maps_count(status_filter) == 0)
		return t;
	struct span key = span_str(arena_printf(d->mem, "%s %.*s", dsn_str(t.code, d->mem), SPAN_ARG(t.reason)));

	if (maps_get(status_filter, key, 0, d->mem, &value, NULL) != MAP_FOUND)
		return t;
	rest = value;
	if (!dsn_take(&rest, &code) || (code.class == 2) != (class == 2)) {
		log_warning("%s: bad status code: %.*s", maps_title(status_filter), SPAN_ARG(value));
		return t;
	}
	while (rest.n > 0 && ascii_space(rest.p[0]))
		rest = span_from(rest, 1);
	if (rest.n == 0)
		return t;
	out.code = code;
	out.reason = rest;
	return out;
}

static void
defer_it(struct delivery *d, struct delivery_rcpt *r, const char *relay, const struct dsn_text *text)
{
	struct dsn_text t = with_class(text, 4);

	r->done = true;
	if (d->flags & DELIVERY_FLAG_USER_PROBE)
		append_verdict(d, r, relay, t, "undeliverable");
	if (d->flags & DELIVERY_FLAG_PROBE) {
		tell_verify(d, r, VERIFY_DEFERRED, &t);
		delivery_log(d, r, relay, &t, "undeliverable");
		delivery_mark_done(d, r);
		return;
	}
	d->any_deferred = true;
	if (d->flags & DELIVERY_FLAG_RECORD)
		append_verdict(d, r, relay, t, "delayed");
	(void)append(d, BOUNCE_LOG_DEFER, r, &t);
	delivery_log(d, r, relay, &t, "deferred");
}

/* The sender was told of a delay and would like to hear that it has come to its end. */
static bool
delay_is_over(const struct delivery *d, const struct delivery_rcpt *r)
{
	return (d->flags & DELIVERY_FLAG_REC_DELAY) != 0 && (r->notify == 0 || (r->notify & DSN_NOTIFY_DELAY) != 0);
}

void
delivery_sent(struct delivery *d, struct delivery_rcpt *r, const char *relay, const struct dsn_text *text)
{
	struct dsn_text t = filtered(d, text, 2);
	const bool asked = ((r->notify & DSN_NOTIFY_SUCCESS) != 0 && !d->dsn_passed_on) || delay_is_over(d, r);

	if (d->flags & DELIVERY_FLAG_USER_PROBE) {
		append_verdict(d, r, relay, t, "deliverable");
	} else if ((asked || (d->flags & DELIVERY_FLAG_RECORD) != 0) && !append_trace(d, r, relay, t)) {
		/* Delivered all the same: a second delivery would be worse than a lost success report. */
		log_warning("%.*s: cannot record the success report", SPAN_ARG(d->queue_id));
	}
	r->done = true;
	tell_verify(d, r, VERIFY_OK, &t);
	delivery_log(d, r, relay, &t, (d->flags & DELIVERY_FLAG_PROBE) ? "deliverable" : "sent");
	delivery_mark_done(d, r);
}

static void
bounce_it(struct delivery *d, struct delivery_rcpt *r, const char *relay, const struct dsn_text *text)
{
	struct dsn_text t = with_class(text, 5);

	if (d->flags & DELIVERY_FLAG_USER_PROBE)
		append_verdict(d, r, relay, t, "undeliverable");
	if (d->flags & DELIVERY_FLAG_PROBE) {
		r->done = true;
		tell_verify(d, r, VERIFY_UNDELIVERABLE, &t);
		delivery_log(d, r, relay, &t, "undeliverable");
		delivery_mark_done(d, r);
		return;
	}
	if (conf.soft_bounce) {
		t.code.class = 4;
		r->done = true;
		d->any_deferred = true;
		(void)append(d, BOUNCE_LOG_DEFER, r, &t);
		delivery_log(d, r, relay, &t, "SOFTBOUNCE");
		return;
	}
	if (d->flags & DELIVERY_FLAG_RECORD)
		append_verdict(d, r, relay, t, "failed");
	/* Whether the sender wants to know is bounce(8)'s business. */
	if (!append(d, BOUNCE_LOG_BOUNCE, r, &t)) {
		struct dsn_text later = dsn_printf(d->mem, (struct dsn){ 4, 3, 0 }, "bounce or trace service failure");

		defer_it(d, r, "none", &later);
		return;
	}
	r->done = true;
	delivery_log(d, r, relay, &t, "bounced");
	delivery_mark_done(d, r);
}

/* It was one or the other; the filter may have changed that. */
static void
failed(struct delivery *d, struct delivery_rcpt *r, const char *relay, const struct dsn_text *text, unsigned class)
{
	struct dsn_text t = filtered(d, text, class);

	if (t.code.class == 5)
		bounce_it(d, r, relay, &t);
	else
		defer_it(d, r, relay, &t);
}

void
delivery_deferred(struct delivery *d, struct delivery_rcpt *r, const char *relay, const struct dsn_text *text)
{
	failed(d, r, relay, text, 4);
}

void
delivery_bounced(struct delivery *d, struct delivery_rcpt *r, const char *relay, const struct dsn_text *text)
{
	failed(d, r, relay, text, 5);
}

void
delivery_report(struct delivery *d, struct delivery_rcpt *r, const char *relay, const struct dsn_text *t)
{
	if (t->code.class == 2)
		delivery_sent(d, r, relay, t);
	else if (t->code.class == 5)
		delivery_bounced(d, r, relay, t);
	else
		delivery_deferred(d, r, relay, t);
}

void
delivery_site_trouble(struct delivery *d, const struct dsn_text *t)
{
	d->site = *t;
	d->site_trouble = true;
}

bool
delivery_finish(struct stream *qmgr, struct delivery *d)
{
	struct ipc_dsn_report report;
	struct ipc_delivered m = { .site_trouble = d->site_trouble, .session_kept = d->session_kept, .logs = d->logs };

	for (size_t i = 0; i < d->nrcpt; i++)
		if (!d->rcpt[i].done)
			d->any_deferred = true;
	m.status = d->any_deferred ? 1 : 0;
	if (d->site_trouble) {
		dsn_to_report(&d->site, "delayed", &report, d->mem);
		m.report.p = &report;
		m.report.n = 1;
	}
	if (d->fd >= 0)
		(void)close(d->fd);
	d->fd = -1;
	m.result.p = d->results.p;
	m.result.n = d->results.n;
	bool ok = ipc_send(qmgr, IPC_delivered, &m);

	vec_free(&d->results);
	return ok;
}

void
delivery_loop(struct stream *qmgr, struct arena *mem, void (*deliver)(struct delivery *))
{
	struct delivery *d;

	if (!delivery_greet(qmgr))
		return;
	while ((d = delivery_receive(qmgr, mem)) != NULL) {
		deliver(d);
		if (!delivery_finish(qmgr, d))
			break;
		arena_reset(mem);
	}
}
