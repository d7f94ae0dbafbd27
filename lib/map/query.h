/*
 * query.h - what all tables with a configuration file share: templates with % letters, the list of domains that are asked
 * for at all, the joined result and its limits. Keys are hostile and quoted by the type's own function before they get
 * into a query; results are untrusted bytes, those with NUL (and newlines) are refused.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAP_QUERY_H
#define MAP_QUERY_H

#include <stdbool.h>

#include "base/buf.h"
#include "map/match.h"
#include "map/table_conf.h"
#include "map/type.h"

struct query {
	struct map *map;
	const char *function;		/* in messages: "dict_sqlite_lookup" */
	const char *key_word;		/* in the message about the limit: "key:", with SQLite "key" */
	const char *text;		/* the template of the query, key_format ... */
	const char *result_format;
	struct match *domain;		/* NULL: all keys are asked for */
	int expansion_limit;		/* 0: none */
};

struct result {
	struct buf text;		/* values joined with ',' */
	int count;
};

/* Appends text so that it cannot end the literal, filter or name that it stands in. False: it cannot be quoted. */
typedef bool query_quote(struct span text, struct buf *out, void *arg);

/*
 * Read result_format, domain and expansion_limit, and take over the query template, whose letters are checked. Texts
 * live in c->mem. map->fixed is cleared when the template uses less than the whole key. query_close() also after failure.
 */
bool	query_open(struct query *, struct map *, struct table_conf *, const char *template, const char *function, struct err *e);
void	query_close(struct query *);

/* "query", or the older table, select_field, where_field and additional_conditions. */
const char *query_sql_template(struct table_conf *);

/* Letters of a template are right. what: "query" or "result". *whole: it uses no part of the key but all of it. */
bool	query_check(const char *template, const char *name, const char *what, bool *whole, struct err *e);

/*
 * Fill in a template. value: NULL in a query, else the result that %s %u %d mean. False: key or value lacks a part
 * that the template wants (nothing is asked, or this result is skipped), or cannot be quoted.
 */
bool	query_fill(const char *template, struct span key, const struct span *value, query_quote *, void *arg, struct buf *out);

/* The key as it is asked for: folded when the user of the table wants it. */
struct span query_key(const struct query *, struct span key, struct arena *mem);
/* Is the key to be asked for at all? MAP_FOUND: yes. MAP_NOT_FOUND: its domain is not in the list. */
enum map_status query_wanted(const struct query *, struct span key, struct err *e);

/* One value of the answer; an empty one is skipped with a warning. False: refused or too many, *e says so, logged. */
bool	query_add(const struct query *, struct result *, struct span key, struct span value, struct err *e);
/* What map_get returns. Frees the result. */
enum map_status query_done(struct result *, struct arena *mem, struct span *value);

/* A value without NUL and newline; _lines: without NUL. Else it was logged and *e is permanent. */
bool	query_value_fits(const struct map *, struct span key, struct span value, struct err *e);
bool	query_value_fits_lines(const struct map *, struct span key, struct span value, struct err *e);

#endif
