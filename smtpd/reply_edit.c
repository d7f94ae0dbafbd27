/*
 * reply_edit.c - what is done with every reply before it leaves: smtpd_reject_filter_maps, smtpd_reject_footer,
 * soft_bounce, in this order. Only 4xx and 5xx are touched.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "conf/conf.h"
#include "conf/expand.h"
#include "map/maps.h"
#include "smtp/address.h"
#include "smtpd/smtpd.h"

static struct maps *filter_maps, *footer_maps;
static bool allowed[256];		/* smtpd_expansion_filter */

/* One character of a C-like text: \t, \n, \40 (octal), \\. */
static char
take_escaped(struct span *in)
{
	static const char from[] = "abfnrtv", to[] = "\a\b\f\n\r\t\v";
	char c = in->p[0];
	const char *at;
	unsigned octal = 0, digits = 0;

	*in = span_from(*in, 1);
	if (c != '\\' || in->n == 0)
		return c;
	while (digits < 3 && digits < in->n && in->p[digits] >= '0' && in->p[digits] <= '7')
		octal = octal * 8 + (unsigned)(in->p[digits++] - '0');
	if (digits > 0) {
		*in = span_from(*in, digits);
		return (char)octal;
	}
	c = in->p[0];
	*in = span_from(*in, 1);
	return c != '\0' && (at = strchr(from, c)) != NULL ? to[at - from] : c;
}

void
reply_edit_init(void)
{
	struct span in = span_str(conf.smtpd_expansion_filter);

	filter_maps = maps_open("smtpd_reject_filter_maps", conf.smtpd_reject_filter_maps, 0);
	footer_maps = maps_open("smtpd_reject_footer_maps", conf.smtpd_reject_footer_maps, 0);
	while (in.n > 0)
		allowed[(unsigned char)take_escaped(&in)] = true;
}

static bool
is_reject(struct span text)
{
	return text.n > 4 && (text.p[0] == '4' || text.p[0] == '5') && ascii_digit(text.p[1]) && ascii_digit(text.p[2]) &&
	    (text.p[3] == ' ' || text.p[3] == '-');
}

/* --- names in footers and RBL replies --- */

static const char *
mailbox(struct smtpd *s, struct span address, char part)
{
	struct span local, domain;

	(void)address_split(address, &local, &domain);
	if (part == 'd')
		return span_cstr(domain, s->work);
	if (address.n == 0)
		return "<>";
	return span_cstr(part == 'n' ? local : address_quote(address, s->work), s->work);
}

static const char *
now(struct smtpd *s)
{
	char text[64];
	time_t at = time(NULL);
	struct tm tm = {0};

	(void)localtime_r(&at, &tm);
	(void)strftime(text, sizeof text, "%b %d %H:%M:%S", &tm);
	return arena_printf(s->work, "%s", text);
}

static const char *
value_of(struct smtpd *s, struct span name)
{
	const struct { const char *name, *value; } plain[] = {
		{ "client", s->client.id }, { "client_name", s->client.name }, { "client_address", s->client.address },
		{ "client_port", s->client.port }, { "reverse_client_name", s->client.reverse_name }, { "helo_name", s->helo },
		{ "server_name", conf.myhostname },
	};

	for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
		if (span_is(name, plain[i].name))
			return plain[i].value;
	if (span_is(name, "localtime"))
		return now(s);
	/* "sender", "sender_name", "sender_domain", and the same of the recipient */
	if (s->in_mail && span_take(&name, SPAN("sender")))
		return mailbox(s, s->sender, name.n > 1 ? name.p[1] : '\0');
	if (s->recipient != NULL && span_take(&name, SPAN("recipient")))
		return mailbox(s, span_str(s->recipient), name.n > 1 ? name.p[1] : '\0');
	return NULL;
}

const char *
reply_safe(struct smtpd *s, const char *value)
{
	char *safe;

	if (value == NULL || *value == '\0')
		return NULL;
	safe = span_cstr(span_str(value), s->work);
	for (char *p = safe; *p != '\0'; p++)
		if (!allowed[(unsigned char)*p])
			*p = '_';
	return safe;
}

const char *
reply_value(struct smtpd *s, const char *name)
{
	return reply_safe(s, value_of(s, span_str(name)));
}

