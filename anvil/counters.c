/*
 * counters.c - counts by ident, in a hash; entries go when they have nothing more to say.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>
#include <string.h>

#include "anvil/counters.h"
#include "base/hash.h"
#include "base/log.h"
#include "mail/anvil_client.h"

struct entry {
	int64_t start;			/* of the window */
	struct ipc_anvil_counts n;
};

struct counters {
	int64_t window_ms;
	struct hash *entries;
	struct {
		uint32_t n;
		time_t at;
		char *ident;
	} peaks[PEAKS];
};

static void *
allocate(size_t n)
{
	void *p = calloc(1, n);

	if (p == NULL)
		log_out_of_memory();
	return p;
}

struct counters *
counters_new(int64_t window_ms)
{
	struct counters *c = allocate(sizeof *c);

	c->window_ms = window_ms;
	c->entries = hash_new();
	return c;
}

void
counters_free(struct counters **cp)
{
	if (*cp == NULL)
		return;
	counters_reset_peaks(*cp);
	hash_free(&(*cp)->entries, free);
	free(*cp);
	*cp = NULL;
}

static void
note_peak(struct counters *c, enum peak which, uint32_t n, struct span ident, time_t at)
{
	if (n <= c->peaks[which].n)
		return;
	free(c->peaks[which].ident);
	c->peaks[which].ident = span_strdup(ident);
	c->peaks[which].n = n;
	c->peaks[which].at = at;
}

static bool
window_over(const struct counters *c, const struct entry *e, int64_t now_ms)
{
	return now_ms - e->start >= c->window_ms;
}

/* The entry of an ident, its window a current one. */
static struct entry *
current(struct counters *c, struct span ident, int64_t now_ms, time_t at)
{
	struct entry *e = hash_get(c->entries, ident);

	if (e == NULL) {
		e = allocate(sizeof *e);
		e->start = now_ms;
		(void)hash_put(c->entries, ident, e);
		note_peak(c, PEAK_IDENTS, (uint32_t)hash_count(c->entries), SPAN_NULL, at);
	} else if (window_over(c, e, now_ms)) {
		e->n = (struct ipc_anvil_counts){ .connections = e->n.connections };
		e->start = now_ms;
	}
	return e;
}

static void
up(struct counters *c, uint32_t *count, enum peak which, struct span ident, time_t at)
{
	if (*count < UINT32_MAX)
		++*count;
	note_peak(c, which, *count, ident, at);
}

static void
disconnect(struct counters *c, struct span ident, int64_t now_ms)
{
	struct entry *e = hash_get(c->entries, ident);

	if (e == NULL)
		return;
	if (e->n.connections > 0)
		e->n.connections--;
	if (e->n.connections == 0 && window_over(c, e, now_ms))
		free(hash_remove(c->entries, ident));
}

bool
counters_event(struct counters *c, uint32_t event, struct span ident, int64_t now_ms, time_t at,
    struct ipc_anvil_counts *out)
{
	struct entry *e;

	*out = (struct ipc_anvil_counts){0};
	if (event == ANVIL_DISCONNECT) {
		disconnect(c, ident, now_ms);
		return true;
	}
	if (event == ANVIL_LOOKUP && hash_get(c->entries, ident) == NULL)
		return true;
	if (event < ANVIL_CONNECT || event > ANVIL_LOOKUP)
		return false;
	e = current(c, ident, now_ms, at);
	switch (event) {
	case ANVIL_CONNECT:
		up(c, &e->n.connection_rate, PEAK_CONNECTION_RATE, ident, at);
		up(c, &e->n.connections, PEAK_CONNECTIONS, ident, at);
		break;
	case ANVIL_MAIL: up(c, &e->n.message_rate, PEAK_MESSAGE_RATE, ident, at); break;
	case ANVIL_RCPT: up(c, &e->n.recipient_rate, PEAK_RECIPIENT_RATE, ident, at); break;
	case ANVIL_NEWTLS: up(c, &e->n.newtls_rate, PEAK_NEWTLS_RATE, ident, at); break;
	case ANVIL_AUTH: up(c, &e->n.auth_rate, PEAK_AUTH_RATE, ident, at); break;
	default: break;
	}
	*out = e->n;
	return true;
}

void
counters_expire(struct counters *c, int64_t now_ms)
{
	size_t pos = 0;
	struct span ident;
	void *value;

	while (hash_next(c->entries, &pos, &ident, &value)) {
		const struct entry *e = value;

		if (e->n.connections == 0 && window_over(c, e, now_ms))
			free(hash_remove(c->entries, ident));
	}
}

struct peak_value
counters_peak(const struct counters *c, enum peak which)
{
	const char *ident = c->peaks[which].ident;

	return (struct peak_value){ c->peaks[which].n, c->peaks[which].at, ident != NULL ? ident : "" };
}

void
counters_reset_peaks(struct counters *c)
{
	for (size_t i = 0; i < PEAKS; i++)
		free(c->peaks[i].ident);
	memset(c->peaks, 0, sizeof c->peaks);
}
