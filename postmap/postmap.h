/*
 * postmap.h - postmap(1) and postalias(1): one program, two names.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef POSTMAP_POSTMAP_H
#define POSTMAP_POSTMAP_H

#include <stdbool.h>

#include "base/span.h"
#include "map/map.h"

struct options {
	bool aliases;			/* started as postalias */
	bool incremental, sequence, json;
	bool keep_user, keep_mode;	/* -o, -p */
	bool files;			/* -F */
	bool headers, body, mime;	/* -h -b -m, with -q - */
	const char *query, *remove;	/* -q, -d; "-": standard input */
	unsigned flags;			/* MAP_... for all tables */
};

/* build.c: make the table "[type:]file", or add to it. */
void	build_table(const struct options *, const char *spec);

/* alias.c: one logical line of an alias file apart. False: *why tells. */
struct arena;
bool	alias_split(struct span line, struct arena *, struct span *name, struct span *value, const char **why);

/* query.c: the exit status. */
int	query_tables(const struct options *, char **spec);	/* -q KEY */
int	query_stdin(const struct options *, char **spec);	/* -q - */
int	list_table(const struct options *, const char *spec);	/* -s */
int	delete_key(const struct options *, char **spec);	/* -d KEY */
int	delete_stdin(const struct options *, char **spec);	/* -d - */

/* "file" is "$default_database_type:file". Ends the program when it cannot be opened. */
struct map *open_table(const char *spec, unsigned flags);
/* The same text; heap. */
char	*full_spec(const char *spec);

/* query.c: message on standard input, for -h and -b. */
int	query_message(const struct options *, char **spec);

#endif
