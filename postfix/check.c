/*
 * check.c - "postfix check", also done before start: what is missing is made or refused, what looks wrong is said.
 * Never follows a symbolic link while it looks at a tree.
 *
 * SPDX-License-Identifier: ISC
 */
#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/conf.h"
#include "conf/master_cf.h"
#include "io/file.h"
#include "postfix/files.h"
#include "postfix/postfix.h"

#define PATH_SIZE	4096
#define COPY_SIZE_MAX	(64u << 20)	/* of a file in the jail that is compared */

/* Queue directories whose content belongs to mail_owner. */
static const char *const queue_trees[] = { "saved", "incoming", "active", "defer", "deferred", "bounce", "hold", "trace",
    "corrupt", "public", "private", "flush" };
/* What a chroot jail in the queue directory has copies of. */
static const char *const jail_trees[] = { "bin", "etc", "lib", "sbin", "usr" };

static bool
is_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static void
need_directory(const char *what, const char *path)
{
	if (!is_directory(path))
		log_fatal("no Postfix %s directory %s!", what, path);
}

static void
make_missing(void)
{
	struct files files;
	struct err e = {0};

	if (!files_load(&files, is_secondary, &e) || !files_apply(&files, FILES_MISSING, &e)) {
		(void)fprintf(stderr, "%s\n", e.text);
		log_fatal("unable to create missing queue directories");
	}
	files_free(&files);
}

static void
need_master_cf(void)
{
	struct master_cf services;
	struct err e = {0};
	char path[PATH_SIZE];
	bool found = false;

	(void)snprintf(path, sizeof path, "%s/master.cf", conf.config_directory);
	if (access(path, R_OK) != 0)
		log_fatal("no %s file found", path);
	if (conf.maillog_file[0] == '\0')
		return;
	if (!master_cf_load(&services, conf.config_directory, conf_level_below("1"), &e))
		log_fatal("%s", e.text);
	for (size_t i = 0; i < services.n; i++)
		found = found || strcmp(services.service[i].name, conf.postlog_service_name) == 0;
	master_cf_free(&services);
	if (!found)
		log_fatal("missing '%s' service in master.cf - run 'postfix upgrade-configuration'", conf.postlog_service_name);
}

void
check_integrity(void)
{
	char path[PATH_SIZE];
	char *mend_names[] = { "postsuper", NULL };

	need_directory("command", conf.command_directory);
	need_directory("daemon", conf.daemon_directory);
	(void)snprintf(path, sizeof path, "%s/master", conf.daemon_directory);
	if (access(path, X_OK) != 0)
		log_fatal("no Postfix master program %s!", path);
	need_directory("configuration", conf.config_directory);
	if (strcmp(conf.shlib_directory, "no") != 0)
		need_directory("shared-library", conf.shlib_directory);
	need_directory("meta", conf.meta_directory);
	need_directory("queue", conf.queue_directory);
	run_postconf();
	need_master_cf();
	make_missing();
	if (geteuid() == 0 && run_program(command_program_directory, mend_names) != 0)
		log_fatal("Postfix integrity check failed!");
}

/* --- warnings */

struct look {
	void (*at)(const char *path, const struct stat *st, const void *arg);
	const void *arg;
};

