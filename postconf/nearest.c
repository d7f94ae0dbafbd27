/*
 * nearest.c - the known name that a mistyped one may mean.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "conf/param.h"
#include "postconf/postconf.h"

#define NAME_MAX_COMPARED	100
#define SUGGESTIONS_MAX		1000	/* a file that is nothing but mistakes: the user has seen enough */

static unsigned
least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Insertions, deletions, changes and swaps of neighbours that make b of a; more than limit counts as limit + 1. */
static unsigned
distance(const char *a, size_t n, const char *b, size_t m, unsigned limit)
{
	unsigned rows_of[3][NAME_MAX_COMPARED + 1], *before = rows_of[0], *last = rows_of[1], *now = rows_of[2];

	for (size_t k = 0; k <= m; k++)
		last[k] = (unsigned)k;
	for (size_t i = 1; i <= n; i++) {
		unsigned best = now[0] = (unsigned)i, *oldest = before;

		for (size_t k = 1; k <= m; k++) {
			now[k] = least(least(last[k], now[k - 1]) + 1, last[k - 1] + (a[i - 1] != b[k - 1]));
			if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1])
				now[k] = least(now[k], before[k - 2] + 1);
			best = least(best, now[k]);
		}
		if (best > limit)
			return limit + 1;
		before = last;
		last = now;
		now = oldest;
	}
	return last[m];
}

const char *
nearest_name(const char *name)
{
	const size_t n = strlen(name);
	unsigned limit = n < 6 ? 1 : n < 12 ? 2 : 3;
	const char *found = NULL;
	static unsigned asked;

	if (asked++ >= SUGGESTIONS_MAX)
		return NULL;
	if (n > NAME_MAX_COMPARED || n < 3)
		return NULL;
	for (size_t i = 0; i < row_count(); i++) {
		const char *other = row_at(i)->name;
		const size_t m = strlen(other);
		unsigned d;

		if (row_at(i)->class == CLASS_USER || m > NAME_MAX_COMPARED || (m > n ? m - n : n - m) > limit)
			continue;
		d = distance(name, n, other, m, limit);
		if (d <= limit && d > 0) {
			found = other;
			limit = d - 1;
			if (limit == 0)
				break;
		}
	}
	return found;
}
