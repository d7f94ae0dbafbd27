/*
 * main.c - trivial-rewrite(8): brings addresses to standard form and finds transport and next hop for a recipient.
 * Serves many clients on one loop. Trusts no client: addresses are bytes from the network.
 *
 * SPDX-License-Identifier: ISC
 */
#include "base/log.h"
#include "ipc/conn.h"
#include "map/maps.h"
#include "service/service.h"
#include "trivial-rewrite/rewrite.h"

static bool
message(struct conn *c, enum ipc_kind kind, struct span payload)
{
	struct arena *mem = arena_new();
	union {
		struct ipc_rewrite rewrite;
		struct ipc_resolve resolve;
	} u;
	bool ok = (kind == IPC_rewrite || kind == IPC_resolve) && ipc_decode(payload, kind, &u, mem);

	if (ok && kind == IPC_rewrite) {
		struct ipc_rewritten out = { .address = standard_form(u.rewrite.rule, u.rewrite.address, mem) };

		conn_send(c, IPC_rewritten, &out);
	} else if (ok) {
		struct ipc_resolved out = {0};

		resolve(&u.resolve, &out, mem);
		conn_send(c, IPC_resolved, &out);
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

static void
init(void)
{
	classes_open();
	routes_open();
}

static const struct service trivial_rewrite = {
	.name = "trivial-rewrite",
	.kind = SERVICE_EVENT,
	.init = init,
	.accepted = accepted,
	.tables_changed = maps_restart_wanted,
};

int
main(int argc, char **argv)
{
	return service_main(&trivial_rewrite, argc, argv);
}
