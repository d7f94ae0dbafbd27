/*
 * dsn.c - enhanced status codes.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdarg.h>
#include <stdio.h>

#include "base/buf.h"
#include "mail/dsn.h"

static bool
take_part(struct span *in, unsigned *out)
{
	size_t digits = 0;
	uint64_t v;

	while (digits < in->n && ascii_digit(in->p[digits]))
		digits++;
	if (digits < 1 || digits > 3 || !span_take_u64(in, &v))
		return false;
	*out = (unsigned)v;
	return true;
}

bool
dsn_take(struct span *in, struct dsn *out)
{
	struct span s = *in;
	struct dsn d;

	if (!take_part(&s, &d.class) || (d.class != 2 && d.class != 4 && d.class != 5) || !span_take_byte(&s, '.') ||
	    !take_part(&s, &d.subject) || !span_take_byte(&s, '.') || !take_part(&s, &d.detail))
		return false;
	if (s.n > 0 && !ascii_space(s.p[0]))
		return false;
	*in = s;
	*out = d;
	return true;
}

const char *
dsn_str(struct dsn d, struct arena *mem)
{
	return arena_printf(mem, "%u.%u.%u", d.class, d.subject, d.detail);
}

struct dsn_text
dsn_printf(struct arena *mem, struct dsn code, const char *fmt, ...)
{
	struct buf text = {0};
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	struct dsn_text t = { .code = code, .reason = span_printable(buf_view(&text), mem) };

	buf_free(&text);
	return t;
}

struct dsn_text
dsn_split(struct span text, struct dsn fallback)
{
	struct dsn_text t = { .code = fallback };
	struct dsn code;
	struct span rest = span_trim(text);

	if (dsn_take(&rest, &code)) {
		t.code = code;
		rest = span_trim(rest);
	}
	t.reason = rest;
	return t;
}
