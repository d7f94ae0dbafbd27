/*
 * mime.c - multiparts and attached messages, line by line. Input is any bytes of a stranger: depth is bounded by
 * mime_nesting_limit, a boundary's length by mime_boundary_length_limit.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "conf/conf.h"
#include "mail/mime.h"

struct mime_level {
	struct buf boundary;
	enum mime_encoding encoding;	/* of the multipart: its text before the first and behind the last part */
	bool digest;
};

void
mime_init(struct mime *m)
{
	*m = (struct mime){ .levels = VEC_INIT(struct mime_level) };
}

static void
close_levels(struct mime *m, size_t keep)
{
	while (m->levels.n > keep) {
		buf_free(&VEC_AT(&m->levels, struct mime_level, m->levels.n - 1)->boundary);
		vec_remove(&m->levels, m->levels.n - 1);
	}
}

void
mime_free(struct mime *m)
{
	close_levels(m, 0);
	vec_free(&m->levels);
}

bool
mime_is_mime_header(struct span name)
{
	static const char *const names[] = { "Content-Description", "Content-Disposition", "Content-ID",
	    "Content-Transfer-Encoding", "Content-Type", "MIME-Version" };

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (span_iis(name, names[i]))
			return true;
	return false;
}

static void
open_level(struct mime *m, struct span boundary, bool digest)
{
	struct mime_level *level;

	if (m->levels.n > (size_t)conf.mime_nesting_limit + 1) {	/* counted as in the reference */
		m->too_deep = true;
		return;
	}
	level = vec_add(&m->levels);
	level->digest = digest;
	buf_span(&level->boundary, span_to(boundary, (size_t)conf.mime_boundary_length_limit));
}

/* White space and (comments), nested ones too. */
static void
skip_space(struct span *in)
{
	size_t depth = 0, i = 0;

	for (; i < in->n; i++) {
		char c = in->p[i];

		if (c == '(')
			depth++;
		else if (c == ')' && depth > 0)
			depth--;
		else if (c == '\\' && depth > 0)
			i++;
		else if (!ascii_space(c) && depth == 0)
			break;
	}
	*in = span_from(*in, i);
}

/* RFC 2045 token; may be empty. */
static struct span
take_token(struct span *in)
{
	size_t i = 0;
	struct span token;

	skip_space(in);
	while (i < in->n && !ascii_space(in->p[i]) && (in->p[i] == '\0' || strchr("()<>@,;:\\\"/[]?=", in->p[i]) == NULL))
		i++;
	token = span_to(*in, i);
	*in = span_from(*in, i);
	skip_space(in);
	return token;
}

/* A quoted string, or everything up to white space or ';'. */
static void
take_value(struct span *in, struct buf *out)
{
	bool quoted;
	size_t i = 0;

	skip_space(in);
	quoted = span_take_byte(in, '"');
	for (; i < in->n; i++) {
		char c = in->p[i];

		if (quoted ? c == '"' : c == ';' || c == '(' || ascii_space(c))
			break;
		if (quoted && c == '\\' && i + 1 < in->n)
			c = in->p[++i];
		buf_byte(out, c);
	}
	*in = span_from(*in, quoted && i < in->n ? i + 1 : i);
}

/* Several boundaries are several levels, as the reference has it. */
static void
take_boundaries(struct mime *m, struct span in, bool digest)
{
	struct buf value = {0};
	size_t semicolon;

	while ((semicolon = span_find(in, ';')) < in.n) {
		in = span_from(in, semicolon + 1);
		struct span name = take_token(&in);

		if (!span_take_byte(&in, '='))
			continue;
		buf_reset(&value);
		take_value(&in, &value);
		if (span_iis(name, "boundary") && value.n > 0)
			open_level(m, buf_view(&value), digest);
	}
	buf_free(&value);
}

static void
take_encoding(struct mime *m, struct span value)
{
	struct span word = take_token(&value);

	m->encoding = span_iis(word, "8bit") ? MIME_8BIT : span_iis(word, "binary") ? MIME_BINARY :
	    span_iis(word, "base64") ? MIME_BASE64 : span_iis(word, "quoted-printable") ? MIME_QUOTED_PRINTABLE : MIME_7BIT;
}

void
mime_header(struct mime *m, struct span name, struct span value)
{
	struct span type, subtype = SPAN_NULL;

	if (span_iis(name, "Content-Transfer-Encoding"))
		take_encoding(m, value);
	if (!span_iis(name, "Content-Type") || conf.disable_mime_input_processing)
		return;
	type = take_token(&value);
	if (span_take_byte(&value, '/'))
		subtype = take_token(&value);
	m->type = MIME_OTHER;
	if (span_iis(type, "multipart")) {
		m->type = MIME_MULTIPART;
		take_boundaries(m, value, span_iis(subtype, "digest"));
	} else if (span_iis(type, "message") && span_iis(subtype, "rfc822")) {
		m->type = MIME_MESSAGE;
	} else if (span_iis(type, "message") && span_iis(subtype, "global")) {
		m->type = MIME_GLOBAL_MESSAGE;
	} else if (span_iis(type, "message")) {
		m->type = MIME_OTHER_MESSAGE;
	}
}

void
mime_header_end(struct mime *m)
{
	for (; m->outer < m->levels.n; m->outer++)
		VEC_AT(&m->levels, struct mime_level, m->outer)->encoding = m->encoding;
	m->state = m->type == MIME_MESSAGE || m->type == MIME_GLOBAL_MESSAGE ? MIME_NESTED : MIME_BODY;
	if (m->state == MIME_NESTED)
		m->encoding = MIME_7BIT;
	m->type = MIME_OTHER;
}

bool
mime_boundary(struct mime *m, struct span line)
{
	if (m->levels.n == 0 || !span_take(&line, SPAN("--")))
		return false;
	for (size_t i = m->levels.n; i-- > 0;) {
		struct mime_level *level = VEC_AT(&m->levels, struct mime_level, i);
		struct span rest = line;

		if (!span_take(&rest, buf_view(&level->boundary)))
			continue;
		m->encoding = MIME_7BIT;
		m->outer = i;
		if (span_starts(rest, SPAN("--"))) {
			m->encoding = level->encoding;
			close_levels(m, i);
			m->state = MIME_BODY;
			return true;
		}
		m->state = MIME_PART;
		m->type = level->digest ? MIME_MESSAGE : MIME_OTHER;
		close_levels(m, i + 1);
		m->outer = i + 1;
		return true;
	}
	return false;
}
