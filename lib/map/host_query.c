/*
 * host_query.c - asks the servers of a table in turn.
 *
 * SPDX-License-Identifier: ISC
 */
#include "map/host_query.h"
#include "map/type.h"

enum map_status
host_query_get(const struct host_query *type, struct query *query, struct hosts *hosts, void *table, struct span key,
    struct arena *mem, struct span *value, struct err *e)
{
	struct result r = {0};
	struct host *h;
	enum map_status status;
	bool again = true;

	key = query_key(query, key, mem);
	status = query_wanted(query, key, e);
	if (status != MAP_FOUND)
		return status;
	hosts_start(hosts);
	status = MAP_TEMPORARY(e, "Application error");
	while (again && (h = hosts_next(hosts)) != NULL) {
		if (type->connected(table, h))
			status = type->ask(table, h, key, &r, &again, e);
		if (again)
			hosts_failed(hosts, h);
	}
	if (status == MAP_FOUND)
		return query_done(&r, mem, value);
	(void)query_done(&r, mem, value);
	return status;
}
