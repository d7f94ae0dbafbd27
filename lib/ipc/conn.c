/*
 * conn.c - framed connections on an event loop.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "io/sock.h"
#include "ipc/conn.h"

#define CONN_READ	65536u

struct conn {
	struct loop *loop;
	int fd;
	struct watch *watch;
	const struct conn_handler *handler;
	void *user;
	struct buf in, out;
	bool busy, dead;		/* inside message(); conn_close() was called meanwhile */
};

static void
destroy(struct conn *c)
{
	loop_unwatch(&c->watch);
	(void)close(c->fd);
	buf_free(&c->in);
	buf_free(&c->out);
	free(c);
}

void
conn_close(struct conn **cp)
{
	struct conn *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	c->dead = true;
	if (!c->busy)
		destroy(c);
}

static void
lost(struct conn *c)
{
	c->busy = true;
	if (c->handler->closed != NULL && !c->dead)
		c->handler->closed(c);
	destroy(c);
}

static bool
write_out(struct conn *c)
{
	while (c->out.n > 0) {
		ssize_t n = send(c->fd, c->out.p, c->out.n, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN;
		buf_drop(&c->out, (size_t)n);
	}
	return true;
}

static void
update_watch(struct conn *c)
{
	loop_watch_set(c->watch, LOOP_READ | (c->out.n > 0 ? LOOP_WRITE : 0u));
}

/* Hand over the complete frames. False: the connection is to be dropped. */
static bool
dispatch(struct conn *c)
{
	size_t used = 0;
	size_t max = c->handler->max != 0 ? c->handler->max : IPC_MAX;

	while (!c->dead) {
		enum ipc_kind kind;
		struct span payload;
		int64_t n = ipc_frame(span(c->in.p + used, c->in.n - used), max, &kind, &payload);

		if (n == 0)
			break;
		if (n < 0 || !c->handler->message(c, kind, payload)) {
			log_warning("illegal %s message from a local peer; closing its connection", n < 0 ? "" : ipc_name(kind));
			return false;
		}
		used += (size_t)n;
	}
	buf_drop(&c->in, used);
	return true;
}

static void
ready(void *arg, unsigned events)
{
	struct conn *c = arg;
	bool ok = true;

	if (events & LOOP_WRITE)
		ok = write_out(c);
	if (ok && (events & (LOOP_READ | LOOP_HANGUP))) {
		buf_reserve(&c->in, CONN_READ);
		ssize_t n = recv(c->fd, c->in.p + c->in.n, CONN_READ, 0);

		if (n > 0) {
			c->in.n += (size_t)n;
			c->busy = true;
			ok = dispatch(c);
			c->busy = false;
		} else if (n == 0 || (errno != EAGAIN && errno != EINTR))
			ok = false;
	}
	if (c->dead)
		destroy(c);
	else if (!ok)
		lost(c);
	else
		update_watch(c);
}

struct conn *
conn_new(struct loop *loop, int fd, const struct conn_handler *handler, void *user)
{
	struct conn *c = calloc(1, sizeof *c);

	if (c == NULL)
		log_out_of_memory();
	*c = (struct conn){ .loop = loop, .fd = fd, .handler = handler, .user = user };
	(void)fd_set_nonblocking(fd, true);
	c->watch = loop_watch(loop, fd, LOOP_READ, ready, c);
	if (c->watch == NULL)
		log_fatal("epoll: cannot watch a connection: out of kernel memory or descriptors");
	return c;
}

void *conn_user(const struct conn *c) { return c->user; }
void conn_set_user(struct conn *c, void *user) { c->user = user; }

void
conn_send(struct conn *c, enum ipc_kind kind, const void *msg)
{
	bool idle = c->out.n == 0;

	ipc_encode(&c->out, kind, msg);
	if (idle)
		(void)write_out(c);
	if (!c->busy)
		update_watch(c);
}
