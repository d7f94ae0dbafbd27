/*
 * reply.c - server replies. The server is a stranger: any bytes, any number of lines.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "smtp/reply.h"

void
smtp_reply_reset(struct smtp_reply *r)
{
	struct buf text = r->text;

	buf_reset(&text);
	*r = (struct smtp_reply){ .text = text };
}

void
smtp_reply_free(struct smtp_reply *r)
{
	buf_free(&r->text);
	*r = (struct smtp_reply){0};
}

static void
add_text(struct smtp_reply *r, struct span line)
{
	size_t start;

	if (r->text.n + line.n + 1 > SMTP_REPLY_TEXT_MAX)
		return;
	if (r->text.n > 0)
		buf_byte(&r->text, '\n');
	start = r->text.n;
	buf_span(&r->text, line);
	for (size_t i = start; i < r->text.n; i++)
		if ((unsigned char)r->text.p[i] < 32 || (unsigned char)r->text.p[i] > 126)
			r->text.p[i] = '?';
}

static bool
take_number(struct span *in, char *out, size_t *n)
{
	size_t digits = 0;

	while (digits < in->n && digits < 3 && ascii_digit(in->p[digits]))
		out[(*n)++] = in->p[digits++];
	*in = span_from(*in, digits);
	return digits > 0;
}

/* "5.1.1" behind the code, of the same class as the code. */
static void
find_dsn(struct smtp_reply *r, struct span rest)
{
	size_t n = 0;
	char text[sizeof r->dsn] = "";

	r->dsn[0] = '\0';
	if (rest.n < 5 || rest.p[0] - '0' != r->code / 100 || strchr("245", rest.p[0]) == NULL || rest.p[1] != '.')
		return;
	text[n++] = rest.p[0];
	text[n++] = '.';
	rest = span_from(rest, 2);
	if (!take_number(&rest, text, &n) || !span_take_byte(&rest, '.'))
		return;
	text[n++] = '.';
	if (!take_number(&rest, text, &n) || (rest.n > 0 && !ascii_space(rest.p[0])))
		return;
	memcpy(r->dsn, text, n);
	r->dsn[n] = '\0';
}

enum smtp_reply_state
smtp_reply_line(struct smtp_reply *r, struct span line)
{
	struct span s = span_to(span_rtrim(line), SMTP_REPLY_LINE_MAX);
	bool last;

	r->lines++;
	if (s.n < 3 || s.p[0] < '1' || s.p[0] > '9' || !ascii_digit(s.p[1]) || !ascii_digit(s.p[2]) ||
	    (s.n > 3 && s.p[3] != ' ' && s.p[3] != '-')) {
		r->garbage = true;
		add_text(r, s);
		return r->lines >= SMTP_REPLY_LINES_MAX ? SMTP_REPLY_ENDLESS : SMTP_REPLY_MORE;
	}
	last = s.n == 3 || s.p[3] == ' ';
	r->code = (s.p[0] - '0') * 100 + (s.p[1] - '0') * 10 + (s.p[2] - '0');
	add_text(r, s);
	find_dsn(r, span_trim(span_from(s, 4)));
	if (last)
		return SMTP_REPLY_DONE;
	return r->lines >= SMTP_REPLY_LINES_MAX ? SMTP_REPLY_ENDLESS : SMTP_REPLY_MORE;
}
