/*
 * record.c - the JSON log: a line for each message that was deleted, held, released or requeued here. What the message was
 * is read before, and costs nothing when that log is off.
 *
 * SPDX-License-Identifier: ISC
 */
#include <fcntl.h>

#include "base/clock.h"
#include "conf/json.h"
#include "mail/view.h"
#include "postsuper/postsuper.h"
#include "service/json_log.h"

static struct {
	bool on;
	struct viewer *viewer;
	struct arena *mem;
	struct buf line, recipients;
	unsigned long listed, more;
	bool ready;			/* there is a line for the present message */
} now;

void
record_open(void)
{
	now.on = json_log_open();
	if (!now.on)
		return;
	now.viewer = viewer_new();
	now.mem = arena_new();
}

void
record_close(void)
{
	viewer_free(&now.viewer);
	arena_free(&now.mem);
	buf_free(&now.line);
	buf_free(&now.recipients);
}

static bool
see_message(void *arg, const struct view *v)
{
	(void)arg;
	json_log_time(&now.line, "arrival", (struct timeval){ .tv_sec = (time_t)v->time });
	json_log_text(&now.line, "sender", v->sender, now.mem);
	buf_printf(&now.line, ", \"size\": %lld", (long long)v->size);
	return true;
}

static bool
see_recipient(void *arg, const struct view_rcpt *r)
{
	(void)arg;
	if (now.listed == JSON_LOG_RECIPIENTS) {
		now.more++;
		return true;
	}
	buf_str(&now.recipients, now.listed++ > 0 ? ", {" : "{");
	json_text(&now.recipients, "address", r->address, now.mem);
	if (!span_ieq(r->address, r->original))
		json_log_text(&now.recipients, "orig_address", r->original, now.mem);
	json_log_text(&now.recipients, "text", r->reason, now.mem);
	buf_byte(&now.recipients, '}');
	return true;
}

void
record_prepare(const char *result, const char *queue, const char *id, const char *path)
{
	static const struct view_reader reader = { see_message, see_recipient, false };

	now.ready = now.on && result != NULL;
	if (!now.ready)
		return;
	buf_reset(&now.line);
	buf_reset(&now.recipients);
	now.listed = now.more = 0;
	buf_byte(&now.line, '{');
	json_text(&now.line, "queue_id", span_str(id), now.mem);
	json_log_text(&now.line, "result", span_str(result), now.mem);
	json_log_text(&now.line, "queue", span_str(queue), now.mem);
	json_log_time(&now.line, "end", clock_wall());
	(void)view_read(now.viewer, &(struct view_file){ queue, id, AT_FDCWD, path }, now.mem, &reader, NULL);
	buf_printf(&now.line, ", \"recipients\": [%s]", buf_cstr(&now.recipients));
	if (now.more > 0)
		buf_printf(&now.line, ", \"recipients_not_listed\": %lu", now.more);
	buf_str(&now.line, "}\n");
	arena_reset(now.mem);
}

void
record_write(void)
{
	if (now.ready)
		json_log_write(&now.line);
}
