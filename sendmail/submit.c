/*
 * submit.c - a message from standard input to postdrop(1), as a stream of queue file records.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/conf.h"
#include "io/stream.h"
#include "mail/cleanup_client.h"
#include "mail/postdrop_client.h"
#include "mail/rec.h"
#include "sendmail/sendmail.h"
#include "smtp/address.h"
#include "smtp/header.h"

static struct buf records;		/* of this process's one message */

static const char *
login_name(struct submission *s)
{
	const struct passwd *pw = getpwuid(getuid());

	return pw != NULL ? span_cstr(span_str(pw->pw_name), s->mem) : arena_printf(s->mem, "uid%u", getuid());
}

/* GECOS: up to the first comma, "&" is the login name with a capital. */
static const char *
gecos_name(struct submission *s)
{
	const struct passwd *pw = getpwuid(getuid());
	struct buf name = {0};

	if (getenv("NAME") != NULL)
		return getenv("NAME");
	for (const char *p = pw != NULL ? pw->pw_gecos : ""; *p != '\0' && *p != ','; p++) {
		if (*p != '&') {
			buf_byte(&name, *p);
			continue;
		}
		buf_byte(&name, ascii_upper(pw->pw_name[0]));
		buf_str(&name, pw->pw_name[0] != '\0' ? pw->pw_name + 1 : "");
	}
	const char *text = span_cstr(buf_view(&name), s->mem);

	buf_free(&name);
	return text;
}

/* -f: parsed like a header; the first address counts. */
static struct span
sender_address(struct submission *s)
{
	if (s->sender == NULL)
		return span_str(login_name(s));
	struct address_list list = address_list_parse(span_str(s->sender), 1000, s->mem);

	if (list.n > 1)
		log_warning("-f option specified malformed sender: %s", s->sender);
	return list.n > 0 ? address_unquote(list.p[0].address, s->mem) : SPAN_NULL;
}

static void
put_recipient(struct submission *s, struct span address)
{
	if (s->notify != 0)
		rec_putf(&records, REC_ATTR, "notify_flags=%u", s->notify);
	rec_put(&records, REC_RCPT, address);
}

static void
put_recipients(struct submission *s)
{
	for (char **r = s->recipients; *r != NULL; r++) {
		struct address_list list = address_list_parse(span_str(*r), (size_t)conf.header_address_token_limit, s->mem);

		for (size_t i = 0; i < list.n; i++)
			if (list.p[i].kind == ADDRESS_MAILBOX)
				put_recipient(s, address_unquote(list.p[i].address, s->mem));
		if (list.n == 0)
			put_recipient(s, SPAN_NULL);
	}
}

static void
put_envelope(struct submission *s)
{
	const char *name = s->full_name != NULL ? s->full_name : gecos_name(s);

	if (s->envelope_id != NULL)
		rec_put_attr(&records, "envelope_id", span_str(s->envelope_id));
	if (s->ret_flags != 0)
		rec_putf(&records, REC_ATTR, "ret_flags=%u", s->ret_flags);
	rec_put_attr(&records, "rewrite_context", s->remote ? SPAN("remote") : SPAN("local"));
	if (name[0] != '\0')
		rec_put(&records, REC_FULL_NAME, span_printable(span_str(name), s->mem));
	rec_put(&records, REC_FROM, s->from);
	if (s->encoding != NULL)
		rec_put_attr(&records, "encoding", span_str(s->encoding));
	if (s->trace_flags != 0)
		rec_putf(&records, REC_ATTR, "trace_flags=%u", s->trace_flags);
	if (s->verp != NULL)
		rec_put(&records, REC_VERP, span_str(s->verp));
	put_recipients(s);
	rec_put(&records, REC_MESSAGE, SPAN_NULL);
}

static const char *
who(struct submission *s)
{
	return arena_printf(s->mem, "%.*s(%u)", SPAN_ARG(s->from), getuid());
}

static void
send_records(struct postdrop *d)
{
	postdrop_put(d, buf_view(&records));
	buf_reset(&records);
}

/* Line ends: CR LF becomes LF when sendmail_fix_line_endings says so (strict: when the first line has it). */
struct line_ends {
	enum { ENDS_UNKNOWN, ENDS_STRIP, ENDS_KEEP } mode;
};

