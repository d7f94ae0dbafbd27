/*
 * report.c - asks bounce, defer and trace to make their reports, without waiting: one connection a service, requests in
 * order, answers in order.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "conf/conf.h"
#include "io/sock.h"
#include "ipc/conn.h"
#include "qmgr/qmgr.h"

struct waiting {
	void (*done)(struct message *, bool ok);
	struct message *msg;
	struct waiting *next;
};

static struct client {
	struct conn *conn;
	struct waiting *first, **last;
} clients[3];

static const char *const words[] = { "bounce", "defer", "trace" };

static const char *
service_name(enum report_service which)
{
	const char *names[] = { conf.bounce_service_name, conf.defer_service_name, conf.trace_service_name };

	return names[which];
}

static void
answer_first(struct client *c, bool ok)
{
	struct waiting *w = c->first;

	c->first = w->next;
	if (c->first == NULL)
		c->last = &c->first;
	if (!ok)
		log_warning("%s: %s service failure", w->msg->id, words[c - clients]);
	w->done(w->msg, ok);
	free(w);
}

static bool
message(struct conn *conn, enum ipc_kind kind, struct span payload)
{
	struct client *c = conn_user(conn);
	struct ipc_status m;
	struct arena *mem = arena_new();
	bool ok = kind == IPC_status && c->first != NULL && ipc_decode(payload, kind, &m, mem);

	if (ok)
		answer_first(c, m.status == 0);
	arena_free(&mem);
	return ok;
}

static void
closed(struct conn *conn)
{
	struct client *c = conn_user(conn);
	size_t lost = 0;

	c->conn = NULL;
	/* Only those that were waiting now: an answer may make a new request on a new connection. */
	for (struct waiting *w = c->first; w != NULL; w = w->next)
		lost++;
	while (lost-- > 0)
		answer_first(c, false);
}

static const struct conn_handler handler = { .message = message, .closed = closed };

static bool
connected(struct client *c, enum report_service which)
{
	char path[256];
	struct err e = {0};

	if (c->conn != NULL)
		return true;
	(void)snprintf(path, sizeof path, "private/%s", service_name(which));
	int fd = sock_connect_unix(path, 0, &e);

	if (fd < 0) {
		log_warning("%s", e.text);
		return false;
	}
	c->conn = conn_new(qmgr_loop, fd, &handler, c);
	return true;
}

void
report_send(enum report_service which, unsigned request, const struct message *m,
    void (*done)(struct message *, bool ok), struct message *arg)
{
	struct client *c = &clients[which];
	struct ipc_bounce_send r = { .request = request, .queue_name = span_str(m->queue), .queue_id = span_str(m->id),
	    .encoding = m->encoding, .sendopts = m->sendopts, .sender = m->sender, .envelope_id = m->envelope_id,
	    .ret_flags = m->ret_flags, .verp = m->verp };

	if (!connected(c, which)) {
		log_warning("%s: %s service failure", m->id, words[which]);
		done(arg, false);
		return;
	}
	struct waiting *w = calloc(1, sizeof *w);

	if (w == NULL)
		log_out_of_memory();
	w->done = done;
	w->msg = arg;
	if (c->first == NULL)
		c->last = &c->first;
	*c->last = w;
	c->last = &w->next;
	conn_send(c->conn, IPC_bounce_send, &r);
}
