/*
 * bounce_log.c - reads the log files of a message. Trusts nothing in them: every value is made one printable line.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stddef.h>
#include <string.h>

#include "io/file.h"
#include "mail/bounce_log.h"
#include "mail/queue.h"

#define LOG_SIZE_MAX	(64u << 20)

static const struct {
	const char *name;
	size_t offset;
} text_fields[] = {
	{ "recipient", offsetof(struct log_entry, recipient) },
	{ "original_recipient", offsetof(struct log_entry, original) },
	{ "dsn_orig_rcpt", offsetof(struct log_entry, dsn_orcpt) },
	{ "status", offsetof(struct log_entry, status) },
	{ "action", offsetof(struct log_entry, action) },
	{ "diag_type", offsetof(struct log_entry, diag_type) },
	{ "diag_text", offsetof(struct log_entry, diag_text) },
	{ "mta_type", offsetof(struct log_entry, mta_type) },
	{ "mta_mname", offsetof(struct log_entry, mta_name) },
	{ "reason", offsetof(struct log_entry, reason) },
};

static void
take_field(struct log_entry *e, struct span line, struct arena *mem)
{
	struct span value = line, name;
	uint64_t n;

	if (line.p[0] == '<' || !span_take_until(&value, '=', &name))
		return;			/* the old form; all of it stands in the other lines too */
	value = span_printable(value, mem);
	for (size_t i = 0; i < sizeof text_fields / sizeof *text_fields; i++)
		if (span_is(name, text_fields[i].name))
			memcpy((char *)e + text_fields[i].offset, &value, sizeof value);
	if (span_is(name, "offset") && span_to_u64(value, &n))
		e->offset = (int64_t)n;
	else if (span_is(name, "notify_flags") && span_to_u64(value, &n))
		e->notify = (unsigned)n;
}

bool
log_read(const char *queue, const char *id, struct arena *mem, struct vec *entries)
{
	char path[QUEUE_PATH_MAX];
	struct buf text = {0};
	struct err err = {0};
	struct log_entry *e = NULL;
	struct span rest, line;

	queue_path(path, queue, id);
	if (!file_read_all(path, LOG_SIZE_MAX, &text, &err)) {
		buf_free(&text);
		return false;
	}
	rest = span_copy(buf_view(&text), mem);
	buf_free(&text);
	while (span_take_line(&rest, &line)) {
		if (line.n == 0) {
			e = NULL;
			continue;
		}
		if (e == NULL)
			e = vec_add(entries);
		take_field(e, line, mem);
	}
	return true;
}
