/*
 * action.c - delete, requeue, hold, release, expire. Messages move under the hands of a running queue manager, so a
 * file that has gone is not an error, and a message not found is looked for once more.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/progress.h"
#include "postsuper/postsuper.h"

#define PASSES		2

enum tally { REQUEUED, DELETED, EXPIRED, HELD, RELEASED, TALLIES };

static struct {
	bool used;
	unsigned long n;
} tallies[TALLIES];

static const char *const summaries[TALLIES] = {
	[REQUEUED] = "Requeued", [DELETED] = "Deleted", [EXPIRED] = "Force-expired", [HELD] = "Placed on hold",
	[RELEASED] = "Released from hold",
};

static struct progress progress;

static bool
failed(const char *what, const char *path)
{
	if (errno != ENOENT)
		log_warning("%s %s: %s", what, path, strerror(errno));
	return false;
}

static bool
do_delete(const char *path, const char *id)
{
	struct stat st;

	/* It may have moved on since its directory was read; then it keeps its logs. */
	if (lstat(path, &st) != 0 || S_ISDIR(st.st_mode))
		return failed("look up", path);
	logs_remove(id);
	return unlink(path) == 0 || failed("remove", path);
}

static bool
move(const char *path, const char *id, const char *queue)
{
	char to[QUEUE_PATH_MAX];
	struct stat st;

	queue_path(to, queue, id);
	if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode))
		return failed("look up", path);
	return rename(path, to) == 0 || (errno == ENOENT && queue_make_dirs(queue, id) && rename(path, to) == 0) || failed("rename", path);
}

/* pickup(8) looks at files in maildrop by age. */
static bool
do_requeue(const char *path, const char *id)
{
	char to[QUEUE_PATH_MAX];

	if (!move(path, id, "maildrop"))
		return false;
	queue_path(to, "maildrop", id);
	if (utimensat(AT_FDCWD, to, NULL, AT_SYMLINK_NOFOLLOW) != 0)
		(void)failed("reset time of", to);
	return true;
}

static bool do_hold(const char *path, const char *id) { return move(path, id, "hold"); }
static bool do_release(const char *path, const char *id) { return move(path, id, "deferred"); }

static bool
do_expire(const char *path, const char *id)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);

	(void)id;
	if (fd < 0)
		return failed("open", path);
	bool ok = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & QUEUE_MODE_EXPIRE) == 0;

	if (ok && fchmod(fd, (st.st_mode & 07777) | QUEUE_MODE_EXPIRE) != 0)
		ok = failed("change mode of", path);
	(void)close(fd);
	return ok;
}

static const struct action {
	int letter;
	enum tally tally;
	const char *done;		/* for people */
	const char *result;		/* in the JSON log; NULL: it has its line when it leaves the queue */
	bool (*run)(const char *path, const char *id);
	const char *queues[6];
} actions[] = {
	{ 'd', DELETED, "removed", "deleted", do_delete, { "maildrop", "incoming", "active", "deferred", "hold" } },
	{ 'r', REQUEUED, "requeued", "requeued", do_requeue, { "incoming", "active", "deferred", "hold" } },
	{ 'h', HELD, "placed on hold", "held", do_hold, { "incoming", "active", "deferred" } },
	{ 'H', RELEASED, "released from hold", "released", do_release, { "hold" } },
	{ 'e', EXPIRED, "expired", NULL, do_expire, { "incoming", "active", "deferred", "hold" } },
};

static const struct action *
find(int letter)
{
	for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
		if (actions[i].letter == letter)
			return &actions[i];
	return NULL;
}

bool action_known(int letter) { return letter == 'f' || find(letter) != NULL; }

void
action_use(int letter)
{
	if (letter == 'f')
		tallies[EXPIRED].used = tallies[RELEASED].used = true;
	else
		tallies[find(letter)->tally].used = true;
}

/* Do it to one message, if it is there and meant. */
static bool
run_one(const struct action *a, const char *queue, const char *id, const char *path)
{
	struct stat st;

	if ((dry_run || !selection_is_empty(&selection)) && (lstat(path, &st) != 0 || !S_ISREG(st.st_mode)))
		return false;
	if (!selection_has_file(&selection, queue, id, path, time(NULL)))
		return false;
	if (!dry_run) {
		record_prepare(a->result, queue, id, path);
		if (!a->run(path, id))
			return false;
		record_write();
		return true;
	}
	progress_clear(&progress);
	(void)printf("%s %s: would be %s\n", queue, id, a->done);
	return true;
}

static bool
run_on_id(const struct action *a, const char *id, const struct queues *queues)
{
	char path[QUEUE_PATH_MAX];
	bool found = false;

	for (const char *const *q = a->queues; *q != NULL; q++) {
		queue_path(path, *q, id);
		if (queues_have(queues, *q) && run_one(a, *q, id, path))
			found = true;
	}
	return found;
}

void
action_on_id(int letter, const char *id, const struct queues *queues)
{
	if (letter == 'f') {		/* expire, and off hold */
		action_on_id('e', id, queues);
		action_on_id('H', id, queues);
		return;
	}
	const struct action *a = find(letter);

	for (int pass = 0; pass < PASSES; pass++) {
		if (!run_on_id(a, id, queues))
			continue;
		tallies[a->tally].n++;
		if (!dry_run)
			log_info("%s: %s", id, a->done);
		return;
	}
}

static struct {
	const struct action *action;
	const char *queue;
} all;

/* A file of the queue, wherever in it: hash_queue_depth may have been another one when it was made. */
static void
run_on_file(const char *path, const char *name, const struct stat *st)
{
	(void)st;
	if (all.action->letter != 'd' && !queue_id_valid(span_str(name))) {
		log_warning("bogus file name: %s", path);
	} else if (run_one(all.action, all.queue, name, path)) {
		tallies[all.action->tally].n++;
	}
	if (progress_due(&progress))
		progress_show(&progress, "%s: %lu looked at, %lu %s%s", all.queue, progress.steps, tallies[all.action->tally].n,
		    dry_run ? "would be " : "", all.action->done);
}

void
action_on_all(int letter, const struct queues *queues)
{
	if (letter == 'f') {
		action_on_all('e', queues);
		action_on_all('H', queues);
		return;
	}
	const struct action *a = find(letter);

	for (const char *const *q = a->queues; *q != NULL; q++)
		if (queues_have(queues, *q)) {
			all.action = a;
			all.queue = *q;
			structure_walk(*q, run_on_file, false);
		}
	progress_clear(&progress);
}

void
action_summary(void)
{
	for (size_t i = 0; i < TALLIES; i++)
		if (tallies[i].used && dry_run)
			(void)printf("%s: would be %lu message%s\n", summaries[i], tallies[i].n, tallies[i].n == 1 ? "" : "s");
		else if (tallies[i].used)
			log_info("%s: %lu message%s", summaries[i], tallies[i].n, tallies[i].n == 1 ? "" : "s");
}
