/*
 * rules.h - the rules of cidr:, regexp: and pcre: tables, from a file or from "{ {rule}, {rule} }".
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAP_RULES_H
#define MAP_RULES_H

#include "conf/lines.h"
#include "map/type.h"

struct rules {
	const char *label;	/* "cidr map", for messages */
	const char *name;	/* of the file, or the whole inline text */
	unsigned line;		/* of the rule just returned; inline: its number */
	struct lines in;
	struct span rest;	/* inline rules still to come */
	bool inlined;
};

bool	rules_open(struct rules *, const struct map *, const char *label, struct err *);
/* MAP_FOUND: a trimmed rule; MAP_NOT_FOUND: end; MAP_FAILED: bad braces or a read error. */
enum map_status rules_next(struct rules *, struct span *rule, struct err *);
void	rules_close(struct rules *);

/* "LABEL NAME, line N: " in front. */
/* With MAP_FILES a result is names of files: their content in base64, in the arena. False: warned, skip the rule. */
bool	rules_read_files(const struct rules *, struct span *result, struct arena *);
void	rules_warn(const struct rules *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* "if" or "endif" as a word of its own at the start: consumed with the blanks behind it. */
bool	rules_take_word(struct span *rule, const char *word);

#endif
