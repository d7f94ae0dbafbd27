/*
 * migrate.c - what Berkeley DB's types mean when they are redirected.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conf/conf.h"
#include "ipc/ipc.h"
#include "map/maps.h"
#include "map/migrate.h"
#include "map/service_path.h"

#define REINDEX_MS	100000		/* a large table takes a while */

static bool
is_legacy(struct span type)
{
	return span_is(type, "hash") || span_is(type, "btree");
}

static bool
level_is(const char *level)
{
	return conf.non_bdb_migration_level != NULL && strcmp(conf.non_bdb_migration_level, level) == 0;
}

bool
migrate_wanted(struct span type)
{
	return is_legacy(type) && conf.non_bdb_migration_level != NULL && !level_is("disable");
}

/* MAP_FAILED: *e tells. */
static enum map_status
custom(const char *key, struct arena *mem, struct span *real, struct err *e)
{
	static bool busy;		/* the table may be one of those that are mapped: then it is not asked for itself */
	enum map_status status;
	struct maps *maps;

	if (busy || conf.non_bdb_custom_mapping == NULL || conf.non_bdb_custom_mapping[0] == '\0')
		return MAP_NOT_FOUND;
	busy = true;
	maps = maps_open("non_bdb_custom_mapping", conf.non_bdb_custom_mapping, 0);
	status = maps_get(maps, span_str(key), 0, mem, real, NULL);
	if (status == MAP_FAILED)
		(void)err_temp(e, "%s lookup error for '%s'", maps_last(maps) != NULL ? map_spec(maps_last(maps)) :
		    conf.non_bdb_custom_mapping, key);
	maps_free(&maps);
	busy = false;
	return status;
}

static bool
check(struct span type, struct span real, struct err *e)
{
	for (size_t i = 0; i < real.n; i++)
		if (!ascii_alnum(real.p[i]) && real.p[i] != '_')
			return err_perm(e, "bad non-legacy database type syntax: '%.*s'", SPAN_ARG(real));
	if (real.n == 0)
		return err_perm(e, "bad non-legacy database type syntax: ''");
	if (is_legacy(real))
		return err_perm(e, "mapping from '%.*s' to legacy type '%.*s'", SPAN_ARG(type), SPAN_ARG(real));
	if (!map_type_known(real))
		return err_perm(e, "mapping to unsupported database type: '%.*s'", SPAN_ARG(real));
	return true;
}

bool
migrate_type(struct span type, const char *name, struct arena *mem, struct span *real, struct err *e)
{
	const char *keys[] = { arena_printf(mem, "%.*s:%s", SPAN_ARG(type), name), span_cstr(type, mem) };
	enum map_status status = MAP_NOT_FOUND;

	for (size_t i = 0; i < 2 && status == MAP_NOT_FOUND; i++)
		status = custom(keys[i], mem, real, e);
	if (status == MAP_FAILED)
		return false;
	if (status == MAP_NOT_FOUND)
		*real = span_str(span_is(type, "hash") ? conf.default_database_type : conf.default_cache_db_type);
	return check(type, *real, e);
}

const char *
migrate_index_path(struct span real, const char *name, struct arena *mem)
{
	if (!span_is(real, "lmdb") && !span_is(real, "cdb"))
		return NULL;
	return arena_printf(mem, "%s.%.*s", name, SPAN_ARG(real));
}

static bool
ask(struct span type, const char *name, struct arena *mem, struct err *e)
{
	const struct ipc_reindex request = { .type = type, .name = span_str(name) };
	struct ipc_status answer = {0};
	char path[256];
	struct ipc_client client = { .path = path, .timeout_ms = REINDEX_MS };
	bool ok;

	service_path(path, sizeof path, conf.non_bdb_migration_service_name);
	errno = 0;
	ok = ipc_call(&client, IPC_reindex, &request, IPC_status, mem, &answer);
	ipc_client_close(&client);
	if (!ok)
		return err_temp(e, "service %s is not available: %s", path, errno != 0 ? strerror(errno) : "connection lost");
	return answer.status == 0 || err_perm(e, "%.*s", SPAN_ARG(answer.reason));
}

bool
migrate_index(struct span type, const char *name, struct span real, struct err *e)
{
	struct arena *mem = arena_new();
	const char *path = migrate_index_path(real, name, mem);
	const bool missing = level_is("enable-reindex") && path != NULL && access(path, F_OK) != 0 && errno == ENOENT;
	const bool ok = !missing || ask(type, name, mem, e);

	arena_free(&mem);
	return ok;
}
