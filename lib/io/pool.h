/*
 * pool.h - file operations that may block (rename, unlink, open), done by a few threads beside an event loop.
 * A job's work() runs in a thread and may touch nothing but its own job and the file system; it must not log.
 * Its done() runs in the loop, in the order of completion.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef IO_POOL_H
#define IO_POOL_H

#include <stddef.h>

#include "io/loop.h"

struct job {
	void (*work)(struct job *);	/* in a thread */
	void (*done)(struct job *);	/* in the loop; frees the job */
	struct job *next;		/* the pool's */
};

struct pool;

/* Threads are started now and live as long as the process. Fatal when they cannot be started. */
struct pool *pool_new(struct loop *, size_t threads);
void	pool_submit(struct pool *, struct job *);	/* the job is the caller's memory, usually inside a larger struct */

#endif
