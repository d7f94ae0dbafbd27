/*
 * table_conf.h - the parameters of one table whose name is a file in main.cf syntax ("/etc/postfix/x.cf", "./x.cf"), or,
 * for any other NAME, the main.cf parameters NAME_x. Values of a file are taken as they are, those of main.cf expanded.
 * The first error is kept and asked for once all values have been read. Trusts the file as it trusts main.cf.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAP_TABLE_CONF_H
#define MAP_TABLE_CONF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/hash.h"

struct map;

struct table_conf {
	const char *name;	/* not copied */
	struct hash *values;	/* of the file; NULL: in main.cf */
	struct arena *mem;	/* values live here; the caller's */
	struct err error;
};

/* False: the file cannot be read ("open F: No such file or directory") or has a line that is not "name = value". */
bool	table_conf_open(struct table_conf *, const char *name, struct arena *mem, struct err *e);
void	table_conf_close(struct table_conf *);		/* texts stay with the arena */

/* def NULL: no value is fine and NULL. min 1: an empty value is an error. */
const char *table_conf_str(struct table_conf *, const char *param, const char *def, size_t min);
int	table_conf_int(struct table_conf *, const char *param, int def, int min, int max);	/* max 0: no limit */
bool	table_conf_bool(struct table_conf *, const char *param, bool def);
bool	table_conf_has(struct table_conf *, const char *param);		/* it is set, even to nothing */

/*
 * For .open of a map_type, when map->state is there: its parameters are read into texts of mem and given to configure().
 * On failure the state is closed.
 */
bool	table_conf_read(struct map *, struct arena *mem, bool (*configure)(struct map *, struct table_conf *, struct err *), struct err *);

/* No value was wrong. Else *e has the first one's text. */
bool	table_conf_ok(const struct table_conf *, struct err *e);

#endif
