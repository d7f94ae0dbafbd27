/*
 * pattern.h - the part that regexp: and pcre: tables share: statements, IF blocks, $1 in results.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAP_PATTERN_H
#define MAP_PATTERN_H

#include "map/rules.h"
#include "map/type.h"

#define PATTERN_GROUPS_MAX	100	/* $1 .. $99; what a pattern has more is not reported */

struct pattern_group {
	size_t start, end;	/* in the key; start > end: took no part */
};

struct pattern_engine {
	const char *label;		/* "regexp map" */
	const char *unclosed;		/* what becomes of a rule without closing delimiter */
	const char *out_of_range;	/* words for $0 */
	bool second_pattern;		/* /p1/!/p2/ */
	int default_options;
	/* Toggle the option of one flag letter; false: unknown. May warn. */
	bool (*flag)(char letter, int *options, const struct rules *);
	/* NULL: *e says why. groups: number of parentheses. */
	void *(*compile)(const struct map *, struct span regexp, int options, size_t *groups, struct err *e);
	/* 1 match, 0 none, -1 trouble in *e. group[0] is the whole match. */
	int (*match)(void *code, struct span key, struct pattern_group *group, size_t ngroups, struct err *e);
	void (*release)(void *code);
};

bool	pattern_open(struct map *, const struct pattern_engine *, struct err *);
void	pattern_close(struct map *);
enum map_status pattern_get(struct map *, struct span key, struct arena *, struct span *value, struct err *);

#endif
