/*
 * rates.c - counts with a limit and a window of their own, in a hash and in a list by age.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>
#include <string.h>

#include "anvil/rates.h"
#include "base/hash.h"
#include "base/log.h"

#define LOOKED_AT	64		/* oldest entries of which one goes */
#define IDENT_MAX	1024u
#define ASK_MAX		64u

struct entry {
	struct entry *next, *prev;	/* younger, older */
	int64_t start, window_ms;
	uint32_t n;
	size_t ident_len;
	char ident[];
};

struct rates {
	struct hash *entries;
	struct entry *oldest, *youngest;
	size_t max, lost;
};

struct rates *
rates_new(size_t max)
{
	struct rates *r = calloc(1, sizeof *r);

	if (r == NULL)
		log_out_of_memory();
	r->entries = hash_new();
	r->max = max;
	return r;
}

static void
forget(struct rates *r, struct entry *e)
{
	*(e->prev != NULL ? &e->prev->next : &r->oldest) = e->next;
	*(e->next != NULL ? &e->next->prev : &r->youngest) = e->prev;
	(void)hash_remove(r->entries, span(e->ident, e->ident_len));
	free(e);
}

void
rates_free(struct rates **rp)
{
	if (*rp == NULL)
		return;
	hash_free(&(*rp)->entries, free);
	free(*rp);
	*rp = NULL;
}

static bool
is_over(const struct entry *e, int64_t now_ms)
{
	return now_ms - e->start >= e->window_ms;
}

/* Many keys with one event each (made-up senders) must not push out those that matter. */
static void
make_room(struct rates *r, int64_t now_ms)
{
	struct entry *lowest = r->oldest, *e = r->oldest;

	for (int i = 0; i < LOOKED_AT && e != NULL; i++, e = e->next) {
		if (is_over(e, now_ms)) {
			forget(r, e);
			return;
		}
		if (e->n < lowest->n)
			lowest = e;
	}
	r->lost++;
	forget(r, lowest);
}

/* Its count as of now; 0 when there is none. */
static uint32_t
count(const struct rates *r, struct span ident, int64_t now_ms)
{
	const struct entry *e = hash_get(r->entries, ident);

	return e == NULL || is_over(e, now_ms) ? 0 : e->n;
}

static void
add(struct rates *r, const struct ipc_anvil_rate *ask, int64_t now_ms)
{
	struct entry *e = hash_get(r->entries, ask->ident);

	if (e != NULL && is_over(e, now_ms)) {
		forget(r, e);
		e = NULL;
	}
	if (e == NULL) {
		if (r->oldest != NULL && hash_count(r->entries) >= r->max)
			make_room(r, now_ms);
		if ((e = calloc(1, sizeof *e + ask->ident.n)) == NULL)
			log_out_of_memory();
		memcpy(e->ident, ask->ident.p, ask->ident.n);
		e->ident_len = ask->ident.n;
		e->start = now_ms;
		e->window_ms = 1000 * (int64_t)ask->window;
		e->prev = r->youngest;
		*(r->youngest != NULL ? &r->youngest->next : &r->oldest) = e;
		r->youngest = e;
		(void)hash_put(r->entries, ask->ident, e);
	}
	if (e->n < UINT32_MAX)
		e->n++;
}

bool
rates_event(struct rates *r, const struct ipc_anvil_rates *ask, int64_t now_ms, struct ipc_anvil_over *out)
{
	uint32_t soft = 0;

	*out = (struct ipc_anvil_over){0};
	if (ask->rate.n > ASK_MAX)
		return false;
	for (size_t i = 0; i < ask->rate.n; i++) {
		const struct ipc_anvil_rate *a = &ask->rate.p[i];

		if (a->ident.n == 0 || a->ident.n > IDENT_MAX || a->window == 0)
			return false;
		if (count(r, a->ident, now_ms) < a->limit)
			continue;
		if (a->firm != 0) {
			out->which = (uint32_t)i + 1;
			return true;
		}
		if (soft == 0)
			soft = (uint32_t)i + 1;
	}
	for (size_t i = 0; i < ask->rate.n; i++)
		add(r, &ask->rate.p[i], now_ms);
	out->which = soft;
	return true;
}

void
rates_expire(struct rates *r, int64_t now_ms)
{
	for (struct entry *e = r->oldest, *next; e != NULL; e = next) {
		next = e->next;
		if (is_over(e, now_ms))
			forget(r, e);
	}
}

size_t rates_number(const struct rates *r) { return hash_count(r->entries); }

size_t
rates_lost(struct rates *r)
{
	size_t n = r->lost;

	r->lost = 0;
	return n;
}
