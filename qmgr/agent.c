/*
 * agent.c - connections to delivery agents. An agent says hello when a worker has accepted the connection; it then
 * gets one request after the other. A worker that still holds a session to a destination is preferred for it.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "io/sock.h"
#include "ipc/conn.h"
#include "mail/bounce_client.h"
#include "mail/verp.h"
#include "qmgr/qmgr.h"

#define BACK_TO_BACK_MS	1000

enum agent_state { AGENT_CONNECTING, AGENT_IDLE, AGENT_BUSY };

struct agent {
	struct conn *conn;
	struct transport *transport;
	enum agent_state state;
	struct entry *entry;		/* AGENT_BUSY */
	struct dest *dest;		/* of that entry */
	char *kept;			/* AGENT_IDLE: name of the destination its session goes to, or NULL */
	struct timer *idle_timer;
	struct agent *prev, *next;
};

static void
agent_free(struct agent *a)
{
	struct transport *t = a->transport;

	*(a->prev != NULL ? &a->prev->next : &t->agents) = a->next;
	if (a->next != NULL)
		a->next->prev = a->prev;
	if (a->state == AGENT_CONNECTING)
		t->pending--;
	loop_cancel(&a->idle_timer);
	conn_close(&a->conn);
	free(a->kept);
	free(a);
}

static void
idle_too_long(void *arg, unsigned events)
{
	struct agent *a = arg;

	(void)events;
	a->idle_timer = NULL;
	agent_free(a);
}

static void
become_idle(struct agent *a)
{
	a->state = AGENT_IDLE;
	a->entry = NULL;
	a->dest = NULL;
	a->idle_timer = loop_after(qmgr_loop, (int64_t)conf.ipc_idle * 1000, idle_too_long, a);
}

/* The delivery is over, as far as qmgr is told. */
static void
delivered(struct agent *a, const struct ipc_delivered *m)
{
	struct entry *e = a->entry;
	struct dest *d = a->dest;
	struct dsn_text why;

	e->msg->logs |= m->logs;
	outcome_take(e->msg, m);
	if (m->status != 0)
		e->msg->deferred = true;
	if (m->session_kept)
		a->kept = span_strdup(span_str(d->name));
	become_idle(a);
	if (m->site_trouble && m->report.n == 1) {
		dsn_from_report(&m->report.p[0], &why);
		dest_bad(d, &why);
	} else {
		dest_good(d);
	}
	dest_done(d, e);
	entry_done(e);
}

static bool
message(struct conn *c, enum ipc_kind kind, struct span payload)
{
	struct agent *a = conn_user(c);
	struct transport *t = a->transport;
	union {
		struct ipc_status hello;
		struct ipc_delivered done;
	} u;
	struct arena *mem = arena_new();
	bool ok = kind == (a->state == AGENT_CONNECTING ? IPC_status : IPC_delivered) && a->state != AGENT_IDLE &&
	    ipc_decode(payload, kind, &u, mem);

	if (ok && a->state == AGENT_CONNECTING) {
		t->pending--;
		become_idle(a);
	} else if (ok) {
		delivered(a, &u.done);
	}
	arena_free(&mem);
	if (ok)
		transport_schedule(t);
	return ok;
}

/* The worker has gone. What it was delivering stays undone: those recipients are tried again later. */
static void
closed(struct conn *c)
{
	struct agent *a = conn_user(c);
	struct transport *t = a->transport;
	struct entry *e = a->state == AGENT_BUSY ? a->entry : NULL;
	struct dest *d = a->dest;
	bool never_started = a->state == AGENT_CONNECTING;
	char why[256];

	a->conn = NULL;			/* the caller frees it */
	agent_free(a);
	(void)snprintf(why, sizeof why, "private/%s socket: %s", t->name, e != NULL ? "malformed response" : "premature disconnect");
	if (never_started) {
		transport_failed(t, why);
		return;
	}
	if (e == NULL)
		return;
	log_warning("%s", why);
	e->msg->deferred = true;
	e->msg->logs |= DELIVERY_LOG_BOUNCE | DELIVERY_LOG_TRACE;	/* nobody knows: look */
	dest_done(d, e);
	entry_done(e);
	transport_schedule(t);
}

static const struct conn_handler handler = { .message = message, .closed = closed };

