/*
 * pool.c - a few threads for blocking file operations; results come back to the loop through an eventfd.
 * While the operations do not wait (a file system in memory, a journal without load) handing one to a thread
 * costs more than the operation, so it is done at once.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "io/pool.h"

#define QUICK_NS	40000	/* a task that takes no longer on average is done in the loop */
#define AVERAGE_OF	8	/* tasks, about */

struct fifo {
	struct task *first, **last;
};

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct fifo todo, finished;
	struct watch *watch;		/* of wake_fd */
	int wake_fd;
	int64_t cost;			/* nanoseconds a task takes, a moving average */
};

static void
append(struct fifo *f, struct task *j)
{
	j->next = NULL;
	if (f->first == NULL)
		f->last = &f->first;
	*f->last = j;
	f->last = &j->next;
}

static struct task *
take(struct fifo *f)
{
	struct task *j = f->first;

	if (j != NULL)
		f->first = j->next;
	return j;
}

/* Do the task without the lock, note what it cost, and tell the loop if nobody has told it yet. */
static void
perform(struct pool *p, struct task *j)
{
	uint64_t one = 1;

	(void)pthread_mutex_unlock(&p->lock);
	int64_t started = clock_ns();

	j->work(j);
	int64_t took = clock_ns() - started;

	(void)pthread_mutex_lock(&p->lock);
	p->cost += (took - p->cost) / AVERAGE_OF;
	bool first = p->finished.first == NULL;

	append(&p->finished, j);
	if (first)
		(void)!write(p->wake_fd, &one, sizeof one);
}

static void *
run(void *arg)
{
	struct pool *p = arg;

	(void)pthread_mutex_lock(&p->lock);
	for (;;) {
		struct task *j = take(&p->todo);

		if (j == NULL) {
			(void)pthread_cond_wait(&p->work, &p->lock);
			continue;
		}
		perform(p, j);
	}
	return NULL;
}

static void
collect(void *arg, unsigned events)
{
	struct pool *p = arg;
	struct fifo finished;
	uint64_t count;
	struct task *j;

	(void)events;
	(void)!read(p->wake_fd, &count, sizeof count);
	(void)pthread_mutex_lock(&p->lock);
	finished = p->finished;
	p->finished.first = NULL;
	(void)pthread_mutex_unlock(&p->lock);
	while ((j = take(&finished)) != NULL)
		j->done(j);
}

struct pool *
pool_new(struct loop *loop, size_t threads)
{
	struct pool *p = calloc(1, sizeof *p);
	pthread_t id;

	if (p == NULL)
		log_out_of_memory();
	(void)pthread_mutex_init(&p->lock, NULL);
	(void)pthread_cond_init(&p->work, NULL);
	p->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	p->watch = p->wake_fd < 0 ? NULL : loop_watch(loop, p->wake_fd, LOOP_READ, collect, p);
	if (p->watch == NULL)
		log_fatal("eventfd: %s", strerror(errno));
	for (size_t i = 0; i < threads; i++) {
		int rc = pthread_create(&id, NULL, run, p);

		if (rc != 0)
			log_fatal("cannot start a thread: %s", strerror(rc));
		(void)pthread_detach(id);
	}
	return p;
}

void
pool_submit(struct pool *p, struct task *j)
{
	(void)pthread_mutex_lock(&p->lock);
	if (p->todo.first == NULL && p->cost <= QUICK_NS) {
		perform(p, j);
	} else {
		append(&p->todo, j);
		(void)pthread_cond_signal(&p->work);
	}
	(void)pthread_mutex_unlock(&p->lock);
}
