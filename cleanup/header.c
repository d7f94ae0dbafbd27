/*
 * header.c - headers: which are dropped, which hold addresses to complete, which say what the body is.
 * A header whose addresses need no change is copied byte for byte.
 *
 * SPDX-License-Identifier: ISC
 */
#include "base/log.h"
#include "cleanup/cleanup.h"
#include "conf/conf.h"
#include "mail/rewrite.h"
#include "smtp/address.h"

enum { SENDERS = 1, RECIPIENTS = 2, COUNT_HOP = 4, ENCODING = 8, MESSAGE_ID = 16, RESENT_ID = 32, TLS_REQUIRED = 64 };

#define HEADER_SHOWN	100u		/* bytes of a bad header that go into the log */

static const struct header_kind {
	const char *name;
	unsigned seen, action;
} kinds[] = {
	{ "Apparently-To", 0, RECIPIENTS },
	{ "Bcc", 0, RECIPIENTS },
	{ "Cc", SEEN_RECIPIENT, RECIPIENTS },
	{ "Content-Transfer-Encoding", 0, ENCODING },
	{ "Date", SEEN_DATE, 0 },
	{ "Disposition-Notification-To", 0, SENDERS },
	{ "Errors-To", 0, SENDERS },
	{ "From", SEEN_FROM, SENDERS },
	{ "Mail-Followup-To", 0, SENDERS },
	{ "Message-Id", SEEN_MESSAGE_ID, MESSAGE_ID },
	{ "Received", SEEN_RECEIVED, COUNT_HOP },
	{ "Reply-To", 0, SENDERS },
	{ "Resent-Bcc", SEEN_RESENT, RECIPIENTS },
	{ "Resent-Cc", SEEN_RESENT | SEEN_RECIPIENT, RECIPIENTS },
	{ "Resent-Date", SEEN_RESENT | SEEN_RESENT_DATE, 0 },
	{ "Resent-From", SEEN_RESENT | SEEN_RESENT_FROM, SENDERS },
	{ "Resent-Message-Id", SEEN_RESENT | SEEN_RESENT_ID, RESENT_ID },
	{ "Resent-Reply-To", SEEN_RESENT, RECIPIENTS },
	{ "Resent-Sender", SEEN_RESENT, SENDERS },
	{ "Resent-To", SEEN_RESENT | SEEN_RECIPIENT, RECIPIENTS },
	{ "Return-Path", 0, SENDERS },
	{ "Return-Receipt-To", 0, SENDERS },
	{ "Sender", 0, SENDERS },
	{ "TLS-Required", 0, TLS_REQUIRED },
	{ "To", SEEN_RECIPIENT, RECIPIENTS },
};

static const struct header_kind *
find_kind(struct span name)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (span_iis(name, kinds[i].name))
			return &kinds[i];
	return NULL;
}

static bool
is_dropped(struct span name)
{
	struct span list = span_str(conf.message_drop_headers), word;

	while (span_take_word(&list, ", \t\r\n", &word))
		if (span_ieq(word, name))
			return true;
	return false;
}

static bool
rewriting(const struct message *m)
{
	return !span_is(m->context, "remote") || conf.remote_header_rewrite_domain[0] != '\0';
}

/* Completed, and mapped as its class says. External form on both sides. */
static bool
rewrite_one(struct message *m, enum address_class class, struct span address, struct span *out)
{
	const char *rule = span_is(m->context, "remote") ? "remote" : "local";
	struct span internal, mapped;

	if (!rewrite_external(rule, address, m->mem, out)) {
		message_trouble(m, CLEANUP_STAT_DEFER, NULL);
		return false;
	}
	if ((m->flags & CLEANUP_FLAG_MAP_OK) == 0)
		return true;
	internal = address_unquote(*out, m->mem);
	if (!map_canonical(m, class, internal, &mapped))
		return false;
	if (!span_eq(mapped, internal))
		*out = address_quote(mapped, m->mem);
	return true;
}

/* In place. False: nothing changed, or trouble was noted. */
static bool
rewrite_list(struct message *m, enum address_class class, struct address_list *list)
{
	bool changed = false;

	for (size_t i = 0; i < list->n; i++) {
		struct address_item *item = &list->p[i];
		struct span out;

		if (item->kind != ADDRESS_MAILBOX || item->address.n == 0)
			continue;
		if (!rewrite_one(m, class, item->spelled, &out))
			return false;
		changed = changed || !span_eq(out, item->spelled);
		item->address = out;
	}
	return changed;
}

/* As much of a header as header_size_limit allows: whole lines when that leaves out less than a tenth. */
static struct span
fitting(struct span lines)
{
	size_t limit = (size_t)conf.header_size_limit, lf;

	if (lines.n <= limit)
		return lines;
	lines = span_to(lines, limit);
	lf = span_rfind(lines, '\n');
	return lf < lines.n && lf > limit / 10 * 9 ? span_to(lines, lf) : lines;
}

/* A header as it goes into the file. */
static void
put_header(struct message *m, struct span lines)
{
	if (!span_is_ascii(lines))
		m->size.sendopts |= SENDOPT_HEADER_UTF8 | utf8_detected(m);
	content_put_lines(m, lines);
}

