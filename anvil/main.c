/*
 * main.c - anvil(8): counts what clients do, for smtpd(8) to limit them. One process, in memory only.
 * Trusts its peers to name idents truthfully, but not to disconnect: what a peer has open ends with its connection.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>
#include <stdlib.h>

#include "anvil/counters.h"
#include "anvil/rates.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/vec.h"
#include "conf/conf.h"
#include "ipc/conn.h"
#include "mail/anvil_client.h"
#include "service/service.h"

#define FRAME_MAX	65536u		/* a list of counts with addresses as keys */
#define LOST_MS		60000		/* how often it is told that counts are given up */
#define PEER_OPEN_MAX	10000u		/* clients that one peer may have open at once */

static struct counters *counters;
static struct rates *rates;

/* One server process that asks us: the idents of the clients that it has open. */
struct peer {
	struct vec open;		/* of char *, heap */
};

static size_t
find_open(const struct peer *p, struct span ident)
{
	size_t i = 0;

	while (i < p->open.n && !span_is(ident, *VEC_AT(&p->open, char *, i)))
		i++;
	return i;
}

/* Keep the books of the peer; false: it may not do that. */
static bool
note(struct peer *p, uint32_t event, struct span ident)
{
	if (event == ANVIL_CONNECT) {
		if (p->open.n >= PEER_OPEN_MAX)
			return false;
		*(char **)vec_add(&p->open) = span_strdup(ident);
	} else if (event == ANVIL_DISCONNECT) {
		size_t i = find_open(p, ident);

		if (i == p->open.n)
			return false;
		free(*VEC_AT(&p->open, char *, i));
		vec_remove(&p->open, i);
	}
	return true;
}

static bool
client_event(struct conn *c, struct span payload, struct arena *mem)
{
	struct ipc_anvil ask;
	struct ipc_anvil_counts counts;
	bool ok = ipc_decode(payload, IPC_anvil, &ask, mem) && ask.ident.n > 0 && !span_has(ask.ident, '\0') &&
	    note(conn_user(c), ask.event, ask.ident) &&
	    counters_event(counters, ask.event, ask.ident, clock_ms(), time(NULL), &counts);

	if (ok)
		conn_send(c, IPC_anvil_counts, &counts);
	return ok;
}

static void
tell_lost(void)
{
	static int64_t told;
	int64_t now = clock_ms();
	size_t n;

	if (told != 0 && now - told < LOST_MS)
		return;
	if ((n = rates_lost(rates)) == 0)
		return;
	told = now;
	log_warning("smtpd_rate_limit_maps: %zu counts were given up: more than anvil_rate_limit_keys (%d) at a time", n,
	    conf.anvil_rate_limit_keys);
}

static bool
rate_event(struct conn *c, struct span payload, struct arena *mem)
{
	struct ipc_anvil_rates ask;
	struct ipc_anvil_over over;
	bool ok = ipc_decode(payload, IPC_anvil_rates, &ask, mem) && rates_event(rates, &ask, clock_ms(), &over);

	if (ok)
		conn_send(c, IPC_anvil_over, &over);
	service_hold(rates_number(rates) > 0);
	tell_lost();
	return ok;
}

static bool
message(struct conn *c, enum ipc_kind kind, struct span payload)
{
	struct arena *mem = arena_new();
	bool ok = kind == IPC_anvil ? client_event(c, payload, mem) : kind == IPC_anvil_rates && rate_event(c, payload, mem);

	arena_free(&mem);
	return ok;
}

static void
closed(struct conn *c)
{
	struct peer *p = conn_user(c);
	struct ipc_anvil_counts counts;

	for (size_t i = 0; i < p->open.n; i++) {
		char *ident = *VEC_AT(&p->open, char *, i);

		(void)counters_event(counters, ANVIL_DISCONNECT, span_str(ident), clock_ms(), time(NULL), &counts);
		free(ident);
	}
	vec_free(&p->open);
	free(p);
	service_client_done();
}

static void
accepted(struct loop *loop, int fd)
{
	static const struct conn_handler handler = { .max = FRAME_MAX, .message = message, .closed = closed };
	struct peer *p = calloc(1, sizeof *p);

	if (p == NULL)
		log_out_of_memory();
	p->open = VEC_INIT(char *);
	(void)conn_new(loop, fd, &handler, p);
}

static void
log_peak(enum peak which, const char *what)
{
	const struct peak_value v = counters_peak(counters, which);
	char when[32] = "", unit[32] = "";
	struct tm tm;

	if (v.n == 0)
		return;
	if (localtime_r(&v.at, &tm) != NULL)
		(void)strftime(when, sizeof when, "%b %e %H:%M:%S", &tm);
	if (which == PEAK_IDENTS) {
		log_info("statistics: max %s %u at %s", what, v.n, when);
		return;
	}
	if (which != PEAK_CONNECTIONS)
		(void)snprintf(unit, sizeof unit, "/%ds", conf.anvil_rate_time_unit);
	log_info("statistics: max %s %u%s for (%s) at %s", what, v.n, unit, v.ident, when);
}

static void
log_statistics(void)
{
	static const char *const names[PEAKS] = {
		[PEAK_CONNECTION_RATE] = "connection rate", [PEAK_CONNECTIONS] = "connection count",
		[PEAK_MESSAGE_RATE] = "message rate", [PEAK_RECIPIENT_RATE] = "recipient rate",
		[PEAK_NEWTLS_RATE] = "newtls rate", [PEAK_AUTH_RATE] = "auth rate", [PEAK_IDENTS] = "cache size",
	};

	for (size_t i = 0; i < PEAKS; i++)
		log_peak((enum peak)i, names[i]);
	counters_reset_peaks(counters);
}

static void
status_time(void *loop, unsigned events)
{
	(void)events;
	log_statistics();
	(void)loop_after(loop, 1000 * (int64_t)conf.anvil_status_update_time, status_time, loop);
}

static void
expire_time(void *loop, unsigned events)
{
	(void)events;
	counters_expire(counters, clock_ms());
	rates_expire(rates, clock_ms());
	service_hold(rates_number(rates) > 0);
	(void)loop_after(loop, 1000 * (int64_t)conf.anvil_rate_time_unit, expire_time, loop);
}

static void
start(struct loop *loop)
{
	counters = counters_new(1000 * (int64_t)conf.anvil_rate_time_unit);
	rates = rates_new((size_t)conf.anvil_rate_limit_keys);
	(void)loop_after(loop, 1000 * (int64_t)conf.anvil_status_update_time, status_time, loop);
	(void)loop_after(loop, 1000 * (int64_t)conf.anvil_rate_time_unit, expire_time, loop);
}

/* Idling out within a window would forget what was counted in it. */
static void
init(void)
{
	if (conf.max_idle < conf.anvil_rate_time_unit)
		conf.max_idle = conf.anvil_rate_time_unit;
}

static const struct service anvil = {
	.name = "anvil",
	.kind = SERVICE_EVENT,
	.flags = SERVICE_ONE,
	.init = init,
	.start = start,
	.accepted = accepted,
	.ending = log_statistics,
};

int
main(int argc, char **argv)
{
	return service_main(&anvil, argc, argv);
}