/* Call look->at for path, which may end in "/.", and what is below it. */
static void
walk(const char *path, const struct look *look)
{
	char below[PATH_SIZE];
	const struct dirent *e;
	struct stat st;
	DIR *d;

	if (lstat(path, &st) != 0)
		return;
	look->at(path, &st, look->arg);
	if (!S_ISDIR(st.st_mode) || (d = opendir(path)) == NULL)
		return;
	while ((e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if ((size_t)snprintf(below, sizeof below, "%s/%s", path, e->d_name) < sizeof below)
			walk(below, look);
	}
	(void)closedir(d);
}

struct owner {
	uid_t uid;
	const char *name;
};

static void
warn_owner(const char *path, const struct stat *st, const void *arg)
{
	const struct owner *owner = arg;

	if (st->st_uid != owner->uid)
		log_warning("not owned by %s: %s", owner->name, path);
}

/* Sockets and FIFOs come and go with master(8). */
static void
warn_file_owner(const char *path, const struct stat *st, const void *arg)
{
	if (!S_ISSOCK(st->st_mode) && !S_ISFIFO(st->st_mode))
		warn_owner(path, st, arg);
}

static void
warn_writable(const char *path, const struct stat *st, const void *arg)
{
	(void)arg;
	if (!S_ISLNK(st->st_mode) && (st->st_mode & 022) != 0)
		log_warning("group or other writable: %s", path);
}

static void
walk_directory(const char *directory, void (*at)(const char *, const struct stat *, const void *), const struct owner *owner)
{
	const struct look look = { at, owner };
	char path[PATH_SIZE];

	(void)snprintf(path, sizeof path, "%s/.", directory);
	walk(path, &look);
}

static void
look_at_queue_top(void (*at)(const char *, const struct stat *, const void *), const struct owner *owner)
{
	const char *const tops[] = { ".", conf.process_id_directory };
	char path[PATH_SIZE];
	struct stat st;

	for (size_t i = 0; i < 2; i++) {
		(void)snprintf(path, sizeof path, "%s/%s", conf.queue_directory, tops[i]);
		if (lstat(path, &st) == 0)
			at(path, &st, owner);
	}
}

/* Directories with programs and configuration; those that instances share are looked at by the default one. */
static size_t
root_trees(const char *tree[4])
{
	size_t n = 0;

	tree[n++] = conf.config_directory;
	if (is_secondary)
		return n;
	tree[n++] = conf.daemon_directory;
	if (strcmp(conf.meta_directory, conf.config_directory) != 0)
		tree[n++] = conf.meta_directory;
	if (strcmp(conf.shlib_directory, "no") != 0 && strcmp(conf.shlib_directory, conf.daemon_directory) != 0)
		tree[n++] = conf.shlib_directory;
	return n;
}

static void
warn_ownership(const struct owner *root, const struct owner *mail)
{
	const struct look file_owner = { warn_file_owner, mail };
	const char *tree[4];
	const size_t n = root_trees(tree);
	char path[PATH_SIZE];
	struct stat st;

	look_at_queue_top(warn_owner, root);
	look_at_queue_top(warn_writable, root);
	for (size_t i = 0; i < n; i++)
		walk_directory(tree[i], warn_owner, root);
	for (size_t i = 0; i < n; i++)
		walk_directory(tree[i], warn_writable, root);
	walk_directory(conf.data_directory, warn_owner, mail);
	walk_directory(conf.data_directory, warn_writable, mail);
	for (size_t i = 0; i < sizeof queue_trees / sizeof *queue_trees; i++) {
		(void)snprintf(path, sizeof path, "%s/%s", conf.queue_directory, queue_trees[i]);
		walk(path, &file_owner);
	}
	(void)snprintf(path, sizeof path, "%s/maildrop", conf.queue_directory);
	if (lstat(path, &st) == 0)
		warn_owner(path, &st, mail);
}

static void
warn_group(void)
{
	const char *const directory[] = { conf.command_directory, conf.command_directory, conf.queue_directory,
	    conf.queue_directory };
	static const char *const name[] = { "postqueue", "postdrop", "public", "maildrop" };
	static const char *const set_gid[] = { "postqueue", "postdrop", "postlog" };
	const struct group *gr = getgrnam(conf.setgid_group);
	char path[PATH_SIZE];
	struct stat st;

	for (size_t i = 0; i < 4 && gr != NULL; i++) {
		(void)snprintf(path, sizeof path, "%s/%s", directory[i], name[i]);
		if ((i >= 2 || !is_secondary) && stat(path, &st) == 0 && st.st_gid != gr->gr_gid)
			log_warning("not owned by group %s: %s", conf.setgid_group, path);
	}
	for (size_t i = 0; i < 3 && !is_secondary; i++) {
		(void)snprintf(path, sizeof path, "%s/%s", conf.command_directory, set_gid[i]);
		if (stat(path, &st) == 0 && (st.st_mode & 02111) != 02111)
			log_warning("not set-gid or not owner+group+world executable: %s", path);
	}
}

static bool
differ(const char *a, const char *b)
{
	struct buf left = {0}, right = {0};
	bool same = !file_read_all(a, COPY_SIZE_MAX, &left, NULL) || !file_read_all(b, COPY_SIZE_MAX, &right, NULL);

	same = same || span_eq(buf_view(&left), buf_view(&right));
	buf_free(&left);
	buf_free(&right);
	return !same;
}

/* A copy in the jail and what it was copied from. */
static void
warn_stale(const char *path, const struct stat *st, const void *arg)
{
	const char *original = path + strlen(conf.queue_directory);

	(void)arg;
	if (S_ISREG(st->st_mode) && access(original, R_OK) == 0 && differ(path, original))
		log_warning("%s and %s differ", path, original);
}

static void
walk_jail(void (*at)(const char *, const struct stat *, const void *), const struct owner *owner)
{
	const struct look look = { at, owner };
	char path[PATH_SIZE];

	for (size_t i = 0; i < sizeof jail_trees / sizeof *jail_trees; i++) {
		(void)snprintf(path, sizeof path, "%s/%s", conf.queue_directory, jail_trees[i]);
		walk(path, &look);
	}
}

static void
warn_damaged(void)
{
	DIR *d = opendir("corrupt");
	const struct dirent *e;

	if (d == NULL)
		return;
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			log_warning("damaged message: corrupt/%s", e->d_name);
	(void)closedir(d);
}

static void
warn_two_sendmails(void)
{
	static const char *const one = "/usr/lib/sendmail", *const two = "/usr/sbin/sendmail";

	if (is_secondary || access(one, R_OK) != 0 || access(two, R_OK) != 0 || !differ(one, two))
		return;
	log_warning("%s and %s differ", one, two);
	log_warning("Replace one by a symbolic link to the other");
}

void
check_permissions(void)
{
	const struct passwd *pw = getpwnam(conf.mail_owner);
	const struct owner root = { 0, "root" };

	/* Rootless, everything belongs to one user. */
	if (geteuid() == 0 && pw != NULL) {
		const struct owner mail = { pw->pw_uid, conf.mail_owner };

		warn_ownership(&root, &mail);
		warn_group();
		walk_jail(warn_owner, &root);
	}
	walk_jail(warn_stale, NULL);
	warn_damaged();
	warn_two_sendmails();
}
