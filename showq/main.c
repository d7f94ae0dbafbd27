/*
 * main.c - showq(8): lists the mail queue to whoever connects; clients send nothing. Format: attribute lists (ipc/attr.h),
 * first the protocol's name, then one list a message, then an empty list. Changes nothing in the queue.
 * A client whose socket bears a name that asks for more (mail/showq_wish.h) gets it as further attributes.
 *
 * SPDX-License-Identifier: ISC
 */
#include "base/clock.h"
#include "ipc/attr.h"
#include "mail/queue.h"
#include "mail/showq_wish.h"
#include "mail/suspended.h"
#include "mail/view.h"
#include "service/service.h"

static unsigned wishes;			/* of the client that is served */

static bool
put_message(void *arg, const struct view *v)
{
	struct stream *out = arg;

	if (v->next_attempt > 0 && (wishes & WISH_NEXT_ATTEMPT) != 0)
		attr_put_number(out, "next_attempt", (long)v->next_attempt);
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
	if ((wishes & WISH_TRANSPORT) != 0)
		attr_put(out, "transport", r->transport);
	return true;
}

static void
put_queue(struct session *s, struct viewer *viewer, const char *queue)
{
	const struct view_reader reader = { put_message, put_recipient, (wishes & WISH_TRANSPORT) != 0 };
	struct queue_scan *scan = queue_scan_open(queue);
	const char *id;

	while (stream_state(s->peer) == STREAM_OK && queue_scan_next(scan, &id)) {
		const struct view_file file = { queue, id, queue_scan_fd(scan), id };

		if (view_read(viewer, &file, s->mem, &reader, s->peer))
			attr_end(s->peer);
		arena_reset(s->mem);
	}
	queue_scan_close(&scan);
}

static void
put_messages(struct session *s)
{
	static const char *const queues[] = { "maildrop", "active", "incoming", "deferred", "hold" };
	struct viewer *viewer = viewer_new();

	viewer_list_logs(viewer);
	for (size_t i = 0; i < sizeof queues / sizeof *queues; i++)
		put_queue(s, viewer, queues[i]);
	viewer_free(&viewer);
}

static void
put_suspended(void *peer, struct span name, int64_t until)
{
	if (until <= clock_wall().tv_sec)
		return;
	attr_put(peer, "suspended", name);
	attr_put_number(peer, "until", (long)until);
	attr_end(peer);
}

static void
serve(struct session *s)
{
	wishes = showq_wishes(stream_fd(s->peer));
	stream_set_timeout(s->peer, 3600 * 1000);
	attr_put_protocol(s->peer, "mail_queue_list_protocol");
	if ((wishes & WISH_SUSPENDED) == 0)
		put_messages(s);
	else if (!suspended_read(put_suspended, s->peer))
		return;			/* a list that is cut short says that it failed */
	attr_end(s->peer);
	(void)stream_flush(s->peer);
}

static const struct service showq = { .name = "showq", .kind = SERVICE_SINGLE, .serve = serve };

int
main(int argc, char **argv)
{
	return service_main(&showq, argc, argv);
}