void
agents_connect(struct transport *t, size_t want)
{
	char path[256];
	struct err err = {0};

	(void)snprintf(path, sizeof path, "private/%s", t->name);
	while (t->pending < want && t->pending < AGENTS_PENDING && !t->dead) {
		int fd = sock_connect_unix(path, conf.qmgr_ipc_timeout * 1000, &err);

		if (fd < 0) {
			char why[512];

			(void)snprintf(why, sizeof why, "connect to transport %s: %s", path, strerror(errno));
			transport_failed(t, why);
			return;
		}
		struct agent *a = calloc(1, sizeof *a);

		if (a == NULL)
			log_out_of_memory();
		a->transport = t;
		a->next = t->agents;
		if (t->agents != NULL)
			t->agents->prev = a;
		t->agents = a;
		t->pending++;
		a->conn = conn_new(qmgr_loop, fd, &handler, a);
	}
}

static struct agent *
choose(struct transport *t, const struct dest *d)
{
	struct agent *any = NULL;

	for (struct agent *a = t->agents; a != NULL; a = a->next) {
		if (a->state != AGENT_IDLE)
			continue;
		if (a->kept != NULL && strcmp(a->kept, d->name) == 0)
			return a;
		if (any == NULL || (any->kept != NULL && a->kept == NULL))
			any = a;
	}
	return any;
}

static int64_t
to_us(struct timeval tv)
{
	return (int64_t)tv.tv_sec * 1000000 + tv.tv_usec;
}

static unsigned
request_flags(const struct dest *d, const struct message *m)
{
	bool back_to_back = d->last_done != 0 && loop_now(qmgr_loop) - d->last_done <= BACK_TO_BACK_MS;
	unsigned flags = DELIVERY_FLAG_SUCCESS | m->trace_flags;

	if (outcome_wanted())
		flags |= DELIVERY_FLAG_RESULTS;
	if (back_to_back || d->busy > 1)
		flags |= DELIVERY_FLAG_CONN_LOAD | DELIVERY_FLAG_CONN_STORE;
	return flags;
}

static void
send_request(struct agent *a, struct dest *d, struct entry *e)
{
	struct message *m = e->msg;
	const struct recipient *first = &e->rcpt[0];
	struct ipc_delivery_rcpt *rcpt = calloc(e->nrcpt, sizeof *rcpt);
	struct ipc_delivery r = {
		.flags = request_flags(d, m), .queue_name = span_str(m->queue), .queue_id = span_str(m->id),
		.data_offset = m->data_offset, .data_size = m->cont_length, .nexthop = span_str(d->nexthop),
		.encoding = m->encoding, .sendopts = m->sendopts, .sender = m->sender, .envelope_id = m->envelope_id,
		.ret_flags = m->ret_flags, .arrival_us = to_us(m->arrival), .active_us = to_us(m->active),
		.request_us = to_us(clock_wall()), .client_name = m->client_name, .client_addr = m->client_addr,
		.client_port = m->client_port, .client_proto = m->client_proto, .client_helo = m->client_helo,
		.sasl_method = m->sasl_method, .sasl_username = m->sasl_username, .sasl_sender = m->sasl_sender,
		.log_ident = m->log_ident, .rewrite_context = m->rewrite_context,
	};

	if (rcpt == NULL)
		log_out_of_memory();
	if (m->verp.n > 0)
		r.sender = verp_sender(m->verp, m->sender, first->original.n > 0 ? first->original : first->address, e->batch->mem);
	for (size_t i = 0; i < e->nrcpt; i++) {
		const struct recipient *from = &e->rcpt[i];

		rcpt[i] = (struct ipc_delivery_rcpt){ .original = from->original, .address = from->address,
		    .offset = from->offset, .dsn_orcpt = from->dsn_orcpt, .notify = from->notify };
	}
	r.rcpt.p = rcpt;
	r.rcpt.n = e->nrcpt;
	conn_send(a->conn, IPC_delivery, &r);
	free(rcpt);
}

bool
agent_is_free(const struct transport *t)
{
	for (const struct agent *a = t->agents; a != NULL; a = a->next)
		if (a->state == AGENT_IDLE)
			return true;
	return false;
}

void
agent_deliver(struct transport *t, struct entry *e)
{
	struct agent *a = choose(t, e->dest);

	loop_cancel(&a->idle_timer);
	free(a->kept);
	a->kept = NULL;
	a->state = AGENT_BUSY;
	a->entry = e;
	a->dest = e->dest;
	send_request(a, e->dest, e);
}
