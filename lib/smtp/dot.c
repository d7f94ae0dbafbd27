/*
 * dot.c - content on the wire, both ways. The decoder trusts nothing and holds no content back but CRs; the caller
 * limits the size.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "smtp/dot.h"

#define HELD_CR_MAX	1000u	/* more CRs in a row are text, so that a peer cannot make us hold gigabytes of them */

static void
put_held(struct smtp_dot_in *d, size_t keep, struct buf *out)
{
	while (keep-- > 0)
		buf_byte(out, '\r');
	d->held_cr = 0;
}

/* A line feed has come. True: it ends the data. */
static bool
line_feed(struct smtp_dot_in *d, bool dots, struct buf *out)
{
	bool crlf = d->held_cr > 0;
	size_t keep = crlf && !d->lenient ? d->held_cr - 1 : 0;
	bool end = dots && d->at == SMTP_DOT_DOT && keep == 0 && (d->lenient || (crlf && !d->after_bare_lf));

	if (!crlf)
		d->bare_lf = true;
	d->after_bare_lf = !crlf;
	d->at = SMTP_DOT_START;
	put_held(d, keep, out);
	if (!end)
		buf_byte(out, '\n');
	return end;
}

static bool
decode(struct smtp_dot_in *d, bool dots, struct span *in, struct buf *out)
{
	buf_reserve(out, in->n);
	while (in->n > 0) {
		const char *lf;
		size_t len, text;

		if (dots && d->at == SMTP_DOT_START && d->held_cr == 0 && in->p[0] == '.') {
			d->at = SMTP_DOT_DOT;
			*in = span_from(*in, 1);
			continue;
		}
		lf = memchr(in->p, '\n', in->n);
		len = lf != NULL ? (size_t)(lf - in->p) : in->n;
		text = len;
		while (text > 0 && in->p[text - 1] == '\r')
			text--;
		if (text > 0) {
			put_held(d, d->held_cr, out);
			buf_add(out, in->p, text);
			d->at = SMTP_DOT_MID;
		}
		d->held_cr += len - text;
		if (d->held_cr > HELD_CR_MAX) {
			put_held(d, d->held_cr - 1, out);
			d->held_cr = 1;
			d->at = SMTP_DOT_MID;
		}
		*in = span_from(*in, lf != NULL ? len + 1 : len);
		if (lf != NULL && line_feed(d, dots, out))
			return true;
	}
	return false;
}

bool
smtp_dot_decode(struct smtp_dot_in *d, struct span *in, struct buf *out)
{
	return decode(d, true, in, out);
}

void
smtp_chunk_decode(struct smtp_dot_in *d, struct span in, struct buf *out)
{
	(void)decode(d, false, &in, out);
}

void
smtp_chunk_end(struct smtp_dot_in *d, struct buf *out)
{
	put_held(d, d->held_cr, out);
	if (d->at != SMTP_DOT_START)
		buf_byte(out, '\n');
	d->at = SMTP_DOT_START;
}

static void
blank(struct buf *out, size_t from, char bad)
{
	while (from < out->n) {
		char *at = memchr(out->p + from, bad, out->n - from);

		if (at == NULL)
			return;
		*at = ' ';
		from = (size_t)(at + 1 - out->p);
	}
}

static void
put_line_part(struct smtp_dot_out *d, struct span text, struct buf *out)
{
	size_t start = out->n;

	if (d->column == 0 && text.n > 0 && text.p[0] == '.')
		buf_byte(out, '.');
	start = out->n;
	buf_span(out, text);
	blank(out, start, '\r');
	blank(out, start, '\n');
	d->column += text.n;
}

void
smtp_dot_encode(struct smtp_dot_out *d, struct span text, bool line_end, struct buf *out)
{
	while (d->line_limit > 0 && d->column + text.n > d->line_limit) {
		size_t room = d->line_limit - d->column;

		put_line_part(d, span_to(text, room), out);
		text = span_from(text, room);
		buf_str(out, "\r\n ");
		d->column = 1;
		d->broke_line = true;
		if (d->line_limit == 1)
			break;
	}
	put_line_part(d, text, out);
	if (line_end) {
		buf_str(out, "\r\n");
		d->column = 0;
	}
}

void
smtp_dot_end(struct smtp_dot_out *d, struct buf *out)
{
	if (d->column > 0)
		buf_str(out, "\r\n");
	d->column = 0;
	buf_str(out, ".\r\n");
}
