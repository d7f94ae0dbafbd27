/*
 * text.c - header or body? A header line is "name:" or starts with a blank; a piece of a long line goes with the line.
 *
 * SPDX-License-Identifier: ISC
 */
#include "postcat/postcat.h"

static bool
looks_like_header(struct span line)
{
	size_t n = 0;

	if (line.n > 0 && (line.p[0] == ' ' || line.p[0] == '\t'))
		return true;
	while (n < line.n && line.p[n] > ' ' && line.p[n] < 127 && line.p[n] != ':')
		n++;
	size_t name = n;

	while (n < line.n && (line.p[n] == ' ' || line.p[n] == '\t'))
		n++;
	return name > 0 && n < line.n && line.p[n] == ':';
}

enum text_verdict
text_filter_next(struct text_filter *f, const struct rec *r)
{
	const bool header = looks_like_header(r->payload);
	const bool piece = f->last == REC_CONT && (f->flags & (SHOW_OFFSET | SHOW_PHYSICAL)) == 0;	/* else a line of its own */

	f->last = r->type;
	if ((f->flags & (SHOW_HEADER | SHOW_BODY)) == (SHOW_HEADER | SHOW_BODY))
		return TEXT_SHOW;
	if (f->flags & SHOW_BODY) {
		/* Pieces are judged like lines here: what follows a very long header line counts as body. */
		f->body_started = f->body_started || !header;
		return f->body_started ? TEXT_SHOW : TEXT_SKIP;
	}
	f->header_over = f->header_over || (!piece && !header);
	return f->header_over || (f->flags & SHOW_HEADER) == 0 ? TEXT_ENOUGH : TEXT_SHOW;
}
