/*
 * main.c - proxymap(8): reads tables for processes that cannot, or should not each, open them; as service
 * $proxywrite_service_name it also changes them, one process for all.
 * Trusts no client: serves only tables that main.cf approves, and opens them itself, never through another proxymap.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "ipc/conn.h"
#include "map/maps.h"
#include "map/proxy_protocol.h"
#include "proxymap/approved.h"
#include "service/service.h"

static struct approved *approved;
static bool writer;			/* we are the service for read-write access */

struct request {
	struct span table, key, value;
	uint32_t flags, first;
};

/* The table, or NULL and *status. */
static struct map *
table_of(const struct request *q, struct arena *mem, uint32_t *status)
{
	const unsigned flags = q->flags & (writer ? PROXY_WRITE_FLAGS : PROXY_READ_FLAGS);

	if (!map_spec_is_table(q->table) || span_has(q->table, '\0')) {
		*status = PROXY_BAD;
		return NULL;
	}
	if (!approved_has(approved, q->table)) {
		log_warning("request for unapproved table: \"%.*s\"", SPAN_ARG(q->table));
		log_warning("to approve this table for %s access, list proxy:%.*s in main.cf:%s",
		    writer ? "read-write" : "read-only", SPAN_ARG(q->table), writer ? "proxy_write_maps" : "proxy_read_maps");
		*status = PROXY_DENIED;
		return NULL;
	}
	/* Handles are shared and stay open: at most one for each approved table and set of flags. */
	return map_open(span_cstr(q->table, mem), flags | MAP_NO_PROXY);
}

static uint32_t
status_of(enum map_status s, const struct err *e)
{
	if (s == MAP_FAILED)
		return e->kind == ERR_TEMPORARY ? PROXY_RETRY : PROXY_CONFIG;
	return s == MAP_FOUND ? PROXY_OK : PROXY_NO_KEY;
}

static uint32_t
do_open(struct map *m, const struct request *q, struct arena *mem, struct ipc_proxy_result *out)
{
	(void)q;
	(void)mem;
	out->flags = map_has_fixed_keys(m) ? PROXY_FIXED_KEYS : 0;
	return map_open_error(m) == NULL ? PROXY_OK : PROXY_CONFIG;
}

static uint32_t
do_lookup(struct map *m, const struct request *q, struct arena *mem, struct ipc_proxy_result *out)
{
	struct err e = {0};

	return status_of(map_get(m, q->key, mem, &out->value, &e), &e);
}

static uint32_t
do_update(struct map *m, const struct request *q, struct arena *mem, struct ipc_proxy_result *out)
{
	struct err e = {0};

	(void)mem;
	(void)out;
	/* Found or not, it stands there now. */
	return map_put(m, q->key, q->value, &e) == MAP_FAILED ? status_of(MAP_FAILED, &e) : PROXY_OK;
}

static uint32_t
do_delete(struct map *m, const struct request *q, struct arena *mem, struct ipc_proxy_result *out)
{
	struct err e = {0};

	(void)mem;
	(void)out;
	return status_of(map_delete(m, q->key, &e), &e);
}

static uint32_t
do_next(struct map *m, const struct request *q, struct arena *mem, struct ipc_proxy_result *out)
{
	struct err e = {0};

	return status_of(map_next(m, q->first != 0, mem, &out->key, &out->value, &e), &e);
}

/* Decode any of the requests; false: none of them. */
static bool
take_request(enum ipc_kind kind, struct span payload, struct arena *mem, struct request *q)
{
	union {
		struct ipc_proxy_open open;
		struct ipc_proxy_lookup lookup;
		struct ipc_proxy_update update;
		struct ipc_proxy_delete delete;
		struct ipc_proxy_next next;
	} u;

	if (kind < IPC_proxy_open || kind > IPC_proxy_next || !ipc_decode(payload, kind, &u, mem))
		return false;
	switch (kind) {
	case IPC_proxy_lookup:
		*q = (struct request){ .table = u.lookup.table, .flags = u.lookup.flags, .key = u.lookup.key };
		return true;
	case IPC_proxy_update:
		*q = (struct request){ .table = u.update.table, .flags = u.update.flags, .key = u.update.key,
		    .value = u.update.value };
		return true;
	case IPC_proxy_delete:
		*q = (struct request){ .table = u.delete.table, .flags = u.delete.flags, .key = u.delete.key };
		return true;
	case IPC_proxy_next:
		*q = (struct request){ .table = u.next.table, .flags = u.next.flags, .first = u.next.first };
		return true;
	default:
		*q = (struct request){ .table = u.open.table, .flags = u.open.flags };
		return true;
	}
}

static const struct operation {
	enum ipc_kind kind;
	bool writes;			/* for the writing service, or by it, only */
	uint32_t (*run)(struct map *, const struct request *, struct arena *, struct ipc_proxy_result *);
} operations[] = {
	{ IPC_proxy_open, false, do_open },
	{ IPC_proxy_lookup, false, do_lookup },
	{ IPC_proxy_update, true, do_update },
	{ IPC_proxy_delete, true, do_delete },
	{ IPC_proxy_next, false, do_next },
};

static void
answer(enum ipc_kind kind, const struct request *q, struct arena *mem, struct ipc_proxy_result *out)
{
	struct map *m = table_of(q, mem, &out->status);

	if (m == NULL)
		return;
	for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
		if (operations[i].kind == kind)
			out->status = operations[i].writes && !writer ? PROXY_DENIED : operations[i].run(m, q, mem, out);
}

static bool
message(struct conn *c, enum ipc_kind kind, struct span payload)
{
	struct arena *mem = arena_new();
	struct ipc_proxy_result out = {0};
	struct request q;
	const bool ok = take_request(kind, payload, mem, &q);

	if (ok) {
		answer(kind, &q, mem, &out);
		conn_send(c, IPC_proxy_result, &out);
	}
	arena_free(&mem);
	if (ok)
		service_check_tables();
	return ok;
}

static void
closed(struct conn *c)
{
	(void)c;
	service_client_done();
}

static void
accepted(struct loop *loop, int fd)
{
	static const struct conn_handler handler = { .message = message, .closed = closed };

	(void)conn_new(loop, fd, &handler, NULL);
}

static bool
tables_changed(void)
{
	const char *name = map_any_changed();

	if (name != NULL)
		log_info("table %s has changed -- restarting", name);
	return name != NULL;
}

/* Loadable types come from the disk while we still are who we were started as. */
static void
load_type(struct span table)
{
	struct span type;

	if (span_take_until(&table, ':', &type))
		(void)map_type_known(type);
}

static void
init(void)
{
	writer = strcmp(service_env.name, conf.proxywrite_service_name) == 0;
	approved = approved_new(span_str(writer ? conf.proxy_write_maps : conf.proxy_read_maps));
	approved_each(approved, load_type);
}

static const struct service proxymap = {
	.name = "proxymap",
	.kind = SERVICE_EVENT,
	.init = init,
	.accepted = accepted,
	.tables_changed = tables_changed,
};

int
main(int argc, char **argv)
{
	return service_main(&proxymap, argc, argv);
}
