/*
 * verify_client.c - requests to verify(8), and the sender of probes.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "conf/conf.h"
#include "ipc/ipc.h"
#include "mail/verify_client.h"
#include "smtp/address.h"

static struct ipc_client service;

static struct ipc_client *
client(void)
{
	static char path[128];

	if (service.path == NULL) {
		(void)snprintf(path, sizeof path, "private/%s", conf.address_verify_service_name);
		service.path = path;
	}
	return &service;
}

bool
verify_query(struct span address, struct arena *mem, enum verify_status *status, struct span *reason)
{
	struct ipc_verify_query m = { .address = address };
	struct ipc_verify_result r;

	if (!ipc_call(client(), IPC_verify_query, &m, IPC_verify_result, mem, &r) || r.status > VERIFY_PENDING)
		return false;
	*status = (enum verify_status)r.status;
	*reason = r.reason;
	return true;
}

bool
verify_update(struct span address, enum verify_status status, struct span reason)
{
	struct ipc_verify_update m = { .address = address, .status = status, .reason = reason };
	struct ipc_status answer = {0};
	struct arena *mem = arena_new();
	bool ok = ipc_call(client(), IPC_verify_update, &m, IPC_status, mem, &answer) && answer.status == 0;

	arena_free(&mem);
	return ok;
}

/* False: probes have the null sender. */
static bool
sender_parts(struct span *local, struct span *domain)
{
	struct span base = span_str(conf.address_verify_sender);

	if (base.n == 0 || span_is(base, "<>"))
		return false;
	if (!address_split(base, local, domain) || domain->n == 0) {
		*local = base;
		*domain = span_str(conf.myorigin);
	}
	return true;
}

struct span
verify_stable_sender(struct arena *mem)
{
	struct span local, domain;

	if (!sender_parts(&local, &domain))
		return SPAN_NULL;
	return span_str(arena_printf(mem, "%.*s@%.*s", SPAN_ARG(local), SPAN_ARG(domain)));
}

/* The sender of the period that is so many after the current one. */
static struct span
sender_of_period(int shift, struct arena *mem)
{
	struct span local, domain;

	if (conf.address_verify_sender_ttl <= 0 || !sender_parts(&local, &domain))
		return verify_stable_sender(mem);
	return span_str(arena_printf(mem, "%.*s%llx@%.*s", SPAN_ARG(local),
	    (long long)clock_wall().tv_sec / conf.address_verify_sender_ttl + shift, SPAN_ARG(domain)));
}

struct span
verify_sender(struct arena *mem)
{
	return sender_of_period(0, mem);
}

bool
verify_is_sender(struct span address)
{
	struct arena *mem = arena_new();
	bool is = false;

	for (int shift = 0; shift >= -1 && !is; shift--) {
		struct span sender = sender_of_period(shift, mem), local, domain;

		(void)address_split(sender, &local, &domain);
		is = sender.n > 0 && (span_ieq(sender, address) || span_ieq(local, address));
	}
	arena_free(&mem);
	return is;
}
