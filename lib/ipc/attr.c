/*
 * attr.c - lists of NUL-terminated names and values over a stream. Trusts no peer: every text is bounded by ATTR_MAX,
 * the number of pairs by the caller.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "ipc/attr.h"

void
attr_put(struct stream *s, const char *name, struct span value)
{
	const struct span text = span_to(value, span_find(value, '\0'));
	const size_t n = strlen(name) + 1;
	char *at = mempcpy(stream_add(s, n + text.n + 1), name, n);

	if (text.n > 0)
		memcpy(at, text.p, text.n);
	at[text.n] = '\0';
}

void
attr_put_number(struct stream *s, const char *name, long value)
{
	char room[SPAN_I64_ROOM];

	attr_put(s, name, span_i64(value, room));
}

void attr_end(struct stream *s) { stream_write(s, "", 1); }

void
attr_put_protocol(struct stream *s, const char *protocol)
{
	attr_put(s, "protocol", span_str(protocol));
	attr_end(s);
}

/* Length of the text that begins at that byte of the buffered input; more is read until its NUL is there. */
static bool
text_length(struct stream *s, size_t at, size_t *length)
{
	for (;;) {
		const struct span in = span_from(stream_buffered(s), at);
		const size_t n = span_find(in, '\0');

		*length = n;
		if (n < in.n && n <= ATTR_MAX)
			return true;
		if (n > ATTR_MAX || !stream_fill(s))
			return false;
	}
}

enum attr_status
attr_take(struct stream *s, struct arena *mem, struct span *name, struct span *value)
{
	struct span both;
	size_t n, m;

	if (!text_length(s, 0, &n))
		return ATTR_FAILED;
	if (n == 0) {
		stream_consume(s, 1);
		return ATTR_END;
	}
	if (!text_length(s, n + 1, &m))
		return ATTR_FAILED;
	both = span_copy(span_to(stream_buffered(s), n + 1 + m), mem);
	*name = span_to(both, n);
	*value = span_from(both, n + 1);
	stream_consume(s, n + m + 2);
	return ATTR_PAIR;
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
