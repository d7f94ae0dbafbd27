/*
 * memory.c - a table in memory.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "map/memory.h"

struct memory {
	struct hash *entries;	/* values are struct value */
	size_t at;		/* of memory_next */
};

struct value {
	size_t n;
	char bytes[];
};

void
memory_open(struct map *m)
{
	struct memory *t = calloc(1, sizeof *t);

	if (t == NULL)
		log_out_of_memory();
	t->entries = hash_new();
	m->state = t;
}

void
memory_close(struct map *m)
{
	struct memory *t = m->state;

	hash_free(&t->entries, free);
	free(t);
}

static struct value *
value_new(struct span text)
{
	struct value *v = malloc(sizeof *v + text.n + 1);

	if (v == NULL)
		log_out_of_memory();
	v->n = text.n;
	if (text.n > 0)
		memcpy(v->bytes, text.p, text.n);
	v->bytes[text.n] = '\0';
	return v;
}

bool
memory_add(struct map *m, struct span key, struct span value)
{
	struct memory *t = m->state;

	if (hash_get(t->entries, key) != NULL)
		return false;
	hash_put(t->entries, key, value_new(value));
	return true;
}

void
memory_replace(struct map *m, struct span key, struct span value)
{
	struct memory *t = m->state;

	free(hash_put(t->entries, key, value_new(value)));
}

enum map_status
memory_get(struct map *m, struct span key, struct arena *mem, struct span *value, struct err *e)
{
	const struct memory *t = m->state;
	const struct value *v = hash_get(t->entries, key);

	(void)e;
	if (v == NULL)
		return MAP_NOT_FOUND;
	*value = span_copy(span(v->bytes, v->n), mem);
	return MAP_FOUND;
}

enum map_status
memory_put(struct map *m, struct span key, struct span value, struct err *e)
{
	(void)e;
	if (memory_add(m, key, value))
		return MAP_NOT_FOUND;
	if (m->flags & MAP_DUP_REPLACE)
		memory_replace(m, key, value);
	else if (m->flags & MAP_DUP_WARN)
		log_warning("%s: duplicate entry: \"%.*s\"", m->spec, SPAN_ARG(key));
	return MAP_FOUND;
}

enum map_status
memory_remove(struct map *m, struct span key, struct err *e)
{
	struct memory *t = m->state;
	struct value *v = hash_remove(t->entries, key);

	(void)e;
	free(v);
	return v != NULL ? MAP_FOUND : MAP_NOT_FOUND;
}

enum map_status
memory_next(struct map *m, bool first, struct arena *mem, struct span *key, struct span *value, struct err *e)
{
	struct memory *t = m->state;
	struct span k;
	void *v;

	(void)e;
	if (first)
		t->at = 0;
	if (!hash_next(t->entries, &t->at, &k, &v))
		return MAP_NOT_FOUND;
	*key = span_copy(k, mem);
	*value = span_copy(span(((struct value *)v)->bytes, ((struct value *)v)->n), mem);
	return MAP_FOUND;
}
