/*
 * migrate.h - hash: and btree: when their time is over: another type stands for each (non_bdb_migration_level), and an
 * index that is not there yet is made from its source by nbdb_reindexd(8).
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAP_MIGRATE_H
#define MAP_MIGRATE_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/span.h"

/* A Berkeley DB type, and the level is not "disable". */
bool	migrate_wanted(struct span type);
/* The type that stands for it, by non_bdb_custom_mapping for this table or this type, else by default_database_type and
 * default_cache_db_type. False: "mapping from 'hash' to legacy type 'btree'" and the like. */
bool	migrate_type(struct span type, const char *name, struct arena *, struct span *real, struct err *);
/* The file that a table of that type has: name and suffix. NULL: not known. */
const char *migrate_index_path(struct span real, const char *name, struct arena *);
/* Level enable-reindex: when there is no index yet, ask for it. False: why there is none. */
bool	migrate_index(struct span type, const char *name, struct span real, struct err *);

#endif
