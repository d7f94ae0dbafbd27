/*
 * activate.c - how a queue file becomes a message in memory, and where the file is meanwhile.
 * A new message is delivered from incoming/: most are gone before they would have been renamed. One that is still there after
 * SETTLE_MS moves to active/, where mailq(1) and others look for what is under way. What is found by a scan moves first.
 *
 * SPDX-License-Identifier: ISC
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "io/file.h"
#include "mail/queue.h"
#include "qmgr/qmgr.h"

#define SETTLE_MS	1000

/* IDs of messages that are delivered from incoming/, and of files on their way into memory. Nothing else keeps a scan, or a
 * trigger that is sent again, from delivering them twice. */
static struct hash *taken;

static struct message *oldest, *newest;	/* of those that are delivered from incoming/ */
static bool settle_pending;

bool
message_is_taken(const char *id)
{
	return taken != NULL && hash_get(taken, span_str(id)) != NULL;
}

/* --- into memory --- */

/* A file on its way; the paths are made in the loop, the thread only uses them. */
struct activation {
	struct task task;
	bool fresh;			/* it stays in incoming/ */
	char id[256];
	char from[QUEUE_PATH_MAX], active[QUEUE_PATH_MAX], incoming[QUEUE_PATH_MAX];
	int fd, error;			/* fd -1: error says why; ENOENT from rename means that the file has gone */
	bool renamed;
	bool incomplete;		/* somebody has named a file that cleanup(8) has not finished */
	bool told;			/* in the log */
	bool stranded;			/* in active, but not ours: it could not be put back */
};

/* In a thread: back to incoming, where it is found a little later. */
static void
put_back(struct activation *a)
{
	struct timeval later = clock_wall();

	later.tv_sec += SKIP_SECONDS;
	if (!a->incomplete)
		(void)utimes(a->renamed ? a->active : a->from, (struct timeval[2]){ later, later });
	a->stranded = a->renamed && rename(a->active, a->incoming) != 0 && errno != ENOENT;
}