static void
put_addresses(struct message *m, enum address_class class, struct span name, struct span value, struct span original)
{
	struct address_list list = address_list_parse(value, (size_t)conf.header_address_token_limit, m->mem);

	if (!rewrite_list(m, class, &list)) {
		put_header(m, original);
		return;
	}
	struct buf out = {0};

	buf_span(&out, name);
	buf_byte(&out, ':');
	address_list_print(&list, &out);
	put_header(m, fitting(buf_view(&out)));
	buf_free(&out);
}

/* The MIME engine has just read the header. */
static void
take_encoding(struct message *m)
{
	if (conf.detect_8bit_encoding_header && (m->mime.encoding == MIME_8BIT || m->mime.encoding == MIME_BINARY))
		m->encoding = SPAN("8bit");
}

static void
take_id(struct message *m, const struct header_kind *k, struct span value)
{
	bool resent = (k->action & RESENT_ID) != 0;
	struct span id = value;
	struct span *keep = resent ? &m->resent_id : &m->message_id;

	while (id.n > 0 && ascii_space(id.p[0]))
		id = span_from(id, 1);
	log_info("%s: %smessage-id=%.*s", m->id, resent ? "resent-" : "", SPAN_ARG(id));
	id = span_rtrim(id);
	if (keep->n == 0 && !span_has(id, '\n'))
		*keep = span_copy(id, m->mem);
}

/* RFC 8689, section 5: "No" is all that it can say. */
static void
take_tls_required(struct message *m, struct span value, struct span lines)
{
	if (!conf.tls_required_enable)
		return;
	if (span_iis(span_trim(value), "no"))
		m->size.sendopts |= SENDOPT_TLS_NOT_REQUIRED;
	else
		log_warning("ignoring malformed header: %.*s", SPAN_ARG(span_printable(span_to(lines, HEADER_SHOWN), m->mem)));
}

static void
count_hop(struct message *m)
{
	if (++m->hops < (unsigned)conf.hopcount_limit)
		return;
	log_warning("%s: message rejected: hopcount exceeded", m->id);
	message_trouble(m, CLEANUP_STAT_HOPS, NULL);
}

/* "Name: value" apart; blanks before the colon are taken out of *lines. */
static bool
split_header(struct message *m, struct span *lines, struct span *name, struct span *value)
{
	struct span raw_name;

	*value = *lines;
	if (!span_take_until(value, ':', &raw_name))
		return false;
	*name = span_rtrim(raw_name);
	if (name->n != raw_name.n) {		/* "Date : x" */
		*lines = span_str(arena_printf(m->mem, "%.*s:%.*s", SPAN_ARG(*name), SPAN_ARG(*value)));
		*value = span_from(*lines, name->n + 1);
	}
	return true;
}

/* Whatever a table has to say to it. False: it is gone. */
static bool
checked(struct message *m, enum check_kind kind, struct span *lines, struct span *name, struct span *value)
{
	if (mime_is_mime_header(*name))
		kind = CHECK_MIME;
	switch (check_text(m, kind, lines)) {
	case CHECK_DROP:
		return false;
	case CHECK_REPLACE:
		return split_header(m, lines, name, value);
	case CHECK_KEEP:
	case CHECK_FAILED:
		break;
	}
	return true;
}

/* Tells the MIME engine; a structure too deep to be looked into is refused where something looks into it. */
static void
note_structure(struct message *m, struct span name, struct span value, struct span lines)
{
	bool told = m->mime.too_deep;

	strict_header(m, lines);
	mime_header(&m->mime, name, value);
	if (m->mime.too_deep && !told)
		mime_error(m, MIME_ERROR_DEPTH, lines);
}

void
header_take(struct message *m, struct span lines)
{
	struct span name, value;

	lines = fitting(lines);
	if (!split_header(m, &lines, &name, &value))
		return;
	note_structure(m, name, value, lines);
	if (!checked(m, CHECK_HEADER, &lines, &name, &value) || !message_wanted(m))
		return;
	const struct header_kind *k = find_kind(name);
	const unsigned action = k != NULL ? k->action : 0;

	if (k != NULL)
		m->headers |= k->seen;
	if (is_dropped(name))
		return;
	if (action & COUNT_HOP)
		count_hop(m);
	if (action & ENCODING)
		take_encoding(m);
	if (action & TLS_REQUIRED)
		take_tls_required(m, value, lines);
	if (action & (MESSAGE_ID | RESENT_ID))
		take_id(m, k, value);
	if ((action & (SENDERS | RECIPIENTS)) != 0 && rewriting(m))
		put_addresses(m, (action & SENDERS) != 0 ? HEADER_SENDER : HEADER_RECIPIENT, name, value, lines);
	else
		put_header(m, lines);
}

void
header_take_part(struct message *m, struct span lines)
{
	struct span name, value;
	enum check_kind kind = m->mime.state == MIME_NESTED ? CHECK_NESTED : CHECK_MIME;

	lines = fitting(lines);
	if (!split_header(m, &lines, &name, &value))
		return;
	note_structure(m, name, value, lines);
	if (!checked(m, kind, &lines, &name, &value))
		return;
	if (span_iis(name, "Content-Transfer-Encoding"))
		take_encoding(m);
	put_header(m, lines);
}

void
header_end(struct message *m)
{
	if (!message_wanted(m))
		return;
	if (rewriting(m) || conf.always_add_missing_headers)
		add_missing_headers(m);
	if (m->message_id.n == 0 && (m->headers & SEEN_MESSAGE_ID) == 0)
		log_info("%s: message-id=<>", m->id);
}
