/*
 * host_query.h - one question to a table of several servers: host after host until one answers.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAP_HOST_QUERY_H
#define MAP_HOST_QUERY_H

#include "map/hosts.h"
#include "map/query.h"

/* What a type with servers does itself. table: its state. */
struct host_query {
	/* Make the connection when there is none. False: not to be had (logged). */
	bool (*connected)(void *table, struct host *);
	/* *again: the host was of no use, ask another. */
	enum map_status (*ask)(void *table, struct host *, struct span key, struct result *, bool *again, struct err *);
};

/* For .get of a map_type. */
enum map_status host_query_get(const struct host_query *, struct query *, struct hosts *, void *table, struct span key,
	    struct arena *mem, struct span *value, struct err *e);

#endif
