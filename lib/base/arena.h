/*
 * arena.h - memory of one session or request: allocated piece by piece, dropped whole.
 * All memory is zeroed. Running out of memory ends the process (log_out_of_memory).
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

struct arena;

struct arena *arena_new(void);
void	arena_free(struct arena **);		/* NULL is fine; sets it to NULL */
void	arena_reset(struct arena *);		/* drop everything, keep the first block for reuse */
void	*arena_alloc(struct arena *, size_t n);	/* zeroed, aligned for any type; n may be 0 */
size_t	arena_used(const struct arena *);	/* bytes handed out since the last reset */

/* printf into the arena; the result is NUL-terminated. */
char	*arena_printf(struct arena *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define ARENA_NEW(arena, type)		((type *)arena_alloc((arena), sizeof(type)))
#define ARENA_ARRAY(arena, type, n)	((type *)arena_alloc((arena), sizeof(type) * (n)))

#endif
