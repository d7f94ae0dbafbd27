/*
 * refused.c - mail of a client that cannot be told (pickup(8), local(8)) and that is refused: the sender gets it back
 * through bounce(8), while the file is still there.
 *
 * SPDX-License-Identifier: ISC
 */
#include "base/log.h"
#include "cleanup/cleanup.h"
#include "mail/bounce_client.h"
#include "mail/delivery.h"
#include "mail/delivery_log.h"
#include "mail/dsn.h"

/* "5.7.1 no way", or the usual words for the status. */
static struct dsn_text
reason(struct message *m)
{
	const struct cleanup_verdict *v = cleanup_verdict(m->status);
	struct span code = span_str(v->dsn), text = m->reason;
	struct dsn_text t = { .code = { 5, 0, 0 }, .reason = span_str(v->text) };

	(void)dsn_take(&code, &t.code);
	if (text.n > 0) {
		if (dsn_take(&text, &t.code))
			text = span_trim(text);
		t.reason = text;
	}
	return t;
}

bool
message_bounce(struct message *m)
{
	struct delivery d = { .mem = m->mem, .queue_id = span_str(m->id), .sender = m->sender, .arrival = m->arrival };
	struct bounce_message b = { .queue_name = span_str(m->queue), .queue_id = span_str(m->id), .encoding = m->encoding,
	    .sender = m->sender, .envelope_id = m->envelope_id, .ret_flags = DSN_RET_HDRS };
	struct dsn_text text = reason(m);

	if (!message_finish_file(m))
		return false;
	for (size_t i = 0; i < m->bounces.n; i++) {
		struct delivery_rcpt *r = VEC_AT(&m->bounces, struct delivery_rcpt, i);

		delivery_log(&d, r, "none", &text, "bounced");
		if (!bounce_log_append(BOUNCE_LOG_BOUNCE, b.queue_id, r, &text, m->mem))
			return false;
	}
	return bounce_log_send(BOUNCE_LOG_BOUNCE, BOUNCE_SEND_FLUSH, &b, m->mem);
}
