/*
 * record.c - envelope and extracted records as text.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>
#include <time.h>

#include "postcat/postcat.h"

static const struct {
	enum rec_type type;
	const char *name;
} names[] = {
	{ REC_SIZE, "message_size" }, { REC_TIME, "message_arrival_time" }, { REC_CREATE_TIME, "queue_file_create_time" },
	{ REC_FULL_NAME, "sender_fullname" }, { REC_INSPECT, "content_inspector" }, { REC_FILTER, "content_filter" },
	{ REC_FROM, "sender" }, { REC_DONE, "done_recipient" }, { REC_RCPT, "recipient" },
	{ REC_ORIG_RCPT, "original_recipient" }, { REC_CANCELED, "canceled_recipient" },
	{ REC_WARN, "warning_message_time" }, { REC_ATTR, "named_attribute" }, { REC_KILLED, "killed_record" },
	{ REC_REDIRECT, "redirect_to" }, { REC_FLAGS, "flags" }, { REC_PAD, "padding" },
	{ REC_RETURN_RECEIPT, "return_receipt" }, { REC_ERRORS_TO, "errors_to" }, { REC_PRIORITY, "priority" },
	{ REC_POINTER, "pointer_record" }, { REC_VERP, "verp_delimiters" }, { REC_DSN_RET, "dsn_return_flags" },
	{ REC_DSN_ENVID, "dsn_envelope_id" }, { REC_DSN_ORCPT, "dsn_original_recipient" },
	{ REC_DSN_NOTIFY, "dsn_notify_flags" },
};

static const char *
name_of(enum rec_type type)
{
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (names[i].type == type)
			return names[i].name;
	return "unknown_record_type";
}

/* The number at the start of the text, as a date and time of the local zone. */
static void
put_time(struct buf *out, const char *name, struct span text)
{
	char when[64] = "";
	uint64_t n = 0;
	struct span digits = span_trim(text);
	const bool negative = span_take_byte(&digits, '-');
	struct tm tm;

	(void)span_take_u64(&digits, &n);
	time_t t = negative ? -(time_t)n : (time_t)n;

	if (localtime_r(&t, &tm) != NULL)
		(void)strftime(when, sizeof when, "%a %b %e %H:%M:%S %Y", &tm);
	buf_printf(out, "%s: %s\n", name, when);
}

static bool
put_attribute(struct buf *out, struct span payload, struct err *why)
{
	struct span name, value;

	if (!rec_parse_attr(payload, &name, &value))
		return err_perm(why, "%s attribute name: %.*s", span_trim(payload).n == 0 || span_trim(payload).p[0] == '=' ? "missing" :
		    "missing '=' after", SPAN_ARG(payload));
	if (span_is(name, "create_time"))
		put_time(out, "create_time", value);
	else
		buf_printf(out, "named_attribute: %.*s=%.*s\n", SPAN_ARG(name), SPAN_ARG(value));
	return true;
}

bool
record_text(const struct rec *r, struct buf *out, struct err *why)
{
	switch (r->type) {
	case REC_ATTR:
		return put_attribute(out, r->payload, why);
	case REC_TIME:
	case REC_WARN:
		put_time(out, name_of(r->type), r->payload);
		return true;
	default:
		buf_printf(out, "%s: ", name_of(r->type));
		buf_span(out, span_to(r->payload, strnlen(r->payload.p, r->payload.n)));	/* as all who read a record do */
		buf_byte(out, '\n');
		return true;
	}
}
