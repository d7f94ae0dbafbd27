/*
 * log.c - what the log says about a session. Clients' bytes are made printable, and what they prove who they are with is left out.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "smtp/address.h"
#include "smtpd/smtpd.h"

#define BLANKS	" \t\r\n\v\f"

static void
put_address(struct smtpd *s, struct buf *b, const char *name, struct span address)
{
	bool internal = strcmp(conf.info_log_address_format, "internal") == 0;
	struct span text = internal ? address : address_quote(address, s->work);

	buf_printf(b, " %s=<%.*s>", name, SPAN_ARG(text));
}

static void
put_facts(struct smtpd *s, struct buf *b)
{
	if (s->in_mail)
		put_address(s, b, "from", s->sender);
	if (s->recipient != NULL)
		put_address(s, b, "to", span_str(s->recipient));
	buf_printf(b, " proto=%s", s->protocol);
	if (s->helo != NULL)
		buf_printf(b, " helo=<%s>", s->helo);
}

void
smtpd_log_event(struct smtpd *s, const char *action, const char *text)
{
	struct buf b = {0};

	buf_printf(&b, "%s: %s: %s from %s: %s;", smtpd_queue_id(s), action, s->server.where, s->client.id, text);
	put_facts(s, &b);
	if (s->sasl_method != NULL)
		buf_printf(&b, " sasl_method=%s", s->sasl_method);
	if (s->sasl_username != NULL)
		buf_printf(&b, " sasl_username=%s", s->sasl_username);
	if (s->sasl_sender != NULL)
		buf_printf(&b, " sasl_sender=%s", s->sasl_sender);
	log_info("%s", buf_cstr(&b));
	buf_free(&b);
}

void
smtpd_log_filter(struct smtpd *s, const char *action, const char *text)
{
	struct buf b = {0};

	if (s->nrcpt > 0)
		s->recipient = span_cstr(s->rcpt[0].address, s->work);
	buf_printf(&b, "%s: END-OF-MESSAGE: %s;", action, text);
	put_facts(s, &b);
	if (s->sasl_username != NULL)
		buf_printf(&b, " sasl_username=<%s>", s->sasl_username);
	log_info("%s", buf_cstr(&b));
	buf_free(&b);
	s->recipient = NULL;
}

const char *
smtpd_escaped(struct span in, size_t max, struct arena *mem)
{
	static const char from[] = "\r\n\t\b\f\v\a\\", to[] = "rntbfva\\";
	struct buf b = {0};
	const char *result, *at;

	for (size_t i = 0; i < in.n && i < max; i++) {
		char c = in.p[i];

		if (c != '\0' && (at = strchr(from, c)) != NULL) {
			buf_byte(&b, '\\');
			buf_byte(&b, to[at - from]);
		} else if ((unsigned char)c < 32 || (unsigned char)c >= 127) {
			buf_printf(&b, "\\%03o", (unsigned char)c);
		} else {
			buf_byte(&b, c);
		}
	}
	result = span_cstr(buf_view(&b), mem);
	buf_free(&b);
	return result;
}

/* Bytes of an AUTH command that may be shown, all but its initial response; 0: there is none in it. */
static size_t
shown_of(struct span line)
{
	struct span rest = line, word;

	if (!span_take_word(&rest, BLANKS, &word) || !span_iis(word, "AUTH") || !span_take_word(&rest, BLANKS, &word) || span_trim(rest).n == 0)
		return 0;
	return (size_t)(word.p + word.n - line.p);
}

static struct span
first_line(struct span in)
{
	return span_to(in, span_find(in, '\n') + 1);
}

static bool
has_secret(struct span input)
{
	struct span line;

	for (; input.n > 0; input = span_from(input, line.n)) {
		line = first_line(input);
		if (shown_of(line) > 0)
			return true;
	}
	return false;
}

struct span
smtpd_without_secrets(struct span input, struct arena *mem)
{
	struct buf b = {0};
	struct span line;

	if (!has_secret(input))			/* every command comes by here */
		return input;
	for (; input.n > 0; input = span_from(input, line.n)) {
		line = first_line(input);
		const size_t shown = shown_of(line);

		buf_span(&b, shown > 0 ? span_to(line, shown) : line);
		if (shown > 0) {
			buf_str(&b, " ***");
			buf_span(&b, span_from(line, span_rtrim(line).n));
		}
	}
	line = span_copy(buf_view(&b), mem);
	buf_free(&b);
	return line;
}
