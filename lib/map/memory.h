/*
 * memory.h - a table in memory: texthash, inline, internal. State of struct map.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAP_MEMORY_H
#define MAP_MEMORY_H

#include "map/type.h"

void	memory_open(struct map *);
void	memory_close(struct map *);
/* false: the key was there and stays. */
bool	memory_add(struct map *, struct span key, struct span value);
void	memory_replace(struct map *, struct span key, struct span value);

enum map_status memory_get(struct map *, struct span key, struct arena *, struct span *value, struct err *);
enum map_status memory_put(struct map *, struct span key, struct span value, struct err *);
enum map_status memory_remove(struct map *, struct span key, struct err *);
enum map_status memory_next(struct map *, bool first, struct arena *, struct span *key, struct span *value, struct err *);

#endif
