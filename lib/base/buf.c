/*
 * buf.c - growing byte strings.
 *
 * SPDX-License-Identifier: ISC
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"

void
buf_free(struct buf *b)
{
	free(b->p);
	*b = (struct buf){0};
}

void
buf_reset(struct buf *b)
{
	b->n = 0;
	if (b->p != NULL)
		b->p[0] = '\0';
}

void
buf_reserve(struct buf *b, size_t more)
{
	size_t need;

	if (__builtin_add_overflow(b->n, more, &need) || need > SIZE_MAX / 2 - 1)
		log_out_of_memory();
	if (need + 1 <= b->cap)
		return;
	size_t cap = b->cap < 64 ? 64 : b->cap;

	while (cap < need + 1)
		cap *= 2;
	char *p = realloc(b->p, cap);

	if (p == NULL)
		log_out_of_memory();
	b->p = p;
	b->cap = cap;
	b->p[b->n] = '\0';
}

void
buf_byte(struct buf *b, char c)
{
	if (b->n + 1 >= b->cap)
		buf_reserve(b, 1);
	b->p[b->n++] = c;
	b->p[b->n] = '\0';
}

void
buf_add(struct buf *b, const void *data, size_t n)
{
	const char *src = data;
	bool inside = b->p != NULL && (uintptr_t)src >= (uintptr_t)b->p && (uintptr_t)src < (uintptr_t)b->p + b->cap;
	size_t at = inside ? (size_t)(src - b->p) : 0;

	buf_reserve(b, n);
	assert(b->p != NULL);
	if (n > 0)
		memmove(b->p + b->n, inside ? b->p + at : src, n);
	b->n += n;
	b->p[b->n] = '\0';
}

void buf_span(struct buf *b, struct span s) { buf_add(b, s.p, s.n); }
void buf_str(struct buf *b, const char *s) { buf_add(b, s, strlen(s)); }

void
buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
	const size_t room = b->cap - b->n;
	va_list again;

	va_copy(again, ap);
	int n = vsnprintf(room > 0 ? b->p + b->n : NULL, room, fmt, again);
	va_end(again);
	assert(n >= 0);
	if ((size_t)n >= room) {	/* only a text that does not fit is formatted twice */
		buf_reserve(b, (size_t)n);
		(void)vsnprintf(b->p + b->n, (size_t)n + 1, fmt, ap);
	}
	b->n += (size_t)n;
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(b, fmt, ap);
	va_end(ap);
}

void
buf_drop(struct buf *b, size_t n)
{
	if (n > b->n)
		n = b->n;
	if (n == 0)
		return;
	memmove(b->p, b->p + n, b->n - n);
	b->n -= n;
	b->p[b->n] = '\0';
}

void
buf_cut(struct buf *b, size_t n)
{
	if (n >= b->n)
		return;
	b->n = n;
	b->p[n] = '\0';
}

struct span buf_view(const struct buf *b) { return span(b->p, b->n); }
const char *buf_cstr(struct buf *b) { return b->p == NULL ? "" : b->p; }
