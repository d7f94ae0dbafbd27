/*
 * print.c - a message of the queue as mailq has printed it for decades, or as one JSON object a line.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "conf/json.h"
#include "postqueue/postqueue.h"

#define REASON_END	76		/* a reason that is shorter ends in column 78 */

static void
put_cells(struct buf *out, bool long_ids, const char *id, const char *size, const char *time, struct span last)
{
	if (long_ids)
		buf_printf(out, "%-17s %8s %-19s %.*s\n", id, size, time, SPAN_ARG(last));
	else
		buf_printf(out, "%-11s %7s %-20s %.*s\n", id, size, time, SPAN_ARG(last));
}

static void
put_summary(struct buf *out, const struct entry *m, bool long_ids)
{
	struct buf id = {0};
	char when[32] = "";
	time_t t = (time_t)m->v.time;
	struct tm tm;

	buf_span(&id, m->v.queue_id);
	if (span_is(m->v.queue_name, "active"))
		buf_byte(&id, '*');
	else if (span_is(m->v.queue_name, "hold"))
		buf_byte(&id, '!');
	if (m->v.forced_expire)
		buf_byte(&id, '#');
	if (localtime_r(&t, &tm) != NULL)
		(void)strftime(when, sizeof when, "%a %b %e %H:%M:%S ", &tm);
	if (long_ids)
		buf_printf(out, "%-17s %8ld %19.19s %.*s\n", buf_cstr(&id), (long)m->v.size, when, SPAN_ARG(m->v.sender));
	else
		buf_printf(out, "%-11s %7ld %20.20s %.*s\n", buf_cstr(&id), (long)m->v.size, when, SPAN_ARG(m->v.sender));
	buf_free(&id);
}

static void
put_reason(struct buf *out, struct span reason)
{
	struct span text = reason.n > 0 ? reason : SPAN("reason unavailable");
	int indent = text.n < REASON_END ? (int)(REASON_END - text.n) : 0;

	buf_printf(out, "%*s(%.*s)\n", indent, "", SPAN_ARG(text));
}

static void
text_message(struct buf *out, const struct entry *m, const struct totals *before, bool long_ids)
{
	struct span reason = SPAN_NULL;

	if (before->messages > 0)
		buf_byte(out, '\n');
	else if (long_ids)
		put_cells(out, true, "----Queue ID-----", "--Size--", "---Arrival Time----", SPAN("--Sender/Recipient------"));
	else
		put_cells(out, false, "-Queue ID-", "--Size--", "----Arrival Time----", SPAN("-Sender/Recipient-------"));
	put_summary(out, m, long_ids);
	for (size_t i = 0; i < m->rcpt.n; i++) {
		const struct view_rcpt *r = VEC_AT(&m->rcpt, struct view_rcpt, i);

		if (!span_eq(r->reason, reason))
			put_reason(out, r->reason);
		reason = r->reason;
		put_cells(out, long_ids, "", "", "", r->address);
	}
}

static void
text_end(struct buf *out, const struct totals *t)
{
	if (t->messages == 0)
		buf_str(out, "Mail queue is empty\n");
	else
		buf_printf(out, "\n-- %lu Kbytes in %lu Request%s.\n", (unsigned long)(t->bytes / 1024),
		    (unsigned long)t->messages, t->messages == 1 ? "" : "s");
}

static void
json_recipient(struct buf *out, const struct view_rcpt *r, struct arena *mem)
{
	buf_byte(out, '{');
	if (r->has_original) {
		json_text(out, "orig_address", r->original, mem);
		buf_str(out, ", ");
	}
	json_text(out, "address", r->address, mem);
	if (r->reason.n > 0) {
		buf_str(out, ", ");
		json_text(out, span_is(r->log_class, "bounce") ? "bounce_reason" :
		    span_is(r->log_class, "defer") || !r->has_original ? "delay_reason" : "other_reason", r->reason, mem);
	}
	buf_byte(out, '}');
}

static void
json_message(struct buf *out, const struct entry *m, const struct totals *before, bool long_ids)
{
	struct arena *mem = arena_new();

	(void)before;
	(void)long_ids;
	buf_byte(out, '{');
	json_text(out, "queue_name", m->v.queue_name, mem);
	buf_str(out, ", ");
	json_text(out, "queue_id", m->v.queue_id, mem);
	buf_printf(out, ", \"arrival_time\": %ld, \"message_size\": %ld, \"forced_expire\": %s, ", (long)m->v.time, (long)m->v.size,
	    m->v.forced_expire ? "true" : "false");
	json_text(out, "sender", m->v.sender, mem);
	buf_str(out, ", \"recipients\": [");
	for (size_t i = 0; i < m->rcpt.n; i++) {
		if (i > 0)
			buf_str(out, ", ");
		json_recipient(out, VEC_AT(&m->rcpt, struct view_rcpt, i), mem);
	}
	buf_byte(out, ']');
	if (m->v.next_attempt > 0)
		buf_printf(out, ", \"next_attempt\": %ld", (long)m->v.next_attempt);
	buf_str(out, "}\n");
	arena_free(&mem);
}

static void
json_end(struct buf *out, const struct totals *t)
{
	(void)out;
	(void)t;
}

const struct format format_text = { text_message, text_end };
const struct format format_json = { json_message, json_end };
