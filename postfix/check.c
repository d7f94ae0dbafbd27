/*
 * check.c - "postfix check", also done before start: what is missing is made or refused, what looks wrong is said.
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
#include "io/file.h"
#include "postfix/postfix.h"

enum owner { OWNER_ROOT, OWNER_MAIL };

/* The queue: facts of master-defaults, one row a directory. */
static const struct queue_dir {
	const char *name;
	enum owner owner;
	bool group;			/* belongs to setgid_group */
	mode_t mode;
} queue_dirs[] = {
	{ "active", OWNER_MAIL, false, 0700 }, { "bounce", OWNER_MAIL, false, 0700 },
	{ "corrupt", OWNER_MAIL, false, 0700 }, { "defer", OWNER_MAIL, false, 0700 },
	{ "deferred", OWNER_MAIL, false, 0700 }, { "flush", OWNER_MAIL, false, 0700 },
	{ "hold", OWNER_MAIL, false, 0700 }, { "incoming", OWNER_MAIL, false, 0700 },
	{ "private", OWNER_MAIL, false, 0700 }, { "saved", OWNER_MAIL, false, 0700 },
	{ "trace", OWNER_MAIL, false, 0700 }, { "maildrop", OWNER_MAIL, true, 0730 },
	{ "public", OWNER_MAIL, true, 0710 }, { "pid", OWNER_ROOT, false, 0755 },
};

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
own(const char *path, const struct queue_dir *d)
{
	const struct passwd *pw = getpwnam(conf.mail_owner);
	const struct group *gr = getgrnam(conf.setgid_group);

	if (geteuid() != 0)
		return;
	if (pw == NULL || gr == NULL)
		log_fatal("file %s/main.cf: mail_owner %s and setgid_group %s must exist: create them, or run make install",
		    conf.config_directory, conf.mail_owner, conf.setgid_group);
	uid_t uid = d->owner == OWNER_MAIL ? pw->pw_uid : 0;
	gid_t gid = d->group ? gr->gr_gid : (gid_t)-1;

	if (chown(path, uid, gid) != 0)
		log_warning("change owner of %s: %s", path, strerror(errno));
}

static void
make_queue(void)
{
	char path[1024];

	if (!is_directory(conf.queue_directory) && !file_make_dir(conf.queue_directory, 0755))
		log_fatal("no Postfix queue directory %s!", conf.queue_directory);
	for (size_t i = 0; i < sizeof queue_dirs / sizeof *queue_dirs; i++) {
		const struct queue_dir *d = &queue_dirs[i];

		(void)snprintf(path, sizeof path, "%s/%s", conf.queue_directory, d->name);
		if (is_directory(path))
			continue;
		if (!file_make_dir(path, d->mode) || chmod(path, d->mode) != 0)
			log_fatal("unable to create missing queue directories: %s: %s", path, strerror(errno));
		own(path, d);
	}
}

static void
make_data_directory(void)
{
	const struct queue_dir d = { "data", OWNER_MAIL, false, 0700 };

	if (is_directory(conf.data_directory))
		return;
	if (!file_make_dir(conf.data_directory, 0700))
		log_fatal("unable to create data directory %s: %s", conf.data_directory, strerror(errno));
	own(conf.data_directory, &d);
}

void
check_integrity(void)
{
	char path[1024];

	need_directory("command", conf.command_directory);
	need_directory("daemon", conf.daemon_directory);
	(void)snprintf(path, sizeof path, "%s/master", conf.daemon_directory);
	if (access(path, X_OK) != 0)
		log_fatal("no Postfix master program %s!", path);
	need_directory("configuration", conf.config_directory);
	make_queue();
	make_data_directory();
	(void)snprintf(path, sizeof path, "%s/postconf", conf.command_directory);
	if (access(path, X_OK) != 0)
		log_fatal("cannot execute %s!", path);
	(void)snprintf(path, sizeof path, "%s/master.cf", conf.config_directory);
	if (access(path, R_OK) != 0)
		log_fatal("no %s file found", path);
}

static void
warn_owner(const char *path, uid_t want, const char *who)
{
	struct stat st;

	if (lstat(path, &st) == 0 && st.st_uid != want)
		log_warning("not owned by %s: %s", who, path);
}

static void
warn_writable(const char *path)
{
	struct stat st;

	if (lstat(path, &st) == 0 && !S_ISLNK(st.st_mode) && (st.st_mode & 022) != 0)
		log_warning("group or other writable: %s", path);
}

/* One level below a directory: these trees are flat. */
static void
warn_tree(const char *dir, uid_t owner, const char *who)
{
	DIR *d = opendir(dir);
	const struct dirent *e;
	char path[1024];

	if (d == NULL)
		return;
	while ((e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		(void)snprintf(path, sizeof path, "%s/./%s", dir, e->d_name);
		warn_owner(path, owner, who);
		warn_writable(path);
	}
	(void)closedir(d);
}

static void
warn_queue_dir(const struct queue_dir *d, uid_t mail_uid)
{
	const struct group *gr = getgrnam(conf.setgid_group);
	char path[1024];
	struct stat st;

	(void)snprintf(path, sizeof path, "%s/%s", conf.queue_directory, d->name);
	warn_owner(path, d->owner == OWNER_MAIL ? mail_uid : 0, d->owner == OWNER_MAIL ? conf.mail_owner : "root");
	if (d->group && gr != NULL && stat(path, &st) == 0 && st.st_gid != gr->gr_gid)
		log_warning("not owned by group %s: %s", conf.setgid_group, path);
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

void
check_permissions(void)
{
	const struct passwd *pw = getpwnam(conf.mail_owner);

	if (geteuid() == 0 && pw != NULL) {
		warn_owner(conf.queue_directory, 0, "root");
		warn_writable(conf.queue_directory);
		warn_tree(conf.daemon_directory, 0, "root");
		warn_tree(conf.config_directory, 0, "root");
		warn_tree(conf.data_directory, pw->pw_uid, conf.mail_owner);
		for (size_t i = 0; i < sizeof queue_dirs / sizeof *queue_dirs; i++)
			warn_queue_dir(&queue_dirs[i], pw->pw_uid);
	}
	warn_damaged();
}
