/*
 * heap.c - a binary heap.
 *
 * SPDX-License-Identifier: ISC
 */
#include <assert.h>

#include "base/heap.h"

static size_t *
place_of(const struct heap *h, void *e)
{
	return (size_t *)(void *)((char *)e + h->place);
}

static void *
at(const struct heap *h, size_t i)
{
	return *VEC_AT(&h->v, void *, i);
}

static void
put(struct heap *h, size_t i, void *e)
{
	*VEC_AT(&h->v, void *, i) = e;
	*place_of(h, e) = i + 1;
}

static void
up(struct heap *h, size_t i)
{
	void *e = at(h, i);

	while (i > 0 && h->before(e, at(h, (i - 1) / 2))) {
		put(h, i, at(h, (i - 1) / 2));
		i = (i - 1) / 2;
	}
	put(h, i, e);
}

static void
down(struct heap *h, size_t i)
{
	void *e = at(h, i);

	for (size_t child; (child = 2 * i + 1) < h->v.n; i = child) {
		if (child + 1 < h->v.n && h->before(at(h, child + 1), at(h, child)))
			child++;
		if (!h->before(at(h, child), e))
			break;
		put(h, i, at(h, child));
	}
	put(h, i, e);
}

void
heap_add(struct heap *h, void *e)
{
	assert(*place_of(h, e) == 0);
	(void)vec_add(&h->v);
	put(h, h->v.n - 1, e);
	up(h, h->v.n - 1);
}

void
heap_remove(struct heap *h, void *e)
{
	size_t i = *place_of(h, e);

	if (i-- == 0)
		return;
	void *last = at(h, --h->v.n);

	*place_of(h, e) = 0;
	if (last == e)
		return;
	put(h, i, last);
	heap_moved(h, last);
}

void
heap_moved(struct heap *h, void *e)
{
	size_t i = *place_of(h, e);

	if (i == 0)
		return;
	up(h, i - 1);
	down(h, *place_of(h, e) - 1);
}

void *
heap_first(const struct heap *h)
{
	return h->v.n == 0 ? NULL : at(h, 0);
}

void
heap_free(struct heap *h)
{
	vec_free(&h->v);
}
