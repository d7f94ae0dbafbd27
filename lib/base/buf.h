/*
 * buf.h - a growing string of bytes on the heap. Always NUL-terminated behind its n bytes once anything
 * was added. Start with {0}; buf_free() at the end. Running out of memory ends the process.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

struct buf {
	char *p;
	size_t n, cap;
};

void	buf_free(struct buf *);			/* releases and zeroes */
void	buf_reset(struct buf *);		/* n = 0, memory kept */
void	buf_reserve(struct buf *, size_t more);	/* room for that many more bytes (and a NUL) */
void	buf_byte(struct buf *, char c);
void	buf_add(struct buf *, const void *p, size_t n);	/* p may be inside the buffer */
void	buf_span(struct buf *, struct span s);
void	buf_str(struct buf *, const char *cstr);
void	buf_printf(struct buf *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void	buf_vprintf(struct buf *, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
void	buf_drop(struct buf *, size_t n);	/* remove n bytes from the front */
void	buf_cut(struct buf *, size_t n);	/* keep only the first n bytes */
struct span buf_view(const struct buf *);	/* valid until the next change */
const char *buf_cstr(struct buf *);		/* "" when empty */

#endif
