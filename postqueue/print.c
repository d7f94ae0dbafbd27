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

/* Widths of the columns, one blank behind each. */
static const struct columns {
	size_t id, size, time;
} wide = { 17, 8, 19 }, narrow = { 11, 7, 20 };

static void
put_blanks(struct buf *out, size_t n)
{
	static const char blanks[] = "                                                                                ";

	for (size_t piece; n > 0; n -= piece) {
		piece = n < sizeof blanks - 1 ? n : sizeof blanks - 1;
		buf_add(out, blanks, piece);
	}
}

/* The text and a blank, in at least width + 1 bytes. */
static void
put_left(struct buf *out, struct span text, size_t width)
{
	buf_span(out, text);
	put_blanks(out, text.n < width ? width - text.n + 1 : 1);
}

static void
put_right(struct buf *out, struct span text, size_t width)
{
	put_blanks(out, text.n < width ? width - text.n : 0);
	buf_span(out, text);
	buf_byte(out, ' ');
}

static void
put_last(struct buf *out, struct span text)
{
	buf_span(out, text);
	buf_byte(out, '\n');
}

static char tens(int n, char none) { return (char)(n < 10 ? none : '0' + n / 10 % 10); }
static char ones(int n) { return (char)('0' + n % 10); }

/* As strftime's "%a %b %e %H:%M:%S", at a third of the cost; then blanks up to the width, and one more. */
static void
put_time(struct buf *out, time_t when, size_t width)
{
	static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct tm t;

	if (localtime_r(&when, &t) == NULL) {
		put_blanks(out, width + 1);
		return;
	}
	const char text[] = { ' ', tens(t.tm_mday, ' '), ones(t.tm_mday), ' ', tens(t.tm_hour, '0'), ones(t.tm_hour), ':',
	    tens(t.tm_min, '0'), ones(t.tm_min), ':', tens(t.tm_sec, '0'), ones(t.tm_sec) };

	buf_add(out, days + 3 * t.tm_wday, 3);
	buf_byte(out, ' ');
	buf_add(out, months + 3 * t.tm_mon, 3);
	put_left(out, span(text, sizeof text), width - 7);
}

static void
put_header(struct buf *out, bool long_ids)
{
	buf_str(out, long_ids ? "----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------\n" :
	    "-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------\n");
}

static void
put_summary(struct buf *out, const struct entry *m, bool long_ids)
{
	const struct columns *c = long_ids ? &wide : &narrow;
	char room[SPAN_I64_ROOM];
	const size_t start = out->n;

	buf_span(out, m->v.queue_id);
	if (span_is(m->v.queue_name, "active"))
		buf_byte(out, '*');
	else if (span_is(m->v.queue_name, "hold"))
		buf_byte(out, '!');
	if (m->v.forced_expire)
		buf_byte(out, '#');
	put_left(out, SPAN_NULL, out->n - start < c->id ? c->id - (out->n - start) : 0);
	put_right(out, span_i64(m->v.size, room), c->size);
	put_time(out, (time_t)m->v.time, c->time);
	put_last(out, m->v.sender);
}

static void
put_recipient(struct buf *out, struct span address, bool long_ids)
{
	const struct columns *c = long_ids ? &wide : &narrow;

	put_blanks(out, c->id + c->size + c->time + 3);
	put_last(out, address);
}

static void
put_reason(struct buf *out, struct span reason)
{
	struct span text = reason.n > 0 ? reason : SPAN("reason unavailable");

	put_blanks(out, text.n < REASON_END ? REASON_END - text.n : 0);
	buf_byte(out, '(');
	buf_span(out, text);
	buf_str(out, ")\n");
}

static void
text_message(struct buf *out, const struct entry *m, const struct totals *before, bool long_ids)
{
	struct span reason = SPAN_NULL;

	if (before->messages > 0)
		buf_byte(out, '\n');
	else
		put_header(out, long_ids);
	put_summary(out, m, long_ids);
	for (size_t i = 0; i < m->rcpt.n; i++) {
		const struct view_rcpt *r = VEC_AT(&m->rcpt, struct view_rcpt, i);

		if (!span_eq(r->reason, reason))
			put_reason(out, r->reason);
		reason = r->reason;
		put_recipient(out, r->address, long_ids);
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
