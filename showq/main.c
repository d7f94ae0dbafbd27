/*
 * main.c - showq(8): lists the mail queue to whoever connects; clients send nothing. Format: attribute lists (ipc/attr.h),
 * first the protocol's name, then one list a message, then an empty list. Changes nothing in the queue.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>

#include "ipc/attr.h"
#include "mail/queue.h"
#include "service/service.h"
#include "showq/showq.h"

static void
put_queue(struct session *s, const char *queue)
{
	struct queue_scan *scan = queue_scan_open(queue);
	char path[QUEUE_PATH_MAX + 256];
	const char *id;

	while (stream_state(s->peer) == STREAM_OK && queue_scan_next(scan, &id)) {
		(void)snprintf(path, sizeof path, "%s/%s", queue_scan_dir(scan), id);
		message_put(s->peer, queue, id, path, s->mem);
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
