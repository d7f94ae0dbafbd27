/*
 * structure.c - brings every queue file to the directory and the name that it must have, and clears away what does not
 * belong into a queue. Names are changed in two steps, so that no message ever takes the name of another one that is
 * yet to be renamed; a run that was interrupted is completed by the next.
 *
 * SPDX-License-Identifier: ISC
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/progress.h"
#include "base/vec.h"
#include "conf/conf.h"
#include "postsuper/postsuper.h"

#define NAME_MIN	6u
#define PURGE_AGE	(7 * 86400)
#define DEPTH_MAX	8		/* of directories that are looked into */
#define PATH_SIZE	(QUEUE_PATH_MAX + 256)

static const char *const log_queues[] = { "bounce", "defer", "trace" };
#define LOG_QUEUES	(sizeof log_queues / sizeof *log_queues)

static struct {
	unsigned flags;
	const char *queue;
	bool messages;			/* the queue holds messages, not logs */
	unsigned long renamed;		/* got the mark; each must lose it before we end */
	struct progress progress;
} now;

static bool
holds_messages(const char *queue)
{
	return strcmp(queue, "bounce") != 0 && strcmp(queue, "defer") != 0 && strcmp(queue, "trace") != 0 &&
	    strcmp(queue, "flush") != 0;
}

static void
say(const char *what, const char *path)
{
	if (errno != ENOENT)
		log_warning("%s %s: %s", what, path, strerror(errno));
}

/* The new name is made from the file's own inode, so that nobody else can be about to take it. */
static bool
rename_safely(const char *from, const char *queue, const char *name)
{
	char to[QUEUE_PATH_MAX];
	struct stat st;

	queue_path(to, queue, name);
	if (strcmp(from, to) == 0)
		return true;
	if (lstat(to, &st) == 0) {
		errno = EEXIST;
	} else {
		if (rename(from, to) == 0)
			return true;
		if (errno == ENOENT && lstat(from, &st) == 0 && queue_make_dirs(queue, name) && rename(from, to) == 0)
			return true;
	}
	if (errno != ENOENT)
		log_warning("rename %s to %s: %s", from, to, strerror(errno));
	return false;
}

/* First step: message and logs get the new name, marked. Logs first: a message without its mark is found again. */
static void
mark_new_name(const char *path, const char *old, const char *id)
{
	char marked[QUEUE_ID_MAX + sizeof NAME_UNFINISHED], log[QUEUE_PATH_MAX];

	(void)snprintf(marked, sizeof marked, "%s" NAME_UNFINISHED, id);
	for (size_t i = 0; i < LOG_QUEUES; i++) {
		queue_path(log, log_queues[i], old);
		(void)rename_safely(log, log_queues[i], marked);
	}
	if (rename_safely(path, now.queue, marked))
		now.renamed++;
}

static void
check_name(const char *path, const char *name, const struct stat *st)
{
	char id[QUEUE_ID_MAX], right[QUEUE_PATH_MAX];

	if (now.messages && name_for_inode(id, span_str(name), st->st_ino, (now.flags & STRUCTURE_FIX_LONG) != 0,
	    conf.enable_long_queue_ids)) {
		mark_new_name(path, name, id);
		return;
	}
	queue_path(right, now.queue, name);
	if (strcmp(path, right) != 0)
		(void)rename_safely(path, now.queue, name);
}

static bool
purged(const char *path, const struct stat *st)
{
	const bool unfinished = now.messages && (st->st_mode & QUEUE_MODE_READY) != QUEUE_MODE_READY &&
	    st->st_mtime < time(NULL) - PURGE_AGE;

	if ((now.flags & STRUCTURE_PURGE) == 0 || !unfinished)
		return false;
	if (unlink(path) != 0)
		say("remove", path);
	return true;
}

/* A queue ID, with room for a time and an inode where it names a message. */
static bool
is_name(struct span name)
{
	return queue_id_valid(name) && (!now.messages || name.n >= NAME_MIN);
}

/* Does the name of an unfinished rename say what it must? */
static bool
is_right(struct span id, const char *path, const struct stat *st)
{
	char right[QUEUE_ID_MAX];

	if (!now.messages || !name_for_inode(right, id, st->st_ino, true, conf.enable_long_queue_ids))
		return true;
	log_warning("name/inode mismatch: %s", path);
	return false;
}

static void
check_file(const char *path, const char *name, const struct stat *st)
{
	const bool fix = (now.flags & (STRUCTURE_FIX | STRUCTURE_FIX_LONG)) != 0;
	struct span unmarked;

	if (progress_due(&now.progress))
		progress_show(&now.progress, "%s: %lu files checked, %lu to be renamed", now.queue, now.progress.steps, now.renamed);
	if (purged(path, st))
		return;
	if (fix && name_unfinished(span_str(name), &unmarked))
		now.renamed += now.messages && is_right(unmarked, path, st);	/* an earlier run was interrupted */
	else if (!queue_id_valid(span_str(name)) || (fix && !is_name(span_str(name))))
		log_warning("bogus file name: %s", path);
	else if (fix && S_ISREG(st->st_mode))
		check_name(path, name, st);
}

