/*
 * postmap.h - postmap(1) and postalias(1): one program, two names.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef POSTMAP_POSTMAP_H
#define POSTMAP_POSTMAP_H

#include <stdbool.h>

#include "base/span.h"
#include "base/vec.h"
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

struct vec open_all(const struct options *, char **spec, unsigned more);	/* struct map * */
void	close_all(struct vec *tables);
/* Print what the first table that knows the key says. False: none does. */
bool	ask_all(const struct options *, const struct vec *tables, struct span key, struct arena *);
/* A physical line of standard input, up to a NUL in it. */
bool	next_line(struct span *line, char **memory, size_t *cap);
int	end_output(int status);		/* written, or the program ends; the argument */

/* message.c: message on standard input, for -h, -b and -m. */
int	query_message(const struct options *, char **spec);

#endif
