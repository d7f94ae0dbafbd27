/*
 * missing.c - headers that every message should have, added to those that lack them.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "cleanup/cleanup.h"
#include "conf/conf.h"
#include "smtp/address.h"
#include "smtp/encoded_word.h"

static void
put_header(struct message *m, const char *name, const char *value)
{
	bool resent = (m->headers & SEEN_RESENT) != 0;

	content_put_lines(m, span_str(arena_printf(m->mem, "%s%s: %s", resent ? "Resent-" : "", name, value)));
}

static const char *
new_message_id(struct message *m)
{
	char when[32];
	struct tm tm = {0};
	time_t at = m->created.tv_sec;

	if (conf.enable_long_queue_ids)
		return arena_printf(m->mem, "<%s@%s>", m->id, conf.myhostname);
	(void)gmtime_r(&at, &tm);
	(void)strftime(when, sizeof when, "%Y%m%d%H%M%S", &tm);
	return arena_printf(m->mem, "<%s.%s@%s>", when, m->id, conf.myhostname);
}

static void
add_message_id(struct message *m)
{
	bool resent = (m->headers & SEEN_RESENT) != 0;
	const char *id = new_message_id(m);

	put_header(m, "Message-Id", id);
	log_info("%s: %smessage-id=%s", m->id, resent ? "resent-" : "", id);
	if (!resent)
		m->message_id = span_str(id);
}

/* RFC 5322 phrase: atoms as they are, anything else in quotes. */
static const char *
phrase(struct message *m, struct span name)
{
	struct buf out = {0};
	bool plain = true;

	for (size_t i = 0; i < name.n; i++)
		if (!ascii_alnum(name.p[i]) && name.p[i] != ' ' && strchr("!#$%&'*+-/=?^_`{|}~", name.p[i]) == NULL)
			plain = false;
	if (!plain)
		buf_byte(&out, '"');
	for (size_t i = 0; i < name.n; i++) {
		if (name.p[i] == '"' || name.p[i] == '\\')
			buf_byte(&out, '\\');
		buf_byte(&out, name.p[i]);
	}
	if (!plain)
		buf_byte(&out, '"');
	const char *text = span_cstr(buf_view(&out), m->mem);

	buf_free(&out);
	return text;
}

/* A name that is not ASCII, as words that any header may hold; NULL: it is ASCII, or full_name_encoding_charset is of no use. */
static const char *
encoded(struct message *m)
{
	struct buf b = {0};
	const char *text = NULL;

	if (!span_is_ascii(m->full_name) && encoded_words(m->full_name, span_str(conf.full_name_encoding_charset), &b))
		text = span_cstr(buf_view(&b), m->mem);
	buf_free(&b);
	return text;
}

static void
add_from(struct message *m)
{
	const char *name = encoded(m);
	struct span sender = m->sender.n > 0 ? address_quote(m->sender, m->mem) : SPAN("MAILER-DAEMON");
	const char *value;

	if (m->full_name.n == 0)
		value = span_cstr(sender, m->mem);
	else if (strcmp(conf.header_from_format, "obsolete") == 0)
		value = arena_printf(m->mem, "%.*s (%s)", SPAN_ARG(sender),
		    name != NULL ? name : span_cstr(m->full_name, m->mem));
	else
		value = arena_printf(m->mem, "%s <%.*s>", name != NULL ? name : phrase(m, m->full_name), SPAN_ARG(sender));
	put_header(m, "From", value);
}

void
add_missing_headers(struct message *m)
{
	bool resent = (m->headers & SEEN_RESENT) != 0;
	char date[64];

	if ((m->headers & (resent ? SEEN_RESENT_ID : SEEN_MESSAGE_ID)) == 0)
		add_message_id(m);
	if ((m->headers & (resent ? SEEN_RESENT_DATE : SEEN_DATE)) == 0) {
		clock_mail_date(m->arrival.tv_sec, date, sizeof date);
		put_header(m, "Date", date);
	}
	if ((m->headers & (resent ? SEEN_RESENT_FROM : SEEN_FROM)) == 0)
		add_from(m);
	if ((m->headers & SEEN_RECIPIENT) == 0 && conf.undisclosed_recipients_header[0] != '\0')
		content_put_lines(m, span_str(conf.undisclosed_recipients_header));
}