/* Second step. */
static void
finish_file(const char *path, const char *name, const struct stat *st)
{
	struct span unmarked;
	char id[256];

	if (progress_due(&now.progress))
		progress_show(&now.progress, "%s: %lu files checked, %lu to be renamed", now.queue, now.progress.steps, now.renamed);
	if (name_unfinished(span_str(name), &unmarked)) {
		if (now.messages && !is_right(unmarked, path, st))
			return;
		(void)snprintf(id, sizeof id, "%.*s", SPAN_ARG(unmarked));
		(void)rename_safely(path, now.queue, id);
	} else if (!is_name(span_str(name))) {
		log_warning("bogus file name: %s", path);
	}
}

static bool
is_hashed(const char *queue)
{
	char path[QUEUE_PATH_MAX];

	queue_path(path, queue, "0");
	return strchr(strchr(path, '/') + 1, '/') != NULL;
}

/* A directory below the queue: may files of this queue be in it? */
static bool
belongs(const char *name, int depth)
{
	return name[1] == '\0' && is_hashed(now.queue) && depth < conf.hash_queue_depth;
}

struct name {
	char *text;
	ino_t inode;
	bool is_file;		/* said the directory; false: perhaps */
};

static int
by_inode(const void *a, const void *b)
{
	const struct name *x = a, *y = b;

	return (x->inode > y->inode) - (x->inode < y->inode);
}

/* In the order of their inodes, which a file system is quickest to remove or to look at. */
static struct name *
names_in(const char *path, size_t *n)
{
	struct vec names = VEC_INIT(struct name);
	DIR *dir = opendir(path);
	const struct dirent *d;

	*n = 0;
	if (dir == NULL && errno != ENOENT)
		log_fatal("scan_dir_push: open directory %s: %s", path, strerror(errno));
	if (dir == NULL)
		return NULL;
	while ((d = readdir(dir)) != NULL)
		if (d->d_name[0] != '.' || (d->d_name[1] != '\0' && strcmp(d->d_name, "..") != 0))
			*(struct name *)vec_add(&names) = (struct name){ span_strdup(span_str(d->d_name)), d->d_ino, d->d_type == DT_REG };
	(void)closedir(dir);
	if (names.n > 0)
		qsort(names.p, names.n, sizeof(struct name), by_inode);
	*n = names.n;
	return names.p;
}

/* The names are read first: files that are renamed must not be met again. */
static void
walk(const char *dir, int depth, structure_file_fn fn, bool with_stat)
{
	size_t n;
	struct name *names = names_in(dir, &n);
	char path[PATH_SIZE];
	struct stat st;

	for (size_t i = 0; i < n; i++) {
		(void)snprintf(path, sizeof path, "%s/%s", dir, names[i].text);
		if (interrupted == 0 && !with_stat && names[i].is_file) {
			fn(path, names[i].text, NULL);
		} else if (interrupted != 0 || lstat(path, &st) != 0) {
			/* gone, or we are to end */
		} else if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
			if (!dry_run && unlink(path) != 0)
				say("remove", path);
		} else if (S_ISREG(st.st_mode)) {
			fn(path, names[i].text, &st);
		} else {
			if (names[i].text[1] == '\0' && depth < DEPTH_MAX)
				walk(path, depth + 1, fn, with_stat);
			if (!dry_run && !belongs(names[i].text, depth) && rmdir(path) != 0)
				say("remove subdirectory", path);
		}
		free(names[i].text);
	}
	free(names);
}

void
structure_walk(const char *queue, structure_file_fn fn, bool with_stat)
{
	now.queue = queue;
	now.messages = holds_messages(queue);
	walk(queue, 0, fn, with_stat);
}

static void
walk_queues(const struct queues *queues, structure_file_fn fn)
{
	for (size_t i = 0; i < queues->n && interrupted == 0; i++)
		structure_walk(queues->name[i], fn, true);
}

unsigned long
structure_check(const struct queues *queues, unsigned flags)
{
	struct queues logs = { .n = LOG_QUEUES };

	now.flags = flags;
	walk_queues(queues, check_file);
	if (now.renamed > 0 && interrupted == 0) {
		walk_queues(queues, finish_file);
		memcpy(logs.name, log_queues, sizeof log_queues);
		walk_queues(&logs, finish_file);
	}
	progress_clear(&now.progress);
	if (now.renamed > 0 && interrupted != 0)
		log_warning("OPERATION INCOMPLETE -- RERUN COMMAND TO FIX THE QUEUE FIRST");
	return now.renamed;
}
