/*
 * maps.h - an ordered list of tables, as in virtual_alias_maps: the first answer counts.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAP_MAPS_H
#define MAP_MAPS_H

#include "map/map.h"

struct maps;

/* title: the parameter's name, for messages. value: its expanded text. Never NULL; an empty list finds nothing. */
struct maps *maps_open(const char *title, const char *value, unsigned flags);
void	maps_free(struct maps **);

size_t	maps_count(const struct maps *);
const char *maps_title(const struct maps *);

enum {
	MAPS_FIXED_ONLY = 1,		/* partial key: skip tables with pattern keys */
	MAPS_ALLOW_EMPTY = 2,		/* an empty result counts (transport_maps) */
};

/* MAP_FAILED was logged: "TYPE:NAME lookup error for "KEY"". */
enum map_status maps_get(struct maps *, struct span key, unsigned how, struct arena *mem, struct span *value,
	    struct err *e);
void	maps_hold(struct maps *, bool on);	/* as map_hold(), when it is the only table */

/* The table that gave the last MAP_FOUND or MAP_FAILED; NULL before. */
const struct map *maps_last(const struct maps *);

bool	maps_changed(const struct maps *);

/* For services (tables_changed): a table of this process has changed; that was logged. */
bool	maps_restart_wanted(void);

/* Name of the first changed table that this process has open, or NULL. For "table X has changed -- restarting". */
const char *map_any_changed(void);

#endif
