/*
 * rewrite.c - client of trivial-rewrite(8) with a small memory of recent answers.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "conf/conf.h"
#include "ipc/ipc.h"
#include "mail/rewrite.h"
#include "smtp/address.h"

#define CACHE_ENTRIES	256

struct entry {
	int64_t expires;
	unsigned flags;
	struct buf text;			/* parts, each NUL-terminated */
	size_t transport_n, nexthop_n, recipient_n;
};

static struct hash *cache;
static struct ipc_client service;

static struct ipc_client *
client(void)
{
	static char path[128];

	if (service.path == NULL) {
		(void)snprintf(path, sizeof path, "private/%s", conf.rewrite_service_name);
		service.path = path;
	}
	return &service;
}

static void
entry_free(void *p)
{
	struct entry *e = p;

	buf_free(&e->text);
	free(e);
}

static const struct entry *
cache_find(struct span key)
{
	struct entry *e = cache == NULL ? NULL : hash_get(cache, key);

	if (e == NULL || e->expires >= clock_ms())
		return e;
	entry_free(hash_remove(cache, key));
	return NULL;
}

static void
cache_add(struct span key, unsigned flags, struct span transport, struct span nexthop, struct span recipient)
{
	struct entry *e = calloc(1, sizeof *e);

	if (e == NULL)
		log_out_of_memory();
	if (cache != NULL && hash_count(cache) >= CACHE_ENTRIES)
		hash_free(&cache, entry_free);
	if (cache == NULL)
		cache = hash_new();
	*e = (struct entry){ .expires = clock_ms() + REWRITE_CACHE_MS, .flags = flags, .transport_n = transport.n,
	    .nexthop_n = nexthop.n, .recipient_n = recipient.n };
	buf_span(&e->text, transport);
	buf_span(&e->text, nexthop);
	buf_span(&e->text, recipient);
	struct entry *old = hash_put(cache, key, e);

	if (old != NULL)
		entry_free(old);
}

/* What is asked, as one string; the parts cannot run into each other because each is preceded by its length. */
static struct span
cache_key(char what, struct span a, struct span b, struct arena *mem)
{
	return span_str(arena_printf(mem, "%c%zu,%.*s%zu,%.*s", what, a.n, SPAN_ARG(a), b.n, SPAN_ARG(b)));
}

/* Atom characters but '%' and '!', which may route; dots stand between atoms only. */
static bool
plain_atoms(struct span s)
{
	bool after_dot = true;

	for (size_t i = 0; i < s.n; i++) {
		bool dot = s.p[i] == '.';

		if (dot ? after_dot : !ascii_alnum(s.p[i]) && strchr("#$&'*+-/=?^_`{|}~", s.p[i]) == NULL)
			return false;
		after_dot = dot;
	}
	return !after_dot;
}

bool
rewrite_is_standard(struct span a)
{
	size_t at = span_find(a, '@');

	if (at == a.n || span_has(a, '\0'))
		return false;
	struct span domain = span_from(a, at + 1);

	return span_has(domain, '.') && plain_atoms(span_to(a, at)) && plain_atoms(domain);
}

bool
rewrite_external(const char *rule, struct span address, struct arena *mem, struct span *out)
{
	struct ipc_rewrite m = { .rule = span_str(rule), .address = address };
	struct ipc_rewritten answer;

	if (rewrite_is_standard(address)) {
		*out = address;
		return true;
	}
	struct span key = cache_key('w', m.rule, address, mem);
	const struct entry *e = cache_find(key);

	if (e != NULL) {
		*out = span_copy(buf_view(&e->text), mem);
		return true;
	}
	if (!ipc_call(client(), IPC_rewrite, &m, IPC_rewritten, mem, &answer))
		return false;
	cache_add(key, answer.flags, SPAN_NULL, SPAN_NULL, answer.address);
	*out = answer.address;
	return true;
}

bool
rewrite_internal(const char *rule, struct span address, struct arena *mem, struct span *out)
{
	struct span external;

	if (!rewrite_external(rule, address_quote(address, mem), mem, &external))
		return false;
	*out = address_unquote(external, mem);
	return true;
}

bool
resolve_address(struct span sender, struct span recipient, bool probe, struct arena *mem, struct resolved *out)
{
	struct ipc_resolve m = { .probe = probe, .sender = sender, .address = recipient };
	struct ipc_resolved answer;
	struct span key = cache_key(probe ? 'p' : 'r', sender, recipient, mem);
	const struct entry *e = cache_find(key);

	if (e == NULL) {
		if (!ipc_call(client(), IPC_resolve, &m, IPC_resolved, mem, &answer))
			return false;
		*out = (struct resolved){ answer.flags, answer.transport, answer.nexthop, answer.recipient };
		if ((answer.flags & RESOLVE_FAIL) == 0)
			cache_add(key, answer.flags, answer.transport, answer.nexthop, answer.recipient);
		return true;
	}
	struct span text = span_copy(buf_view(&e->text), mem);

	out->flags = e->flags;
	out->transport = span_to(text, e->transport_n);
	out->nexthop = span_to(span_from(text, e->transport_n), e->nexthop_n);
	out->recipient = span_from(text, e->transport_n + e->nexthop_n);
	return true;
}
