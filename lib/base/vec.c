/*
 * vec.c - growing arrays.
 *
 * SPDX-License-Identifier: ISC
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/vec.h"

void *
vec_add(struct vec *v)
{
	assert(v->size > 0);
	if (v->n == v->cap) {
		size_t cap = v->cap == 0 ? 8 : v->cap * 2;
		void *p = reallocarray(v->p, cap, v->size);

		if (p == NULL)
			log_out_of_memory();
		v->p = p;
		v->cap = cap;
	}
	void *elem = (char *)v->p + v->n++ * v->size;

	memset(elem, 0, v->size);
	return elem;
}

void
vec_remove(struct vec *v, size_t i)
{
	assert(i < v->n);
	char *at = (char *)v->p + i * v->size;

	memmove(at, at + v->size, (v->n - i - 1) * v->size);
	v->n--;
}

void
vec_free(struct vec *v)
{
	free(v->p);
	*v = (struct vec){ .size = v->size };
}
