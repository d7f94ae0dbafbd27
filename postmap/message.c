/*
 * message.c - a message on standard input, its headers and body lines asked one by one (-h, -b, -m): what header_checks
 * and body_checks would see.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>

#include "base/arena.h"
#include "mail/mime.h"
#include "postmap/postmap.h"

struct reader {
	const struct options *o;
	const struct vec *tables;
	struct arena *mem;
	struct mime mime;
	struct buf header;	/* with its continuation lines */
	bool in_header, found;
};

static void
ask(struct reader *r, bool wanted, struct span text)
{
	if (wanted)
		r->found |= ask_all(r->o, r->tables, text, r->mem);
}

/* The header is complete. Those of parts count with -m only. */
static void
end_header(struct reader *r)
{
	struct span value = buf_view(&r->header), name;

	if (value.n == 0)
		return;
	ask(r, r->o->headers, value);
	if (span_take_until(&value, ':', &name))
		mime_header(&r->mime, name, value);
	buf_reset(&r->header);
}

/* "Name: value", white space before the colon goes. */
static bool
take_header(struct reader *r, struct span line)
{
	const size_t colon = span_find(line, ':');
	const struct span name = span_trim(span_to(line, colon));

	if (colon == line.n || name.n == 0 || name.p != line.p)
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (!ascii_print(name.p[i]) || name.p[i] == ' ')
			return false;
	end_header(r);
	buf_span(&r->header, name);
	buf_span(&r->header, span_from(line, colon));
	return true;
}

static void
body_line(struct reader *r, struct span line)
{
	if (r->o->mime && mime_boundary(&r->mime, line))
		r->in_header = r->mime.state != MIME_BODY;
	ask(r, r->o->body, line);
}

static void
header_line(struct reader *r, struct span line)
{
	if (r->header.n > 0 && line.n > 0 && (*line.p == ' ' || *line.p == '\t')) {
		buf_byte(&r->header, '\n');
		buf_span(&r->header, line);
		return;
	}
	if (take_header(r, line))
		return;
	end_header(r);
	mime_header_end(&r->mime);
	r->in_header = r->o->mime && r->mime.state == MIME_NESTED;
	/* The line that ends a header is there even when it is missing. */
	ask(r, r->o->body, SPAN_NULL);
	if (line.n > 0)
		body_line(r, line);
}

int
query_message(const struct options *o, char **spec)
{
	struct vec tables = open_all(o, spec, 0);
	struct reader r = { .o = o, .tables = &tables, .mem = arena_new(), .in_header = true };
	char *memory = NULL;
	size_t cap = 0;
	struct span line;

	mime_init(&r.mime);
	for (; next_line(&line, &memory, &cap); arena_reset(r.mem))
		(r.in_header ? header_line : body_line)(&r, line);
	end_header(&r);
	mime_free(&r.mime);
	buf_free(&r.header);
	free(memory);
	arena_free(&r.mem);
	close_all(&tables);
	return end_output(r.found ? 0 : 1);
}
