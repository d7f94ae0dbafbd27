/*
 * main.c - cleanup(8): takes a message from smtpd, pickup, bounce or local, completes it, and puts it on disk.
 * A message counts as accepted when message_commit() has synced it and the client was told so.
 * Trusts no client: each frame is checked against the state. Needs no network, no privilege.
 *
 * SPDX-License-Identifier: ISC
 */
#include <poll.h>
#include <unistd.h>

#include "base/log.h"
#include "cleanup/cleanup.h"
#include "conf/conf.h"
#include "ipc/ipc.h"
#include "mail/delivery.h"
#include "mail/trigger.h"
#include "service/flow.h"
#include "service/service.h"

#define CLEANUP_FRAME_MAX	(IPC_MAX_BULK)

static void
message_free(struct message *m)
{
	if (m->fd >= 0)
		(void)close(m->fd);
	buf_free(&m->out);
	buf_free(&m->line);
	buf_free(&m->clean);
	buf_free(&m->to_7bit_line);
	if (m->to_7bit != NULL)
		mime_7bit_free(m->to_7bit);
	buf_free(&m->header);
	buf_free(&m->bcc);
	vec_free(&m->bounces);
	mime_free(&m->mime);
	arena_free(&m->work);
	hash_free(&m->seen, NULL);
}

static void
answer(struct stream *peer, const struct message *m)
{
	struct ipc_cleanup_done done = { .status = m->status, .reason = m->reason };

	(void)ipc_send(peer, IPC_cleanup_done, &done);
}

/* End of message: everything is in. */
static void
finish(struct stream *peer, struct message *m, struct span extracted)
{
	if (!m->envelope_done)
		envelope_end(m);
	content_end(m);
	extracted_start(m, extracted);
	envelope_records(m, extracted, true);
	if (message_wanted(m))
		recipient_add_late(m);
	m->discard = m->discard || (m->flags & CLEANUP_FLAG_DISCARD) != 0;
	if (m->size.rcpt_count == 0 && m->status == 0 && !m->discard)
		message_trouble(m, CLEANUP_STAT_RCPT, NULL);
	if (m->status == 0 && !m->discard)
		message_commit(m);
	bool told = m->status != 0 && message_wanted(m) && message_bounce(m);

	if (m->status != 0 || m->discard)
		message_remove(m, m->discard ? "discarded" : "canceled");
	if (told || m->discard)
		m->status = 0;
	else if (m->status == 0 && m->queue[0] == 'i')
		trigger_new_message(m->id);
	answer(peer, m);
}

/* One frame of an open message. False: the message has come to its end, one way or the other. */
static bool
step(struct stream *peer, struct message *m, struct arena *frame)
{
	union {
		struct ipc_cleanup_envelope envelope;
		struct ipc_cleanup_content content;
		struct ipc_cleanup_end end;
	} u;
	struct span payload;
	enum ipc_kind kind = ipc_receive(peer, CLEANUP_FRAME_MAX, frame, &payload);

	if (kind == IPC_cleanup_envelope && !m->envelope_done && ipc_decode(payload, kind, &u, frame)) {
		envelope_records(m, u.envelope.records, false);
		return true;
	}
	if (kind == IPC_cleanup_content && ipc_decode(payload, kind, &u, frame)) {
		if (!m->envelope_done)
			envelope_end(m);
		content_text(m, u.content.text);
		return true;
	}
	if (kind == IPC_cleanup_end && ipc_decode(payload, kind, &u, frame)) {
		finish(peer, m, u.end.extracted);
		return false;
	}
	if (kind != IPC_NONE && kind != IPC_cleanup_abort)
		log_warning("%s: unexpected message \"%s\" from a client", m->id, ipc_name(kind));
	message_remove(m, "canceled");
	return false;
}

static bool
serve_message(struct stream *peer, struct arena *mem, const struct ipc_cleanup_open *open)
{
	struct message m = { .mem = mem, .flags = open->flags, .fd = -1, .queue = "incoming",
	    .bounces = VEC_INIT(struct delivery_rcpt) };
	struct ipc_cleanup_opened opened = { .status = CLEANUP_STAT_WRITE };
	struct arena *frame = arena_new();

	if ((m.flags & CLEANUP_FLAG_SMTPUTF8) != 0)
		m.size.sendopts = SENDOPT_SMTPUTF8;
	if ((m.flags & CLEANUP_FLAG_REQUIRETLS) != 0)
		m.size.sendopts |= SENDOPT_REQUIRETLS;
	m.work = arena_new();
	mime_init(&m.mime);
	if (message_create(&m))
		opened = (struct ipc_cleanup_opened){ .queue_id = span_str(m.id) };
	bool ok = ipc_send(peer, IPC_cleanup_opened, &opened) && opened.status == 0;

	if (!ok && m.fd >= 0)
		message_remove(&m, "canceled");
	while (ok && step(peer, &m, frame))
		arena_reset(frame);
	arena_free(&frame);
	message_free(&m);
	return opened.status == 0 && stream_state(peer) == STREAM_OK;
}

static void
serve(struct session *s)
{
	struct ipc_cleanup_open open;

	stream_set_timeout(s->peer, (int64_t)conf.ipc_timeout * 1000);
	while (service_wait_request(s->peer, conf.ipc_idle * 1000 + 1000) &&
	    ipc_expect(s->peer, IPC_cleanup_open, IPC_MAX, s->mem, &open)) {
		if (conf.in_flow_delay > 0 && !flow_take())
			(void)poll(NULL, 0, conf.in_flow_delay * 1000);
		if (!serve_message(s->peer, s->mem, &open))
			break;
		arena_reset(s->mem);
	}
}

static void
init(void)
{
	map_init();
	checks_init();
	strict_init();
}

static const struct service cleanup = {
	.name = "cleanup",
	.kind = SERVICE_SINGLE,
	.init = init,
	.tables_changed = maps_restart_wanted,
	.serve = serve,
};

int
main(int argc, char **argv)
{
	return service_main(&cleanup, argc, argv);
}