static struct span
fix_line_end(struct line_ends *ends, struct span line)
{
	bool has_cr = line.n > 0 && line.p[line.n - 1] == '\r';

	if (ends->mode == ENDS_UNKNOWN) {
		if (strcmp(conf.sendmail_fix_line_endings, "always") == 0)
			ends->mode = ENDS_STRIP;
		else if (strcmp(conf.sendmail_fix_line_endings, "never") == 0)
			ends->mode = ENDS_KEEP;
		else
			ends->mode = has_cr ? ENDS_STRIP : ENDS_KEEP;
	}
	while (ends->mode == ENDS_STRIP && line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	return line;
}

static void
put_line(struct span line, bool whole)
{
	rec_put(&records, whole ? REC_NORM : REC_CONT, line);
}

static void
read_content(struct submission *s, struct postdrop *d, struct extractor *x)
{
	struct stream *in = stream_new(dup(STDIN_FILENO));
	struct line_ends ends = { ENDS_UNKNOWN };
	bool line_start = true, leading = true;
	struct span line;

	while (stream_line(in, conf.line_length_limit > 0 ? (size_t)conf.line_length_limit : 2048, &line)) {
		bool whole = line.n > 0 && line.p[line.n - 1] == '\n';

		if (whole)
			line = fix_line_end(&ends, span_to(line, line.n - 1));
		if (line_start && whole && !s->ignore_dots && span_is(line, "."))
			break;
		if (leading && line_start && header_is_mbox_line(line) && whole)
			continue;
		leading = false;
		if (s->extract)
			extract_line(x, line, s->mem);
		put_line(line, whole);
		line_start = whole;
		if (records.n > 65536)
			send_records(d);
	}
	if (stream_state(in) == STREAM_ERROR)
		log_fatal("%s: error reading input: %s", who(s), stream_reason(in));
	stream_free(&in);
}

static void
put_probe(struct submission *s)
{
	struct span from = address_quote(sender_address(s), s->mem);

	put_line(span_str(arena_printf(s->mem, "From: %.*s", SPAN_ARG(from))), true);
	put_line(SPAN("Subject: probe"), true);
	put_line(SPAN("To:"), false);
	for (char **r = s->recipients; *r != NULL; r++)
		put_line(span_str(arena_printf(s->mem, "\t%s%s", *r, r[1] != NULL ? "," : "")), true);
}

static void
put_extracted(struct submission *s, struct extractor *x)
{
	struct span recipients;
	struct rec r;

	extract_end(x, s->mem);
	if (x->too_long)
		log_fatal("%s: unable to extract recipients: message header length exceeds safety limit", who(s));
	recipients = extract_recipients(x);
	if (recipients.n == 0 && s->recipients[0] == NULL)
		log_fatal("%s: No recipient addresses found in message header", who(s));
	while (rec_take(&recipients, &r))
		put_recipient(s, r.payload);
}

static void
finish(struct submission *s, struct postdrop *d)
{
	struct span reason;
	unsigned status;

	rec_put(&records, REC_END, SPAN_NULL);
	send_records(d);
	status = postdrop_finish(&d, s->mem, &reason);
	if (status != 0 && reason.n > 0)
		log_fatal("%s: %.*s", who(s), SPAN_ARG(span_printable(reason, s->mem)));
	if (status != 0)
		log_fatal("%s: %s", who(s), (status & CLEANUP_STAT_SIZE) != 0 ? "message file too big" : "queue file write error");
}

void
submit(struct submission *s)
{
	struct postdrop *d;
	struct extractor x = {0};
	struct err e = {0};

	s->from = sender_address(s);
	if (s->recipients[0] == NULL && !s->extract)
		log_fatal("%s: Recipient addresses must be specified on the command line or via the -t option", who(s));
	d = postdrop_start(&e);
	if (d == NULL)
		log_fatal("%s: %s", who(s), e.text);
	put_envelope(s);
	if (s->probe)
		put_probe(s);
	else
		read_content(s, d, &x);
	rec_put(&records, REC_EXTRACT, SPAN_NULL);
	if (s->extract)
		put_extracted(s, &x);
	finish(s, d);
	extract_free(&x);
	buf_free(&records);
	if (s->trace_flags != 0)
		(void)printf("Mail Delivery Status Report will be mailed to <%.*s>.\n", SPAN_ARG(sender_address(s)));
}
