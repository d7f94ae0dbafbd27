/*
 * approved.c - the set of approved tables.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "base/hash.h"
#include "proxymap/approved.h"

#define PREFIX		SPAN("proxy:")
#define NESTING_MAX	100

/* Consume a word; separators inside of braces belong to it. */
static bool
take_word(struct span *in, struct span *out)
{
	size_t n = 0, depth = 0;

	while (in->n > 0 && (in->p[0] == ',' || ascii_space(in->p[0])))
		*in = span_from(*in, 1);
	for (; n < in->n && (depth > 0 || (in->p[n] != ',' && !ascii_space(in->p[n]))); n++) {
		depth += in->p[n] == '{';
		depth -= in->p[n] == '}' && depth > 0;
	}
	*out = span_to(*in, n);
	*in = span_from(*in, n);
	return n > 0;
}

static void
collect(struct hash *set, struct span list, unsigned nesting)
{
	struct span word;

	while (take_word(&list, &word)) {
		const bool braced = word.n >= 2 && word.p[0] == '{' && word.p[word.n - 1] == '}';

		if (braced && nesting < NESTING_MAX) {
			collect(set, span(word.p + 1, word.n - 2), nesting + 1);
			continue;
		}
		if (!span_take(&word, PREFIX))
			continue;
		while (span_take(&word, PREFIX))
			continue;
		(void)hash_put(set, word, set);
	}
}

struct approved *
approved_new(struct span list)
{
	struct hash *set = hash_new();

	collect(set, list, 0);
	return (struct approved *)set;
}

void
approved_free(struct approved **a)
{
	struct hash *set = (struct hash *)*a;

	hash_free(&set, NULL);
	*a = NULL;
}

bool
approved_has(const struct approved *a, struct span table)
{
	return hash_get((const struct hash *)a, table) != NULL;
}

void
approved_each(const struct approved *a, void (*fn)(struct span table))
{
	size_t at = 0;
	struct span table;
	void *unused;

	while (hash_next((const struct hash *)a, &at, &table, &unused))
		fn(table);
}
