/*
 * arena.c - bump allocation in blocks. Memory handed out is zeroed at reset, not at allocation,
 * except what calloc already gave.
 *
 * SPDX-License-Identifier: ISC
 */
#include <assert.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/log.h"

#define ARENA_FIRST	4096u
#define ARENA_ALIGN	_Alignof(max_align_t)

struct block {
	struct block *next;
	size_t size, used;
	_Alignas(max_align_t) char data[];
};

struct arena {
	struct block *blocks;		/* newest first; the last one is kept by arena_reset */
	size_t used;
};

static struct block *
block_new(size_t size)
{
	struct block *b = calloc(1, sizeof *b + size);

	if (b == NULL)
		log_out_of_memory();
	b->size = size;
	return b;
}

struct arena *
arena_new(void)
{
	struct arena *a = calloc(1, sizeof *a);

	if (a == NULL)
		log_out_of_memory();
	a->blocks = block_new(ARENA_FIRST);
	return a;
}

static void
drop_blocks(struct block *b, struct block *keep)
{
	while (b != keep) {
		struct block *next = b->next;

		free(b);
		b = next;
	}
}

void
arena_free(struct arena **a)
{
	if (*a == NULL)
		return;
	drop_blocks((*a)->blocks, NULL);
	free(*a);
	*a = NULL;
}

void
arena_reset(struct arena *a)
{
	struct block *first = a->blocks;

	while (first->next != NULL)
		first = first->next;
	drop_blocks(a->blocks, first);
	memset(first->data, 0, first->used);
	first->used = 0;
	a->blocks = first;
	a->used = 0;
}

void *
arena_alloc(struct arena *a, size_t n)
{
	struct block *b = a->blocks;
	size_t want;

	if (__builtin_add_overflow(n, ARENA_ALIGN - 1, &want))
		log_out_of_memory();
	want &= ~(ARENA_ALIGN - 1);
	if (want > b->size - b->used) {
		size_t size = b->size < (1u << 20) ? b->size * 2 : b->size;

		b = block_new(want > size ? want : size);
		b->next = a->blocks;
		a->blocks = b;
	}
	void *p = b->data + b->used;

	b->used += want;
	a->used += want;
	return p;
}

size_t arena_used(const struct arena *a) { return a->used; }

/* Into what is left of the block; only a text that does not fit is formatted twice. */
char *
arena_printf(struct arena *a, const char *fmt, ...)
{
	struct block *b = a->blocks;
	const size_t room = b->size - b->used;
	char *p = b->data + b->used;
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(p, room, fmt, ap);
	va_end(ap);
	assert(n >= 0);
	const size_t need = (size_t)n + 1;

	if (need <= room)
		return arena_alloc(a, need);
	memset(p, 0, room);
	p = arena_alloc(a, need);
	va_start(ap, fmt);
	(void)vsnprintf(p, need, fmt, ap);
	va_end(ap);
	return p;
}
