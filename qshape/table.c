/*
 * table.c - counts by domain and age, and how they are laid out.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/vec.h"
#include "qshape/qshape.h"

struct row {
	struct span name;		/* ".example.com" for what is below it */
	size_t subdomains;		/* of a parent: one label deeper */
	unsigned long total, bucket[BUCKETS_MAX];
};

struct table {
	const struct shape *shape;
	struct hash *rows;
	struct hash *children;		/* names that were counted as a subdomain of what they are in */
	struct row all;
	struct arena *mem;
};

struct table *
table_new(const struct shape *shape)
{
	struct table *t = calloc(1, sizeof *t);

	if (t == NULL)
		log_out_of_memory();
	t->shape = shape;
	t->rows = hash_new();
	t->children = hash_new();
	t->mem = arena_new();
	t->all.name = SPAN("TOTAL");
	return t;
}

void
table_free(struct table **t)
{
	if (*t == NULL)
		return;
	hash_free(&(*t)->rows, NULL);
	hash_free(&(*t)->children, NULL);
	arena_free(&(*t)->mem);
	free(*t);
	*t = NULL;
}

static void
add(struct row *r, size_t bucket)
{
	r->total++;
	r->bucket[bucket]++;
}

static struct row *
row_of(struct table *t, struct span name)
{
	struct row *r = hash_get(t->rows, name);

	if (r == NULL) {
		r = ARENA_NEW(t->mem, struct row);
		r->name = span_copy(name, t->mem);
		(void)hash_put(t->rows, r->name, r);
	}
	return r;
}

/* Parents are what follows each dot; the top level is not one. */
static void
count_parents(struct table *t, struct span domain, size_t bucket)
{
	size_t label = 0;		/* where the label in front of the dot begins */

	for (size_t i = 0; i < domain.n; i++) {
		struct span parent = span_from(domain, i), child = span_from(domain, label);

		if (domain.p[i] != '.')
			continue;
		label = i + 1;
		if (i == 0 || !span_has(span_from(parent, 1), '.'))
			continue;
		struct row *r = row_of(t, parent);

		r->subdomains += hash_put(t->children, child, r) == NULL;
		add(r, bucket);
	}
}

void
table_count(struct table *t, struct span domain, size_t bucket)
{
	add(row_of(t, domain), bucket);
	add(&t->all, bucket);
	if (t->shape->parents)
		count_parents(t, domain, bucket);
}

/* Most first; then the shorter name, then the alphabet. */
static int
by_count(const void *x, const void *y)
{
	const struct row *a = *(struct row *const *)x, *b = *(struct row *const *)y;

	if (a->total != b->total)
		return a->total < b->total ? 1 : -1;
	if (a->name.n != b->name.n)
		return a->name.n > b->name.n ? 1 : -1;
	return span_cmp(a->name, b->name);
}

/* Columns: 0 is the total. */
static void
label(const struct table *t, size_t column, char out[32])
{
	const size_t last = t->shape->buckets;

	if (column == 0)
		(void)snprintf(out, 32, "T");
	else if (column < last)
		(void)snprintf(out, 32, "%ld", (long)shape_limit(t->shape, column - 1));
	else
		(void)snprintf(out, 32, "%ld+", last > 1 ? (long)shape_limit(t->shape, last - 2) : 0L);
}

static int
column_width(const struct table *t, size_t column)
{
	char head[32], sum[32];

	label(t, column, head);
	int a = (int)strlen(head), b = snprintf(sum, sizeof sum, "%lu", column == 0 ? t->all.total : t->all.bucket[column - 1]);

	if (b > a)
		a = b;
	return (a < 2 ? 2 : a) + 1;
}

static int
name_width(const struct table *t)
{
	int left = (int)t->shape->width;

	for (size_t c = 0; c <= t->shape->buckets; c++)
		left -= column_width(t, c);
	return left < 18 ? 18 : left;
}

static void
put_name(struct span name, int width)
{
	const size_t room = (size_t)width;

	if (name.n <= room)
		(void)printf("%*s%.*s", (int)(room - name.n), "", SPAN_ARG(name));
	else if (name.p[0] == '.')
		(void)printf(".+%.*s", SPAN_ARG(span_from(name, name.n - (room - 2))));
	else
		(void)printf("+%.*s", SPAN_ARG(span_from(name, name.n - (room - 1))));
}

static void
put_row(const struct table *t, const struct row *r, int width)
{
	put_name(r->name, width);
	for (size_t c = 0; c <= t->shape->buckets; c++)
		(void)printf("%*lu", column_width(t, c), c == 0 ? r->total : r->bucket[c - 1]);
	(void)putchar('\n');
}

static void
put_head(const struct table *t, int width)
{
	char text[32];

	(void)printf("%*s", width, "");
	for (size_t c = 0; c <= t->shape->buckets; c++) {
		label(t, c, text);
		(void)printf("%*s", column_width(t, c), text);
	}
	(void)putchar('\n');
}

void
table_print(const struct table *t)
{
	struct vec rows = VEC_INIT(struct row *);
	const int width = name_width(t);
	size_t pos = 0;
	struct span key;
	void *value;

	while (hash_next(t->rows, &pos, &key, &value)) {
		struct row *r = value;

		if (r->name.n == 0 || r->name.p[0] != '.' || r->subdomains >= t->shape->min_subdomains)
			*(struct row **)vec_add(&rows) = r;
	}
	if (rows.n > 0)
		qsort(rows.p, rows.n, sizeof(struct row *), by_count);
	put_head(t, width);
	put_row(t, &t->all, width);
	for (size_t i = 0; i < rows.n && (t->shape->top == 0 || i < t->shape->top); i++)
		put_row(t, *VEC_AT(&rows, struct row *, i), width);
	vec_free(&rows);
}
