/*
 * vec.h - a growing array of equal elements on the heap. VEC_INIT(type) or {.size = sizeof(type)} to start.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef BASE_VEC_H
#define BASE_VEC_H

#include <stddef.h>

struct vec {
	void *p;		/* n elements of size bytes; moves when it grows */
	size_t n, cap, size;
};

#define VEC_INIT(type)		((struct vec){ .size = sizeof(type) })
#define VEC_AT(v, type, i)	(&((type *)(v)->p)[i])

void	*vec_add(struct vec *);			/* a new zeroed element at the end */
void	vec_remove(struct vec *, size_t i);	/* order of the others is kept */
void	vec_free(struct vec *);			/* the array only; size stays */

#endif
