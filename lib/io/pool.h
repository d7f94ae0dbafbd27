/*
 * pool.h - file operations that may block (rename, unlink, open), done by a few threads beside an event loop; at once
 * while they prove to take less time than to wake a thread.
 * A task's work() may run in a thread: it may touch nothing but its own task and the file system, and must not log.
 * Its done() runs in the loop, later, in the order of completion.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef IO_POOL_H
#define IO_POOL_H

#include <stddef.h>

#include "io/loop.h"

struct task {
	void (*work)(struct task *);	/* in a thread or in pool_submit() */
	void (*done)(struct task *);	/* in the loop; frees the task */
	struct task *next;		/* the pool's */
};

struct pool;

/* Threads are started now and live as long as the process. Fatal when they cannot be started. */
struct pool *pool_new(struct loop *, size_t threads);
void	pool_submit(struct pool *, struct task *);	/* the task is the caller's memory, usually inside a larger struct */

#endif