/* In a thread: rename, open, lock. A file that another process still holds, or that cannot be opened, goes back. */
static void
activation_work(struct task *task)
{
	struct activation *a = (struct activation *)task;
	struct stat st;

	if (a->stranded) {
		put_back(a);
		return;
	}
	a->fd = -1;
	a->renamed = !a->fresh && rename(a->from, a->active) == 0;
	if (a->renamed || a->fresh)
		a->fd = open(a->renamed ? a->active : a->from, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	a->error = a->fd < 0 ? errno : 0;
	if (a->fd < 0 && (!a->renamed || a->error == ENOENT))
		return;
	if (a->fd >= 0 && file_lock(a->fd, FILE_LOCK_EXCLUSIVE, false)) {
		a->incomplete = fstat(a->fd, &st) == 0 && (st.st_mode & QUEUE_MODE_READY) != QUEUE_MODE_READY;
		if (!a->incomplete)
			return;
	}
	if (a->fd >= 0)
		(void)close(a->fd);
	a->fd = -1;
	put_back(a);
}

static void
log_activation_failure(const struct activation *a)
{
	if (a->incomplete)
		return;
	if (a->error == 0)
		log_info("%s: skipped, still being delivered", a->id);
	else if (a->renamed)
		log_warning("open active %s: %s", a->id, strerror(a->error));
	else if (a->error != ENOENT)
		log_warning("%s %s%s: %s", a->fresh ? "open" : "rename", a->from, a->fresh ? "" : " to active", strerror(a->error));
}

static void
put_back_again(void *arg, unsigned events)
{
	struct activation *a = arg;

	(void)events;
	pool_submit(qmgr_pool, &a->task);
}

static void
activation_done(struct task *task)
{
	struct activation *a = (struct activation *)task;

	if (a->fd < 0) {
		if (!a->told)
			log_activation_failure(a);
		a->told = true;
		if (a->stranded) {
			(void)loop_after(qmgr_loop, stuck_ms(), put_back_again, a);
			return;
		}
	}
	if (a->fd < 0 || !a->fresh)		/* else it stays taken: message_watch() */
		(void)hash_remove(taken, span_str(a->id));
	if (a->fd >= 0) {
		message_admit(a->id, a->fresh ? "incoming" : "active", a->fresh, a->fd);	/* counted since message_activate() */
		free(a);
		return;
	}
	if (a->renamed || a->error != ENOENT)
		scan_incoming_again();
	message_count--;
	scan_message_gone();
	free(a);
}

bool
message_activate(const char *queue, const char *id, bool fresh)
{
	struct activation *a;

	if (message_is_taken(id))
		return false;
	a = calloc(1, sizeof *a);
	if (a == NULL)
		log_out_of_memory();
	a->task = (struct task){ .work = activation_work, .done = activation_done };
	a->fresh = fresh;
	(void)snprintf(a->id, sizeof a->id, "%s", id);
	queue_path(a->from, queue, id);
	queue_path(a->active, "active", id);
	queue_path(a->incoming, "incoming", id);
	if (taken == NULL)
		taken = hash_new();
	(void)hash_put(taken, span_str(id), a);
	message_count++;
	pool_submit(qmgr_pool, &a->task);
	return true;
}

/* --- from incoming/ to active/ --- */

struct move {
	struct task task;
	struct message *msg;		/* not freed as long as it is moving */
	int error;
};

static void
move_work(struct task *task)
{
	struct move *v = (struct move *)task;

	v->error = queue_rename(v->msg->id, "incoming", "active") ? 0 : errno;
}

static void
move_done(struct task *task)
{
	struct move *v = (struct move *)task;
	struct message *m = v->msg;

	m->moving = false;
	if (v->error == 0) {
		(void)hash_remove(taken, span_str(m->id));
		m->queue = "active";
	} else if (v->error != ENOENT) {
		log_warning("rename %s from incoming to active: %s; it is delivered from where it is", m->id, strerror(v->error));
	}
	free(v);
	if (m->finish_later) {
		m->finish_later = false;
		message_finish(m);
	}
}

static void
move(struct message *m)
{
	struct move *v = calloc(1, sizeof *v);

	if (v == NULL)
		log_out_of_memory();
	v->task = (struct task){ .work = move_work, .done = move_done };
	v->msg = m;
	m->moving = true;
	pool_submit(qmgr_pool, &v->task);
}

static void settle_soon(void);

static void
settle(void *arg, unsigned events)
{
	(void)arg;
	(void)events;
	settle_pending = false;
	while (oldest != NULL && oldest->entered + SETTLE_MS <= clock_ms()) {
		struct message *m = oldest;

		message_stays(m);
		move(m);
	}
	settle_soon();
}

static void
settle_soon(void)
{
	if (settle_pending || oldest == NULL)
		return;
	settle_pending = true;
	(void)loop_after(qmgr_loop, oldest->entered + SETTLE_MS - clock_ms(), settle, NULL);
}

void
message_watch(struct message *m)
{
	if (!m->fresh)
		return;
	(void)hash_put(taken, span_str(m->id), m);
	m->watched = true;
	m->before = newest;
	if (newest != NULL)
		newest->after = m;
	else
		oldest = m;
	newest = m;
	settle_soon();
}

void
message_stays(struct message *m)
{
	if (!m->watched)
		return;
	m->watched = false;
	if (m->before != NULL)
		m->before->after = m->after;
	else
		oldest = m->after;
	if (m->after != NULL)
		m->after->before = m->before;
	else
		newest = m->before;
}

void
message_unwatch(struct message *m)
{
	assert(!m->moving);
	message_stays(m);
	if (m->fresh && hash_get(taken, span_str(m->id)) == m)
		(void)hash_remove(taken, span_str(m->id));
}
