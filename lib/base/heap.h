/*
 * heap.h - a binary heap of pointers: the first is the smallest. An element holds its place in a size_t (0 = not in a
 * heap), so that it can be removed or moved from anywhere. Elements belong to the caller.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/vec.h"

struct heap {
	struct vec v;			/* of void * */
	bool (*before)(const void *a, const void *b);
	size_t place;			/* offset of the element's size_t */
};

/* HEAP_INIT(struct timer, place, before) */
#define HEAP_INIT(type, member, fn)	((struct heap){ .v = { .size = sizeof(void *) }, .before = (fn), .place = offsetof(type, member) })

void	heap_add(struct heap *, void *e);	/* must not be in it */
void	heap_remove(struct heap *, void *e);	/* nothing when it is not in it */
void	heap_moved(struct heap *, void *e);	/* its order has changed; nothing when it is not in it */
void	*heap_first(const struct heap *);	/* NULL when empty */
void	heap_free(struct heap *);		/* the array only */

#endif
