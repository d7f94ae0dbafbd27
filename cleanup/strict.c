/*
 * strict.c - what the administrator refuses or takes out whatever tables say: 8-bit text where it was not announced, encodings
 * that RFC 2045 does not allow, structures too deep, characters.
 *
 * SPDX-License-Identifier: ISC
 */
#include "base/log.h"
#include "cleanup/cleanup.h"
#include "conf/conf.h"
#include "mail/delivery_log.h"

#define DISALLOWED	"5.7.1 disallowed character"
#define EXCERPT		100		/* bytes of the header or line in the log */

static bool reject[256], strip[256];
static bool any_reject, any_strip;

static const char *const error_text[] = {
	[MIME_ERROR_DEPTH] = "MIME nesting exceeds safety limit",
	[MIME_ERROR_HEADER_8BIT] = "improper use of 8-bit data in message header",
	[MIME_ERROR_BODY_8BIT] = "improper use of 8-bit data in message body",
	[MIME_ERROR_HEADER_END] = "primary header was terminated with non-empty line",
	[MIME_ERROR_DOMAIN] = "invalid message/* or multipart/* encoding domain",
};

/* What stands behind a backslash, as in C. */
static unsigned char
escaped(struct span *in)
{
	static const char names[] = "abfnrtv", bytes[] = "\a\b\f\n\r\t\v";
	unsigned value = 0;
	size_t digits = 0;

	while (digits < 3 && digits < in->n && in->p[digits] >= '0' && in->p[digits] <= '7')
		value = value * 8 + (unsigned)(in->p[digits++] - '0');
	if (digits > 0) {
		*in = span_from(*in, digits);
		return (unsigned char)value;
	}
	char c = in->p[0];
	size_t i = span_find(span_str(names), c);

	*in = span_from(*in, 1);
	return (unsigned char)(i < sizeof names - 1 ? bytes[i] : c);
}

static bool
take_set(const char *text, bool *set)
{
	struct span in = span_str(text);
	bool any = in.n > 0;

	while (in.n > 0) {
		unsigned char c = (unsigned char)in.p[0];

		in = span_from(in, 1);
		if (c == '\\' && in.n > 0)
			c = escaped(&in);
		set[c] = true;
	}
	return any;
}

void
strict_init(void)
{
	if (conf.force_mime_input_conversion && conf.disable_mime_input_processing)
		log_fatal("force_mime_input_conversion = yes needs disable_mime_input_processing = no");
	any_reject = take_set(conf.message_reject_characters, reject);
	any_strip = take_set(conf.message_strip_characters, strip);
}

static bool
applies(const struct message *m)
{
	return (m->flags & CLEANUP_FLAG_FILTER) != 0;
}

static bool
is_looked_into(const struct message *m)
{
	for (int kind = 0; kind < CHECK_KINDS; kind++)
		if (checks_wanted(m, (enum check_kind)kind))
			return true;
	return applies(m) && (conf.strict_7bit_headers || conf.strict_8bitmime || conf.strict_8bitmime_body ||
	    conf.strict_mime_encoding_domain);
}

void
mime_error(struct message *m, enum mime_error error, struct span excerpt)
{
	struct buf b = {0};

	if ((m->mime_errors & 1u << error) != 0 || (error == MIME_ERROR_DEPTH && !is_looked_into(m)))
		return;
	buf_printf(&b, "%s: reject: mime-error %s: %.*s from %.*s; from=<%s>", m->id, error_text[error],
	    SPAN_ARG(span_to(excerpt, EXCERPT)), SPAN_ARG(m->origin.n > 0 ? m->origin : SPAN("local")), log_address(m->sender, m->mem));
	if (m->last_rcpt.n > 0)
		buf_printf(&b, " to=<%s>", log_address(m->last_rcpt, m->mem));
	log_info("%s", buf_cstr(&b));
	buf_free(&b);
	if (m->mime_errors == 0)
		m->mime_reason = error_text[error];
	m->mime_errors |= 1u << error;
}

void
strict_end(struct message *m)
{
	if (m->mime_errors != 0)
		message_trouble(m, CLEANUP_STAT_CONT, arena_printf(m->mem, "5.6.0 %s", m->mime_reason));
}

void
strict_header(struct message *m, struct span lines)
{
	if (applies(m) && (conf.strict_7bit_headers || conf.strict_8bitmime) && !span_is_ascii(lines))
		mime_error(m, MIME_ERROR_HEADER_8BIT, lines);
}

void
strict_header_block_end(struct message *m)
{
	bool compound = m->mime.type == MIME_MULTIPART || m->mime.type == MIME_MESSAGE;

	if (!applies(m) || !conf.strict_mime_encoding_domain || !compound)
		return;
	if (m->mime.encoding == MIME_QUOTED_PRINTABLE)
		mime_error(m, MIME_ERROR_DOMAIN, SPAN("quoted-printable"));
	else if (m->mime.encoding == MIME_BASE64)
		mime_error(m, MIME_ERROR_DOMAIN, SPAN("base64"));
}

void
strict_body(struct message *m, struct span line)
{
	if (applies(m) && (conf.strict_8bitmime_body || conf.strict_8bitmime) && !conf.disable_mime_input_processing &&
	    m->mime.encoding == MIME_7BIT && !span_is_ascii(line))
		mime_error(m, MIME_ERROR_BODY_8BIT, line);
}

static bool
has_any(struct span line, const bool *set)
{
	for (size_t i = 0; i < line.n; i++)
		if (set[(unsigned char)line.p[i]])
			return true;
	return false;
}

struct span
strict_clean(struct message *m, struct span line)
{
	bool cr = conf.cleanup_replace_stray_cr_lf && span_has(line, '\r');

	if (any_reject && has_any(line, reject) && message_wanted(m)) {
		log_check(m, "reject", "content", span_to(line, span_find(line, '\0')), SPAN(DISALLOWED));
		message_trouble(m, CLEANUP_STAT_CONT, DISALLOWED);
	}
	if (!cr && !(any_strip && has_any(line, strip)))
		return line;
	buf_reset(&m->clean);
	for (size_t i = 0; i < line.n; i++) {
		char c = cr && line.p[i] == '\r' ? ' ' : line.p[i];

		if (!any_strip || !strip[(unsigned char)c])
			buf_byte(&m->clean, c);
	}
	return buf_view(&m->clean);
}
