/*
 * loop.c - epoll and a timer heap.
 *
 * SPDX-License-Identifier: ISC
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/heap.h"
#include "base/log.h"
#include "io/loop.h"

#define LOOP_BATCH 64

struct watch {
	struct loop *loop;
	int fd;
	unsigned events;
	loop_fn fn;
	void *arg;
	struct watch *next_dead;
};

struct timer {
	struct loop *loop;
	int64_t at;
	uint64_t seq;			/* first come, first served at the same time */
	size_t place;			/* in the heap */
	loop_fn fn;
	void *arg;
};

struct loop {
	int epoll;
	bool stop;
	int64_t now;
	_Atomic int64_t *working_since;	/* NULL: nobody looks */
	uint64_t seq;
	struct heap timers;
	struct watch *dead;		/* removed during this round; their events may still be queued */
};

static bool
earlier(const void *x, const void *y)
{
	const struct timer *a = x, *b = y;

	return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

struct loop *
loop_new(void)
{
	struct loop *l = calloc(1, sizeof *l);

	if (l == NULL)
		log_out_of_memory();
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->timers = HEAP_INIT(struct timer, place, earlier);
	l->now = clock_ms();
	return l;
}

static void
bury(struct loop *l)
{
	while (l->dead != NULL) {
		struct watch *w = l->dead;

		l->dead = w->next_dead;
		free(w);
	}
}

void
loop_free(struct loop **lp)
{
	struct loop *l = *lp;

	if (l == NULL)
		return;
	bury(l);
	for (struct timer *t; (t = heap_first(&l->timers)) != NULL; free(t))
		heap_remove(&l->timers, t);
	heap_free(&l->timers);
	(void)close(l->epoll);
	free(l);
	*lp = NULL;
}

static uint32_t
epoll_bits(unsigned events)
{
	return (events & LOOP_READ ? EPOLLIN : 0u) | (events & LOOP_WRITE ? EPOLLOUT : 0u) |
	    (events & LOOP_EXCLUSIVE ? EPOLLEXCLUSIVE : 0u);
}

struct watch *
loop_watch(struct loop *l, int fd, unsigned events, loop_fn fn, void *arg)
{
	struct watch *w = calloc(1, sizeof *w);

	if (w == NULL)
		log_out_of_memory();
	*w = (struct watch){ .loop = l, .fd = fd, .events = events, .fn = fn, .arg = arg };
	struct epoll_event ev = { .events = epoll_bits(events), .data.ptr = w };

	if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev) != 0) {
		free(w);
		return NULL;
	}
	return w;
}

void
loop_watch_set(struct watch *w, unsigned events)
{
	struct epoll_event ev = { .events = epoll_bits(events), .data.ptr = w };

	if (w->events == events)
		return;
	w->events = events;
	(void)epoll_ctl(w->loop->epoll, EPOLL_CTL_MOD, w->fd, &ev);
}

void
loop_unwatch(struct watch **wp)
{
	struct watch *w = *wp;

	if (w == NULL)
		return;
	(void)epoll_ctl(w->loop->epoll, EPOLL_CTL_DEL, w->fd, NULL);
	w->fn = NULL;
	w->next_dead = w->loop->dead;
	w->loop->dead = w;
	*wp = NULL;
}

struct timer *
loop_after(struct loop *l, int64_t ms, loop_fn fn, void *arg)
{
	struct timer *t = calloc(1, sizeof *t);

	if (t == NULL)
		log_out_of_memory();
	*t = (struct timer){ .loop = l, .at = clock_ms() + ms, .seq = l->seq++, .fn = fn, .arg = arg };
	heap_add(&l->timers, t);
	return t;
}

void
loop_cancel(struct timer **tp)
{
	struct timer *t = *tp;

	if (t == NULL)
		return;
	heap_remove(&t->loop->timers, t);
	free(t);
	*tp = NULL;
}

static void
run_timers(struct loop *l)
{
	uint64_t horizon = l->seq;	/* timers made by these callbacks wait for the next round */

	struct timer *t;

	while ((t = heap_first(&l->timers)) != NULL && !l->stop) {
		loop_fn fn = t->fn;
		void *arg = t->arg;

		if (t->at > l->now || t->seq >= horizon)
			break;
		heap_remove(&l->timers, t);
		free(t);
		fn(arg, 0);
	}
}

static int
wait_time(const struct loop *l, int64_t max_ms)
{
	const struct timer *t = heap_first(&l->timers);
	int64_t wait = max_ms;

	if (t != NULL) {
		int64_t until = t->at - clock_ms();

		if (until < 0)
			until = 0;
		if (wait < 0 || until < wait)
			wait = until;
	}
	return wait > 3600000 ? 3600000 : (int)wait;
}

void
loop_once(struct loop *l, int64_t max_ms)
{
	struct epoll_event ev[LOOP_BATCH];

	if (l->working_since != NULL)
		atomic_store(l->working_since, 0);
	int n = epoll_wait(l->epoll, ev, LOOP_BATCH, wait_time(l, max_ms));

	l->now = clock_ms();
	if (l->working_since != NULL)
		atomic_store(l->working_since, l->now);
	for (int i = 0; i < n && !l->stop; i++) {
		struct watch *w = ev[i].data.ptr;
		unsigned events = (ev[i].events & EPOLLIN ? LOOP_READ : 0u) | (ev[i].events & EPOLLOUT ? LOOP_WRITE : 0u) |
		    (ev[i].events & (EPOLLHUP | EPOLLERR) ? LOOP_HANGUP : 0u);

		if (w->fn != NULL)
			w->fn(w->arg, events);
	}
	run_timers(l);
	bury(l);
}

void
loop_run(struct loop *l)
{
	l->stop = false;
	while (!l->stop)
		loop_once(l, -1);
}

void loop_stop(struct loop *l) { l->stop = true; }
int64_t loop_now(const struct loop *l) { return l->now; }
void loop_show_work(struct loop *l, _Atomic int64_t *since) { l->working_since = since; }
