/*
 * scan.c - which messages enter the active queue, and when: those that cleanup names at once, those in incoming at
 * each scan, those in deferred when their time has come. Removes what a killed cleanup has left behind.
 *
 * SPDX-License-Identifier: ISC
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "io/file.h"
#include "mail/queue.h"
#include "qmgr/qmgr.h"
#include "service/flow.h"

#define FILES_A_TURN		50	/* names looked at before the event loop gets its turn */
#define INCOMING_CHECK_MS	5000	/* how often a lost trigger is looked for */
#define ORPHAN_SECONDS		600	/* an incomplete, unlocked file of that age has no writer any more */
#define FAR_SLACK		60	/* seconds: clocks of file systems, steps of the clock */
#define ORPHAN_CHECK_MS		240000	/* so that none gets much older than that */

static struct scan {
	const char *queue;
	struct queue_scan *dir;
	bool again, ignore_time, again_ignore_time;
} incoming = { .queue = "incoming" }, deferred = { .queue = "deferred" };

static bool turn_pending, waiting_for_room;
static struct timespec incoming_seen;	/* mtime of the directory when its last scan began */
static bool incoming_unfinished;	/* that scan met a file that is still being written, or another must come */
static time_t incoming_due;		/* the first time to come of a file that it met; 0 = none */

static bool
have_room(void)
{
	return message_count < (size_t)conf.qmgr_message_active_limit;
}

static void
remove_orphan(const char *path, const char *id, const struct stat *st)
{
	int fd;

	if (clock_wall().tv_sec - st->st_mtime < ORPHAN_SECONDS)
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return;
	/* Its writer holds a lock for as long as it lives. */
	if (file_lock(fd, FILE_LOCK_EXCLUSIVE, false) && unlink(path) == 0)
		log_info("%s: removed (incomplete file of a process that has died)", id);
	(void)close(fd);
}

/*
 * Only the queue manager itself gives a file a time to come, and never one that is far away: another one is from before the
 * clock was set back, and waiting for it could mean days.
 */
static bool
is_for_later(const struct scan *s, const char *id, time_t when)
{
	const time_t now = clock_wall().tv_sec, farthest = s == &incoming ? SKIP_SECONDS : conf.maximal_backoff_time;

	if (when <= now + 1)
		return false;
	if (when > now + farthest + FAR_SLACK) {
		log_warning("%s: its time stamp is %lld s ahead, was the clock set back? It is tried now", id, (long long)(when - now));
		return false;
	}
	if (s == &incoming && (incoming_due == 0 || when < incoming_due))
		incoming_due = when;
	return true;
}

static void
consider(const struct scan *s, const char *dir, const char *id)
{
	char path[QUEUE_PATH_MAX + 256];
	struct stat st;

	if (message_is_taken(id))
		return;
	(void)snprintf(path, sizeof path, "%s/%s", dir, id);
	if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode))
		return;
	if ((st.st_mode & 0700) != QUEUE_MODE_READY) {
		if (s == &incoming) {
			incoming_unfinished = true;
			remove_orphan(path, id, &st);
		}
		return;
	}
	if (!s->ignore_time && is_for_later(s, id, st.st_mtime))
		return;
	if (message_activate(s->queue, id, false) && s == &incoming)
		flow_give(1);
}

static void
begin(struct scan *s)
{
	struct stat st;

	if (s == &incoming) {
		incoming_unfinished = false;
		incoming_due = 0;
		if (stat("incoming", &st) == 0)
			incoming_seen = st.st_mtim;
	}
	s->dir = queue_scan_open(s->queue);
	if (s == &incoming && queue_scan_dir(s->dir)[0] == '\0')
		incoming_unfinished = true;	/* not to be opened */
	s->ignore_time = s->again_ignore_time;
	s->again = s->again_ignore_time = false;
}

/* A few names of one queue. */
static void
step(struct scan *s)
{
	const char *id;

	for (int i = 0; s->dir != NULL && i < FILES_A_TURN && have_room(); i++) {
		if (!queue_scan_next(s->dir, &id)) {
			queue_scan_close(&s->dir);
			if (s->again)
				begin(s);
			return;
		}
		char name[256];

		(void)snprintf(name, sizeof name, "%s", id);
		consider(s, queue_scan_dir(s->dir), name);
	}
}

static void schedule_turn(void);

static void
turn(void *arg, unsigned events)
{
	(void)arg;
	(void)events;
	turn_pending = false;
	step(&incoming);
	step(&deferred);
	schedule_turn();
}

