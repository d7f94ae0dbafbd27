/*
 * main.c - showq(8): lists the mail queue to whoever connects; clients send nothing. Format: attribute lists (ipc/attr.h),
 * first the protocol's name, then one list a message, then an empty list. Changes nothing in the queue.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>

#include "ipc/attr.h"
#include "mail/queue.h"
#include "mail/view.h"
#include "service/service.h"

static bool
put_message(void *arg, const struct view *v)
{
	struct stream *out = arg;

	attr_put(out, "queue_name", v->queue_name);
	attr_put(out, "queue_id", v->queue_id);
	attr_put_number(out, "time", (long)v->time);
	attr_put_number(out, "size", (long)v->size);
	attr_put_number(out, "forced_expire", v->forced_expire);
	attr_put(out, "sender", v->sender);
	return true;
}

static bool
put_recipient(void *arg, const struct view_rcpt *r)
{
	struct stream *out = arg;

	attr_put(out, "original_recipient", r->original);
	attr_put(out, "recipient", r->address);
	attr_put(out, "log_class", r->log_class);
	attr_put(out, "reason", r->reason);
	return true;
}

static void
put_queue(struct session *s, const char *queue)
{
	static const struct view_reader reader = { put_message, put_recipient };
	struct queue_scan *scan = queue_scan_open(queue);
	char path[QUEUE_PATH_MAX + 256];
	const char *id;

	while (stream_state(s->peer) == STREAM_OK && queue_scan_next(scan, &id)) {
		(void)snprintf(path, sizeof path, "%s/%s", queue_scan_dir(scan), id);
		if (view_read(queue, id, path, s->mem, &reader, s->peer))
			attr_end(s->peer);
		arena_reset(s->mem);
	}
	queue_scan_close(&scan);
}

static void
serve(struct session *s)
{
	static const char *const queues[] = { "maildrop", "active", "incoming", "deferred", "hold" };

	stream_set_timeout(s->peer, 3600 * 1000);
	attr_put_protocol(s->peer, "mail_queue_list_protocol");
	for (size_t i = 0; i < sizeof queues / sizeof *queues; i++)
		put_queue(s, queues[i]);
	attr_end(s->peer);
	(void)stream_flush(s->peer);
}

static const struct service showq = { .name = "showq", .kind = SERVICE_SINGLE, .serve = serve };

int
main(int argc, char **argv)
{
	return service_main(&showq, argc, argv);
}
