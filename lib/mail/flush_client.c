/*
 * flush_client.c - requests to flush(8).
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>

#include "conf/conf.h"
#include "ipc/ipc.h"
#include "mail/flush_client.h"
#include "map/match.h"

static struct match *domains;
static struct ipc_client service;

void
flush_prepare(void)
{
	domains = match_open(MATCH_DOMAIN, "fast_flush_domains", conf.fast_flush_domains, NULL);
}

static enum flush_status
policy(struct span site)
{
	switch (match_name(domains, site)) {
	case MATCH_YES:
		return FLUSH_OK;
	case MATCH_NO:
		return FLUSH_DENIED;
	default:
		return FLUSH_FAILED;
	}
}

static enum flush_status
call(enum ipc_kind kind, const void *request)
{
	static char path[128];
	struct arena *mem = arena_new();
	struct ipc_status answer = {0};

	if (service.path == NULL) {
		(void)snprintf(path, sizeof path, "public/%s", conf.flush_service_name);
		service.path = path;
	}
	if (!ipc_call(&service, kind, request, IPC_status, mem, &answer) || answer.status > FLUSH_DENIED)
		answer.status = FLUSH_FAILED;
	arena_free(&mem);
	return (enum flush_status)answer.status;
}

void
flush_add(struct span site, struct span queue_id)
{
	struct ipc_flush_add m = { .site = site, .queue_id = queue_id };

	if (site.n > 0 && policy(site) == FLUSH_OK)
		(void)call(IPC_flush_add, &m);
}

enum flush_status
flush_site(struct span site)
{
	struct ipc_flush_site m = { .site = site };
	enum flush_status status = policy(site);

	return status == FLUSH_OK ? call(IPC_flush_site, &m) : status;
}