static void
schedule_turn(void)
{
	bool busy = incoming.dir != NULL || deferred.dir != NULL;

	if (!busy || turn_pending)
		return;
	waiting_for_room = !have_room();
	if (waiting_for_room)
		return;
	turn_pending = true;
	(void)loop_after(qmgr_loop, 0, turn, NULL);
}

static void
request(struct scan *s, bool ignore_time)
{
	s->again = true;
	s->again_ignore_time = s->again_ignore_time || ignore_time;
	if (s->dir == NULL)
		begin(s);
	schedule_turn();
}

void
scan_message_gone(void)
{
	if (waiting_for_room)
		schedule_turn();
}

void scan_incoming_again(void) { incoming_unfinished = true; }

void
scan_new_message(const char *id)
{
	if (!have_room()) {
		request(&incoming, false);	/* no token: mail comes in faster than it goes out */
		return;
	}
	if (message_activate("incoming", id, true))
		flow_give(1);
}

void
scan_retry_message(const char *id)
{
	char path[QUEUE_PATH_MAX];

	transport_revive_all();
	queue_path(path, "deferred", id);
	if (utimes(path, NULL) == 0)
		(void)message_activate("deferred", id, false);
}

void
scan_trigger(char byte)
{
	static bool ignore_time;

	switch (byte) {
	case 'A':
		ignore_time = true;
		return;
	case 'F':
		transport_revive_all();
		return;
	case 'D':
		request(&deferred, ignore_time);
		break;
	case 'W':
	case 'I':
		request(&incoming, ignore_time);
		break;
	default:
		return;
	}
	if (byte == 'I' || byte == 'W')
		ignore_time = false;
}

/*
 * A complete message whose trigger was lost shows as a change of the directory after its last scan, or the last scan has
 * seen it before it was complete.
 */
static void
check_incoming(void *arg, unsigned events)
{
	struct stat st;

	(void)arg;
	(void)events;
	if (incoming.dir == NULL)
		flow_fill((size_t)conf.default_process_limit);
	if (incoming_due != 0 && incoming_due <= clock_wall().tv_sec + 1)
		incoming_unfinished = true;
	if (incoming.dir == NULL && stat("incoming", &st) == 0 &&
	    (incoming_unfinished || st.st_mtim.tv_sec != incoming_seen.tv_sec || st.st_mtim.tv_nsec != incoming_seen.tv_nsec))
		request(&incoming, false);
	(void)loop_after(qmgr_loop, INCOMING_CHECK_MS, check_incoming, NULL);
}

/* Temporary names ("usec.pid") exist for an instant only; an old one was left by a kill. */
static void
sweep_temporary(void)
{
	DIR *dir = opendir("incoming");
	const struct dirent *d;
	char path[QUEUE_PATH_MAX];
	struct stat st;

	if (dir == NULL)
		return;
	while ((d = readdir(dir)) != NULL) {
		if (!ascii_digit(d->d_name[0]) || strchr(d->d_name, '.') == NULL)
			continue;
		if (snprintf(path, sizeof path, "incoming/%s", d->d_name) < (int)sizeof path && lstat(path, &st) == 0 &&
		    S_ISREG(st.st_mode) && clock_wall().tv_sec - st.st_mtime >= ORPHAN_SECONDS)
			(void)unlink(path);
	}
	(void)closedir(dir);
}

static void
periodic(void *arg, unsigned events)
{
	(void)arg;
	(void)events;
	request(&deferred, false);
	(void)loop_after(qmgr_loop, (int64_t)conf.queue_run_delay * 1000, periodic, NULL);
}

/* Orphans need no change of the directory to become old enough. */
static void
orphan_check(void *arg, unsigned events)
{
	(void)arg;
	(void)events;
	request(&incoming, false);
	sweep_temporary();
	(void)loop_after(qmgr_loop, ORPHAN_CHECK_MS, orphan_check, NULL);
}

/* What an earlier queue manager had in its hands goes back to the start. */
static void
recover_active(void)
{
	struct queue_scan *s = queue_scan_open("active");
	const char *id;
	char path[QUEUE_PATH_MAX];

	while (queue_scan_next(s, &id)) {
		queue_path(path, "active", id);
		(void)utimes(path, NULL);
		if (!queue_rename(id, "active", "incoming"))
			log_warning("rename %s from active to incoming: %s", id, strerror(errno));
	}
	queue_scan_close(&s);
}

void
scan_start(void)
{
	flow_fill((size_t)conf.default_process_limit);
	recover_active();
	periodic(NULL, 0);
	orphan_check(NULL, 0);
	(void)loop_after(qmgr_loop, INCOMING_CHECK_MS, check_incoming, NULL);
}
