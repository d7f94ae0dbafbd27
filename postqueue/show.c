/*
 * show.c - reads the list of showq(8), attribute by attribute, and prints each message when it is complete.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/progress.h"
#include "conf/conf.h"
#include "ipc/attr.h"
#include "postqueue/postqueue.h"

#define OUT_MAX		65536u		/* that wait to be written where nobody sees them come */

static bool
take_number(struct span value, int64_t *out)
{
	return span_to_i64(value, out) && *out >= 0;
}

/* The recipient that further attributes belong to; "recipient" alone starts one too (before 3.11 nothing preceded it). */
static struct view_rcpt *
recipient(struct entry *m, bool fresh)
{
	return fresh || m->rcpt.n == 0 ? vec_add(&m->rcpt) : VEC_AT(&m->rcpt, struct view_rcpt, m->rcpt.n - 1);
}

static bool
take_recipient(struct entry *m, struct span name, struct span value)
{
	struct view_rcpt *last = recipient(m, false);

	if (span_is(name, "original_recipient")) {
		last = last->address.p == NULL ? last : recipient(m, true);
		last->original = value;
		last->has_original = true;
	} else if (span_is(name, "recipient")) {
		last = last->address.p == NULL ? last : recipient(m, true);
		last->address = value;
	} else if (span_is(name, "log_class")) {
		last->log_class = value;
	} else if (span_is(name, "reason")) {
		last->reason = value;
	} else if (span_is(name, "transport")) {
		last->transport = value;
	} else {
		return false;
	}
	return true;
}

static bool
take_pair(struct entry *m, struct span name, struct span value)
{
	int64_t n;

	if (span_is(name, "queue_name"))
		m->v.queue_name = value;
	else if (span_is(name, "queue_id"))
		m->v.queue_id = value;
	else if (span_is(name, "sender"))
		m->v.sender = value;
	else if (span_is(name, "time"))
		return take_number(value, &m->v.time);
	else if (span_is(name, "size"))
		return take_number(value, &m->v.size);
	else if (span_is(name, "next_attempt"))
		return take_number(value, &m->v.next_attempt);
	else if (span_is(name, "forced_expire") && take_number(value, &n))
		m->v.forced_expire = n != 0;
	else
		return take_recipient(m, name, value);
	return true;
}

/* One message; *any is false for the empty list at the end. */
static bool
take_message(struct stream *in, struct arena *mem, struct entry *m, bool *any)
{
	struct span name, value;
	enum attr_status status;

	for (*any = false; (status = attr_take(in, mem, &name, &value)) == ATTR_PAIR; *any = true)
		if (!take_pair(m, name, value))
			return false;
	return status == ATTR_END && (!*any || m->v.queue_id.n > 0);
}

static void
print_out(struct buf *out)
{
	if (out->n > 0)
		(void)fwrite(out->p, 1, out->n, stdout);
	buf_reset(out);
}

static bool
is_selected(const struct selection *s, const struct entry *m)
{
	bool some = !selection_needs_recipient(s);

	for (size_t i = 0; i < m->rcpt.n && !some; i++)
		some = selection_has_recipient(s, VEC_AT(&m->rcpt, struct view_rcpt, i));
	return some && selection_has_message(s, &m->v, time(NULL));
}

bool
show_list(struct stream *in, const struct format *format, const struct selection *selection)
{
	struct arena *mem = arena_new();
	struct totals totals = {0};
	struct buf out = {0};
	struct progress progress = {0};
	uint64_t listed = 0;
	const bool visible = isatty(STDOUT_FILENO) == 1;
	struct entry m = { .rcpt = VEC_INIT(struct view_rcpt) };
	bool any = true, ok = attr_expect_protocol(in, "mail_queue_list_protocol");

	while (ok && any) {
		m.v = (struct view){0};
		m.rcpt.n = 0;
		ok = take_message(in, mem, &m, &any);
		if (ok && any && is_selected(selection, &m)) {
			format->message(&out, &m, &totals, conf.enable_long_queue_ids);
			totals.messages++;
			totals.bytes += (uint64_t)m.v.size;
			if (visible)
				progress_clear(&progress);
			if (visible || out.n >= OUT_MAX)
				print_out(&out);
		}
		/* On a terminal a message that is listed is progress enough. */
		if (progress_due(&progress) && (!visible || totals.messages == listed))
			progress_show(&progress, "%lu messages read, %llu listed", progress.steps, (unsigned long long)totals.messages);
		listed = totals.messages;
		arena_reset(mem);
	}
	vec_free(&m.rcpt);
	progress_clear(&progress);
	if (ok)
		format->end(&out, &totals);
	print_out(&out);
	buf_free(&out);
	arena_free(&mem);
	return ok && fflush(stdout) == 0;
}
