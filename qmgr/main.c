/*
 * main.c - qmgr(8): the queue manager. Decides what is delivered when and by whom; unlinks what is done.
 * Trusts no queue file and no agent. Reads no message content but for Message-Id, when maillog_format has json. Also started as oqmgr and nqmgr.
 *
 * Triggers on public/qmgr: bytes W I D A F, and lines: 'N' queue-id from cleanup(8): new; from postqueue(1) 'R' queue-id: to
 * be tried now, 'S' seconds ' ' destination: suspend, 'U' destination: resume.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/conf.h"
#include "io/sock.h"
#include "mail/queue.h"
#include "qmgr/qmgr.h"
#include "service/service.h"

#define TRIGGER_LINE_MAX	300
#define FILE_THREADS		4

struct loop *qmgr_loop;
struct pool *qmgr_pool;

struct trigger_client {
	int fd;
	struct watch *watch;
	char line[TRIGGER_LINE_MAX];	/* of a trigger that is a line, without its letter */
	char kind;
	size_t n;
	bool in_line;
};

/* --- triggers that are lines; the text is NUL-terminated --- */

static void
new_message(struct span id)
{
	if (queue_id_valid(id))
		scan_new_message(id.p);
}

static void
retry_message(struct span id)
{
	if (queue_id_valid(id))
		scan_retry_message(id.p);
}

static void
suspend(struct span text)
{
	uint64_t seconds;

	if (span_take_u64(&text, &seconds) && seconds <= INT32_MAX && span_take_byte(&text, ' '))
		suspend_begin(text, (int64_t)seconds);
}

static const struct {
	char letter;
	void (*act)(struct span text);
} lines[] = { { 'N', new_message }, { 'R', retry_message }, { 'S', suspend }, { 'U', suspend_end } };

static void
line_byte(struct trigger_client *c, char byte)
{
	if (byte != '\n') {
		if (c->n < sizeof c->line - 1)
			c->line[c->n++] = byte;
		return;
	}
	c->in_line = false;
	c->line[c->n] = '\0';
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
		if (lines[i].letter == c->kind)
			lines[i].act(span(c->line, c->n));
}

static void
take_bytes(struct trigger_client *c, struct span in)
{
	for (size_t i = 0; i < in.n; i++) {
		if (c->in_line) {
			line_byte(c, in.p[i]);
		} else if (strchr("NRSU", in.p[i]) != NULL && in.p[i] != '\0') {
			c->in_line = true;
			c->kind = in.p[i];
			c->n = 0;
		} else {
			scan_trigger(in.p[i]);
		}
	}
}

static void
readable(void *arg, unsigned events)
{
	struct trigger_client *c = arg;
	char bytes[4096];
	ssize_t n = recv(c->fd, bytes, sizeof bytes, 0);

	(void)events;
	if (n > 0) {
		take_bytes(c, span(bytes, (size_t)n));
		return;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	loop_unwatch(&c->watch);
	(void)close(c->fd);
	free(c);
	service_client_done();
}

static void
accepted(struct loop *loop, int fd)
{
	struct trigger_client *c = calloc(1, sizeof *c);

	if (c == NULL)
		log_out_of_memory();
	c->fd = fd;
	(void)fd_set_nonblocking(fd, true);
	c->watch = loop_watch(loop, fd, LOOP_READ, readable, c);
	if (c->watch != NULL)
		return;
	log_warning("epoll: %s", strerror(errno));
	(void)close(fd);
	free(c);
	service_client_done();
}

static void
trigger(struct loop *loop, struct span bytes)
{
	struct trigger_client c = {0};

	(void)loop;
	take_bytes(&c, bytes);
}

static void
start(struct loop *loop)
{
	qmgr_loop = loop;
	qmgr_pool = pool_new(loop, FILE_THREADS);
	suspend_restore();
	scan_start();
}

static void
init(void)
{
	if (conf.bounce_queue_lifetime > conf.maximal_queue_lifetime)
		log_warning("bounce_queue_lifetime is larger than maximal_queue_lifetime - adjusting bounce_queue_lifetime");
	outcome_init();
}

static const struct service qmgr = {
	.name = "qmgr",
	.kind = SERVICE_EVENT,
	.flags = SERVICE_ONE | SERVICE_NO_RETIRE,
	.init = init,
	.start = start,
	.accepted = accepted,
	.trigger = trigger,
};

int
main(int argc, char **argv)
{
	return service_main(&qmgr, argc, argv);
}
