/*
 * qshape.h - private to qshape(1).
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef QSHAPE_QSHAPE_H
#define QSHAPE_QSHAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

#define BUCKETS_MAX	64u

struct shape {
	bool linear;
	size_t buckets;			/* columns behind the total */
	int64_t minutes;		/* age limit of the first bucket */
	size_t width;			/* of a line */
	size_t top;			/* lines, 0 = all */
	bool parents;
	size_t min_subdomains;
};

/* Age limit of bucket i in minutes; the last one has none. */
int64_t	shape_limit(const struct shape *, size_t i);
size_t	shape_bucket(const struct shape *, int64_t seconds);

/* --- table.c --- */
struct table;
struct table *table_new(const struct shape *);
void	table_free(struct table **);
void	table_count(struct table *, struct span domain, size_t bucket);
void	table_print(const struct table *);

#endif
