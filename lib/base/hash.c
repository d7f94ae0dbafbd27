/*
 * hash.c - open-addressing index over an insertion-ordered array of entries. Growth and compaction rebuild
 * the index; a removed entry leaves a hole until then.
 *
 * SPDX-License-Identifier: ISC
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"

struct entry {
	char *key;			/* NULL: removed */
	size_t len;
	uint64_t hash;
	void *value;
};

struct hash {
	struct entry *entries;
	size_t n, live, cap;		/* used slots of entries, those not removed, room */
	size_t *index;			/* position + 1 in entries; 0 = empty; removed entries stay until rebuilt */
	size_t mask;			/* size of the index - 1, a power of two minus one */
};

struct hash *
hash_new(void)
{
	struct hash *h = calloc(1, sizeof *h);

	if (h == NULL)
		log_out_of_memory();
	return h;
}

void
hash_free(struct hash **hp, void (*free_value)(void *))
{
	struct hash *h = *hp;

	if (h == NULL)
		return;
	for (size_t i = 0; i < h->n; i++) {
		if (h->entries[i].key != NULL && free_value != NULL)
			free_value(h->entries[i].value);
		free(h->entries[i].key);
	}
	free(h->entries);
	free(h->index);
	free(h);
	*hp = NULL;
}

void
hash_clear(struct hash *h)
{
	for (size_t i = 0; i < h->n; i++)
		free(h->entries[i].key);
	if (h->index != NULL)
		memset(h->index, 0, (h->mask + 1) * sizeof *h->index);
	h->n = h->live = 0;
}

size_t hash_count(const struct hash *h) { return h->live; }

static void
index_add(struct hash *h, size_t at)
{
	size_t i = (size_t)h->entries[at].hash & h->mask;

	while (h->index[i] != 0)
		i = (i + 1) & h->mask;
	h->index[i] = at + 1;
}

static void
rebuild(struct hash *h)
{
	size_t cap = 8, live = 0;

	while (cap < (h->live + 1) * 2)
		cap *= 2;
	struct entry *entries = calloc(cap, sizeof *entries);

	free(h->index);
	h->index = calloc(cap * 2, sizeof *h->index);
	if (entries == NULL || h->index == NULL)
		log_out_of_memory();
	for (size_t i = 0; i < h->n; i++)
		if (h->entries[i].key != NULL)
			entries[live++] = h->entries[i];
	free(h->entries);
	h->entries = entries;
	h->n = live;
	h->cap = cap;
	h->mask = cap * 2 - 1;
	for (size_t i = 0; i < live; i++)
		index_add(h, i);
}

static struct entry *
find(const struct hash *h, struct span key, uint64_t hash)
{
	if (h->index == NULL)
		return NULL;
	for (size_t i = (size_t)hash & h->mask; h->index[i] != 0; i = (i + 1) & h->mask) {
		struct entry *e = &h->entries[h->index[i] - 1];

		if (e->key != NULL && e->hash == hash && span_eq(span(e->key, e->len), key))
			return e;
	}
	return NULL;
}

void *
hash_get(const struct hash *h, struct span key)
{
	struct entry *e = find(h, key, span_hash(key));

	return e == NULL ? NULL : e->value;
}

void *
hash_put(struct hash *h, struct span key, void *value)
{
	uint64_t hash = span_hash(key);
	struct entry *e = find(h, key, hash);

	if (e != NULL) {
		void *old = e->value;

		e->value = value;
		return old;
	}
	if (h->n == h->cap)
		rebuild(h);
	h->entries[h->n] = (struct entry){ span_strdup(key), key.n, hash, value };
	index_add(h, h->n++);
	h->live++;
	return NULL;
}

void *
hash_remove(struct hash *h, struct span key)
{
	struct entry *e = find(h, key, span_hash(key));

	if (e == NULL)
		return NULL;
	void *value = e->value;

	free(e->key);
	e->key = NULL;
	e->value = NULL;
	h->live--;
	return value;
}

bool
hash_next(const struct hash *h, size_t *pos, struct span *key, void **value)
{
	while (*pos < h->n) {
		const struct entry *e = &h->entries[(*pos)++];

		if (e->key == NULL)
			continue;
		if (key != NULL)
			*key = span(e->key, e->len);
		if (value != NULL)
			*value = e->value;
		return true;
	}
	return false;
}
