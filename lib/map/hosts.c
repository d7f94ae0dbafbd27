/*
 * hosts.c - the servers of a table.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/span.h"
#include "map/hosts.h"
#include "map/list.h"

static struct host *
at(const struct hosts *h, size_t i)
{
	return *VEC_AT(&h->list, struct host *, i);
}

static void
add(struct hosts *h, struct span name)
{
	struct host *one = calloc(1, sizeof *one);
	struct span where;

	if (one == NULL)
		log_out_of_memory();
	one->name = span_strdup(name);
	where = span_str(one->name);
	one->local = span_take(&where, SPAN("unix:"));
	if (!one->local)
		(void)span_take(&where, SPAN("inet:"));
	one->where = where.p;
	*(struct host **)vec_add(&h->list) = one;
}

void
hosts_open(struct hosts *h, const char *list, int idle_interval, int retry_interval, void (*close_connection)(void *))
{
	struct span rest = span_str(list), word;

	*h = (struct hosts){ .list = VEC_INIT(struct host *), .idle = idle_interval, .retry = retry_interval,
	    .close = close_connection, .owner = getpid() };
	while (span_take_word(&rest, LIST_SEPARATORS, &word))
		add(h, word);
	if (h->list.n == 1) {
		rest = span_str(list);
		if (span_take_word(&rest, LIST_SEPARATORS, &word))
			add(h, word);
	}
}

static void
disconnect(struct hosts *h, struct host *one)
{
	if (one->connection != NULL)
		h->close(one->connection);
	one->connection = NULL;
}

void
hosts_free(struct hosts *h)
{
	for (size_t i = 0; i < h->list.n; i++) {
		struct host *one = at(h, i);

		if (h->owner == getpid())
			disconnect(h, one);
		free(one->name);
		free(one);
	}
	vec_free(&h->list);
}

void
hosts_start(struct hosts *h)
{
	const int64_t now = clock_ms();
	const bool inherited = h->owner != getpid();

	h->owner = getpid();
	for (size_t i = 0; i < h->list.n; i++) {
		struct host *one = at(h, i);

		one->tried = false;
		if (inherited) {		/* the parent's; closing it here would say goodbye in its name */
			one->connection = NULL;
			one->state = HOST_UNTRIED;
		} else if (one->state == HOST_ACTIVE && now > one->until) {
			disconnect(h, one);
			one->state = HOST_UNTRIED;
		}
	}
}

/* Smaller comes first; above this: not to be asked. */
#define RANK_NONE	6

static int
rank(const struct host *one, int64_t now)
{
	if (one->tried)
		return RANK_NONE;
	switch (one->state) {
	case HOST_ACTIVE: return one->local ? 0 : 1;
	case HOST_UNTRIED: return one->local ? 2 : 3;
	default: return now < one->until ? RANK_NONE : one->local ? 4 : 5;
	}
}

static size_t
draw(size_t n)
{
	uint32_t random = 0;

	if (n < 2 || getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
		return 0;
	return random % n;
}

struct host *
hosts_next(struct hosts *h)
{
	const int64_t now = clock_ms();
	int best = RANK_NONE;
	size_t equals = 0, pick;

	for (size_t i = 0; i < h->list.n; i++) {
		const int r = rank(at(h, i), now);

		if (r < best) {
			best = r;
			equals = 0;
		}
		equals += r == best;
	}
	if (best == RANK_NONE)
		return NULL;
	pick = draw(equals);
	for (size_t i = 0; i < h->list.n; i++) {
		struct host *one = at(h, i);

		if (rank(one, now) == best && pick-- == 0) {
			one->tried = true;
			return one;
		}
	}
	return NULL;
}

void
hosts_connected(struct hosts *h, struct host *one)
{
	one->state = HOST_ACTIVE;
	one->until = clock_ms() + 1000 * (int64_t)h->idle;
}

void
hosts_failed(struct hosts *h, struct host *one)
{
	disconnect(h, one);
	one->state = HOST_FAILED;
	one->until = clock_ms() + 1000 * (int64_t)h->retry;
}
