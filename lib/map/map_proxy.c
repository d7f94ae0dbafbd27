/*
 * map_proxy.c - proxy:type:name: the table is opened by proxymap(8), outside of our jail and once for all of its clients.
 * Tables for reading are asked of $proxymap_service_name, those for writing of $proxywrite_service_name.
 * Trusts the service's answers as it would trust the table. A service that is not there is waited for.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "io/sock.h"
#include "ipc/ipc.h"
#include "map/proxy_protocol.h"
#include "map/service_path.h"
#include "map/type.h"

#define RETRY_SECONDS	1
#define CONNECT_MS	10000

/* One connection for reading, one for writing, shared by all tables of the process. */
static struct connection {
	struct ipc_client ipc;
	char path[256];
	pid_t owner;			/* a forked worker must not use its host's connection */
} connections[2];

static const char *
service_name(const struct map *m)
{
	return m->flags & MAP_WRITE ? conf.proxywrite_service_name : conf.proxymap_service_name;
}

/* Connect when needed. False: errno says why not. */
static bool
connected(struct connection *c, const char *service)
{
	if (c->ipc.stream != NULL && c->owner != getpid())
		ipc_client_close(&c->ipc);
	if (c->ipc.stream != NULL)
		return true;
	service_path(c->path, sizeof c->path, service);
	c->ipc.path = c->path;
	int fd = sock_connect_unix(c->path, CONNECT_MS, NULL);

	if (fd < 0)
		return false;
	c->owner = getpid();
	c->ipc.stream = stream_new(fd);
	stream_set_timeout(c->ipc.stream, 1000 * (int64_t)conf.ipc_timeout);
	return true;
}

/* One request until it is answered, or ipc_timeout has passed. what names the operation in warnings. */
static bool
ask(const struct map *m, const char *what, enum ipc_kind kind, const void *msg, struct arena *mem,
    struct ipc_proxy_result *out)
{
	struct connection *c = &connections[(m->flags & MAP_WRITE) != 0];
	const int64_t end = clock_ms() + 1000 * (int64_t)conf.ipc_timeout;

	for (int try = 0; ; try++) {
		errno = 0;
		if (connected(c, service_name(m)) && ipc_call(&c->ipc, kind, msg, IPC_proxy_result, mem, out))
			return true;
		if (try > 0)
			log_warning("dict_proxy_%s: service %s: %s", what, service_name(m),
			    errno != 0 ? strerror(errno) : "connection lost");
		if (clock_ms() >= end)
			return false;
		(void)sleep(RETRY_SECONDS);
	}
}

static uint32_t
request_flags(const struct map *m)
{
	return m->flags & (m->flags & MAP_WRITE ? PROXY_WRITE_FLAGS : PROXY_READ_FLAGS);
}

static bool
proxy_open(struct map *m, struct err *e)
{
	struct ipc_proxy_open open = { .flags = request_flags(m) };
	struct ipc_proxy_result result = {0};
	struct arena *mem = arena_new();
	uint32_t status;

	while (strncmp(m->name, "proxy:", strlen("proxy:")) == 0 && m->name[strlen("proxy:")] != '\0')
		m->name += strlen("proxy:");	/* the service would only ask itself */
	open.table = span_str(m->name);
	status = ask(m, "open", IPC_proxy_open, &open, mem, &result) ? result.status : PROXY_RETRY;
	m->fixed = (result.flags & PROXY_FIXED_KEYS) != 0;
	arena_free(&mem);
	switch (status) {
	case PROXY_OK:
	case PROXY_CONFIG:		/* each lookup will say so */
		return true;
	case PROXY_DENIED:
		return err_perm(e, "%s service is not configured for table \"%s\"", service_name(m), m->name);
	case PROXY_RETRY:
		return err_temp(e, "%s service is not available for table \"%s\"", service_name(m), m->name);
	default:
		return err_perm(e, "%s open failed for table \"%s\": invalid request", service_name(m), m->name);
	}
}

/* What the table has answered, as a result of our own. */
static enum map_status
outcome(bool answered, const struct ipc_proxy_result *r, struct err *e)
{
	if (!answered)
		return MAP_TEMPORARY(e, "proxymap service is not available");
	switch (r->status) {
	case PROXY_OK: return MAP_FOUND;
	case PROXY_NO_KEY: return MAP_NOT_FOUND;
	case PROXY_RETRY: return MAP_TEMPORARY(e, "Application error");
	default: return MAP_PERMANENT(e, "Application error");
	}
}

static enum map_status
proxy_get(struct map *m, struct span key, struct arena *mem, struct span *value, struct err *e)
{
	const struct ipc_proxy_lookup lookup = { .table = span_str(m->name), .flags = request_flags(m), .key = key };
	struct ipc_proxy_result result = {0};
	const bool answered = ask(m, "lookup", IPC_proxy_lookup, &lookup, mem, &result);
	const enum map_status status = outcome(answered, &result, e);

	if (status == MAP_FOUND)
		*value = result.value;
	return status;
}

static enum map_status
proxy_put(struct map *m, struct span key, struct span value, struct err *e)
{
	const struct ipc_proxy_update update = { .table = span_str(m->name), .flags = request_flags(m), .key = key, .value = value };
	struct ipc_proxy_result result = {0};
	struct arena *mem = arena_new();
	const enum map_status status = outcome(ask(m, "update", IPC_proxy_update, &update, mem, &result), &result, e);

	arena_free(&mem);
	return status;
}

static enum map_status
proxy_remove(struct map *m, struct span key, struct err *e)
{
	const struct ipc_proxy_delete delete = { .table = span_str(m->name), .flags = request_flags(m), .key = key };
	struct ipc_proxy_result result = {0};
	struct arena *mem = arena_new();
	const enum map_status status = outcome(ask(m, "delete", IPC_proxy_delete, &delete, mem, &result), &result, e);

	arena_free(&mem);
	return status;
}

static enum map_status
proxy_next(struct map *m, bool first, struct arena *mem, struct span *key, struct span *value, struct err *e)
{
	const struct ipc_proxy_next next = { .table = span_str(m->name), .flags = request_flags(m), .first = first };
	struct ipc_proxy_result result = {0};
	const enum map_status status = outcome(ask(m, "sequence", IPC_proxy_next, &next, mem, &result), &result, e);

	if (status == MAP_FOUND) {
		*key = result.key;
		*value = result.value;
	}
	return status;
}

const struct map_type map_type_proxy = {
	.name = "proxy",
	.properties = MAP_TYPE_FIXED | MAP_TYPE_WRITABLE,
	.open = proxy_open,
	.get = proxy_get,
	.put = proxy_put,
	.remove = proxy_remove,
	.next = proxy_next,
};