static const char *
footer_name(const char *name, enum expand_mode mode, void *arg)
{
	(void)mode;
	return reply_value(arg, name);
}

/* --- the edits --- */

/* "550 5.1.1 ": what each further line of a reply begins with. */
static struct span
prefix_of(struct span line)
{
	struct span rest = span_from(line, 4);
	size_t n = span_find(rest, ' ');

	if (n == rest.n || n < 5 || rest.p[0] != line.p[0] || rest.p[1] != '.')
		return span_to(line, 4);
	for (size_t i = 0; i < n; i++)
		if (!ascii_digit(rest.p[i]) && rest.p[i] != '.')
			return span_to(line, 4);
	return span_to(line, 4 + n + 1);
}

/* template: "\c" in front continues the last line, "\n" starts a new one. */
static void
put_footer(struct smtpd *s, struct buf *text, struct span template)
{
	struct buf out = {0};
	struct span reply = span_chomp(buf_view(text)), last = reply, piece;
	size_t lf = span_rfind(reply, '\n');
	bool same_line = span_take(&template, SPAN("\\c"));

	if (lf < reply.n)
		last = span_from(reply, lf + 1);
	struct span prefix = span_copy(prefix_of(last), s->work);

	buf_span(&out, reply);
	for (bool more = true; more; same_line = false) {
		size_t end = span_find_span(template, SPAN("\\n"));

		piece = span_to(template, end);
		more = end < template.n;
		template = span_from(template, end + 2);
		if (!same_line) {
			buf_str(&out, "\r\n");
			buf_span(&out, prefix);
		}
		if ((expand(piece, 0, footer_name, s, &out) & EXPAND_ERROR) != 0) {
			log_warning("bad syntax in smtpd_reject_footer: %.*s", SPAN_ARG(piece));
			buf_free(&out);
			return;
		}
	}
	buf_str(&out, "\r\n");
	buf_free(text);
	*text = out;
}

static void
add_footer(struct smtpd *s, struct buf *text)
{
	struct span template = span_str(conf.smtpd_reject_footer), found;

	if (maps_count(footer_maps) > 0 &&
	    maps_get(footer_maps, span_chomp(buf_view(text)), 0, s->work, &found, NULL) == MAP_FOUND)
		template = found;
	if (template.n > 0)
		put_footer(s, text, template);
}

/* A status behind the code must be of the code's class. */
static bool
is_good_filter_result(struct span v)
{
	return is_reject(v) && (!ascii_digit(v.p[4]) || v.p[4] == v.p[0]);
}

static void
filter(struct smtpd *s, struct buf *text)
{
	struct span reply = span_chomp(buf_view(text)), value;

	if (maps_count(filter_maps) == 0 || maps_get(filter_maps, reply, 0, s->work, &value, NULL) != MAP_FOUND)
		return;
	if (!is_good_filter_result(value)) {
		log_warning("smtpd_reject_filter_maps: bad result \"%.100s\" for \"%.100s\"", span_cstr(value, s->work),
		    span_cstr(reply, s->work));
		return;
	}
	log_info("%s: reply filter in: %s", smtpd_queue_id(s), span_cstr(reply, s->work));
	log_info("%s: reply filter out: %s", smtpd_queue_id(s), span_cstr(value, s->work));
	buf_reset(text);
	buf_span(text, value);
	buf_str(text, "\r\n");
}

/* 5xx becomes 4xx, in the code and in the status that may follow it, on each line. */
static void
soften(struct buf *text)
{
	for (size_t i = 0; i < text->n;) {
		size_t lf = i + span_find(span_from(buf_view(text), i), '\n');

		if (text->p[i] == '5') {
			text->p[i] = '4';
			if (i + 5 < text->n && text->p[i + 4] == '5' && text->p[i + 5] == '.')
				text->p[i + 4] = '4';
		}
		i = lf + 1;
	}
}

void
reply_edit(struct smtpd *s, struct buf *text)
{
	if (is_reject(buf_view(text)))
		filter(s, text);
	if (is_reject(buf_view(text)))
		add_footer(s, text);
	if (conf.soft_bounce)
		soften(text);
}
