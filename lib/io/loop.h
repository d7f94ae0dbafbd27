/*
 * loop.h - event loop of one thread: descriptors (epoll, level-triggered) and timers.
 * Callbacks may add and remove anything, themselves included.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef IO_LOOP_H
#define IO_LOOP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { LOOP_READ = 1, LOOP_WRITE = 2, LOOP_HANGUP = 4, LOOP_EXCLUSIVE = 8 };

struct loop;
struct watch;
struct timer;

typedef void (*loop_fn)(void *arg, unsigned events);	/* events: LOOP_* that are true; 0 for a timer */

struct loop *loop_new(void);
void	loop_free(struct loop **);
/* The descriptor stays the caller's; remove the watch before closing it. LOOP_EXCLUSIVE: of several processes
 * that wait for the same socket only one is woken. NULL when the kernel refuses (errno). */
struct watch *loop_watch(struct loop *, int fd, unsigned events, loop_fn, void *arg);
void	loop_watch_set(struct watch *, unsigned events);	/* 0 = nothing but errors for now */
void	loop_unwatch(struct watch **);				/* NULL is fine */
struct timer *loop_after(struct loop *, int64_t ms, loop_fn, void *arg);	/* once; freed when it fires */
void	loop_cancel(struct timer **);				/* only while it has not fired; NULL is fine */
/* One round: wait at most max_ms (-1 = until something happens), dispatch what is ready. */
void	loop_once(struct loop *, int64_t max_ms);
void	loop_run(struct loop *);				/* until loop_stop() */
void	loop_stop(struct loop *);
int64_t	loop_now(const struct loop *);				/* clock_ms() as of this round */
/* While callbacks run, *since is clock_ms() of the round's start; 0 while the loop waits. For a watchdog in another process. */
void	loop_show_work(struct loop *, _Atomic int64_t *since);

#endif
