/*
 * attr.c - lists of NUL-terminated names and values over a stream. Trusts no peer: every text is bounded by ATTR_MAX,
 * the number of pairs by the caller.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "ipc/attr.h"

static void
put_text(struct stream *s, struct span text)
{
	stream_put(s, span_to(text, span_find(text, '\0')));
	stream_write(s, "", 1);
}

void
attr_put(struct stream *s, const char *name, struct span value)
{
	put_text(s, span_str(name));
	put_text(s, value);
}

void
attr_put_number(struct stream *s, const char *name, long value)
{
	put_text(s, span_str(name));
	stream_printf(s, "%ld", value);
	stream_write(s, "", 1);
}

void attr_end(struct stream *s) { stream_write(s, "", 1); }

void
attr_put_protocol(struct stream *s, const char *protocol)
{
	attr_put(s, "protocol", span_str(protocol));
	attr_end(s);
}

static bool
take_text(struct stream *s, struct arena *mem, struct span *out)
{
	for (;;) {
		struct span in = stream_buffered(s);
		size_t n = span_find(in, '\0');

		if (n < in.n && n <= ATTR_MAX) {
			*out = span_copy(span_to(in, n), mem);
			stream_consume(s, n + 1);
			return true;
		}
		if (n > ATTR_MAX || !stream_fill(s))
			return false;
	}
}

enum attr_status
attr_take(struct stream *s, struct arena *mem, struct span *name, struct span *value)
{
	if (!take_text(s, mem, name))
		return ATTR_FAILED;
	if (name->n == 0)
		return ATTR_END;
	return take_text(s, mem, value) ? ATTR_PAIR : ATTR_FAILED;
}

bool
attr_expect_protocol(struct stream *s, const char *protocol)
{
	struct arena *mem = arena_new();
	struct span name, value, rest;
	bool ok = attr_take(s, mem, &name, &value) == ATTR_PAIR && span_is(name, "protocol") &&
	    span_is(value, protocol) && attr_take(s, mem, &rest, &rest) == ATTR_END;

	arena_free(&mem);
	return ok;
}
