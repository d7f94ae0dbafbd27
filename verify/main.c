/*
 * main.c - verify(8): finds out whether mail for an address would be accepted, by sending a probe that is never
 * delivered, and remembers the answer. One process owns the table.
 * Trusts its clients to name addresses; what they say about them becomes one printable line.
 *
 * SPDX-License-Identifier: ISC
 */
#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "ipc/conn.h"
#include "mail/cleanup_client.h"
#include "mail/delivery.h"
#include "mail/rec.h"
#include "service/service.h"
#include "verify/verify.h"

#define FRAME_MAX	65536u

static bool
send_probe(struct span address, struct arena *mem)
{
	struct err e = {0};
	struct span reason;
	struct buf header = {0};
	struct cleanup_client *c = cleanup_start(CLEANUP_FLAG_INTERNAL, &e);

	if (c == NULL) {
		log_warning("address %.*s: no probe: %s", SPAN_ARG(address), e.text);
		return false;
	}
	cleanup_attr(c, "log_message_origin", SPAN("local"));
	cleanup_attr(c, "trace_flags", span_str(arena_printf(mem, "%d", DELIVERY_FLAG_MTA_PROBE)));
	cleanup_rec(c, REC_FROM, verify_sender(mem));
	cleanup_rec(c, REC_ORIG_RCPT, address);
	cleanup_rec(c, REC_RCPT, address);
	cleanup_put_received(c, &header);
	(void)cleanup_text(c, buf_view(&header));
	buf_free(&header);
	return cleanup_finish(&c, mem, &reason) == 0;
}

static void
query(struct conn *c, struct span address, struct arena *mem)
{
	int64_t now = clock_wall().tv_sec;
	struct result r = { .status = VERIFY_PENDING, .reason = SPAN("Address verification in progress") }, known;

	if (cache_get(address, mem, &known) && !result_expired(&known, now))
		r = known;
	struct ipc_verify_result answer = { .status = r.status, .reason = r.reason };

	conn_send(c, IPC_verify_result, &answer);
	if (result_needs_probe(&r, now) && send_probe(address, mem)) {
		r.probed = now;
		cache_put(address, &r);
	}
}

/* A temporary failure says little about an address that was good, or bad, not long ago. */
static void
update(const struct ipc_verify_update *m, struct arena *mem)
{
	int64_t now = clock_wall().tv_sec;
	struct result known, r = { .status = (enum verify_status)m->status, .updated = now, .reason = span_printable(m->reason, mem) };
	bool have = cache_get(m->address, mem, &known) && !result_expired(&known, now);

	if (r.status != VERIFY_OK && !conf.address_verify_negative_cache)
		return;
	if (r.status == VERIFY_DEFERRED && have && (known.status == VERIFY_OK || known.status == VERIFY_UNDELIVERABLE)) {
		known.probed = 0;
		cache_put(m->address, &known);
		return;
	}
	cache_put(m->address, &r);
}

static bool
message(struct conn *c, enum ipc_kind kind, struct span payload)
{
	struct arena *mem = arena_new();
	struct ipc_status done = {0};
	union {
		struct ipc_verify_query query;
		struct ipc_verify_update update;
	} u;
	bool ok = (kind == IPC_verify_query || kind == IPC_verify_update) && ipc_decode(payload, kind, &u, mem);

	if (ok && kind == IPC_verify_query) {
		query(c, u.query.address, mem);
	} else if (ok && u.update.status <= VERIFY_UNDELIVERABLE && u.update.address.n > 0) {
		update(&u.update, mem);
		conn_send(c, IPC_status, &done);
	} else {
		ok = false;
	}
	arena_free(&mem);
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
	static const struct conn_handler handler = { .max = FRAME_MAX, .message = message, .closed = closed };

	(void)conn_new(loop, fd, &handler, NULL);
}

static const struct service verify = {
	.name = "verify",
	.kind = SERVICE_EVENT,
	.flags = SERVICE_ONE | SERVICE_NO_RETIRE,
	.init = cache_open,
	.start = cache_start_cleanup,
	.accepted = accepted,
};

int
main(int argc, char **argv)
{
	return service_main(&verify, argc, argv);
}
