/*
 * files.c - reads postfix-files and brings directories, owners and modes into agreement with it.
 * Rootless it makes directories and sets modes, and leaves owners alone.
 *
 * SPDX-License-Identifier: ISC
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf.h"
#include "conf/lines.h"
#include "config.h"
#include "postfix/files.h"
#include "postfix/postfix.h"

static const char flag_letters[] = "pucro1";	/* in the order of the FILE_ bits */

/* "$name/rest": the parameter's value and the rest. "-" and "" are NULL. */
static const char *
expand(struct files *f, struct span field)
{
	size_t n = 1;

	if (field.n == 0 || span_is(field, "-"))
		return NULL;
	if (*field.p != '$')
		return span_cstr(field, f->mem);
	while (n < field.n && field.p[n] != '/')
		n++;
	const char *value = conf_value(span_cstr(span_from(span_to(field, n), 1), f->mem));

	return arena_printf(f->mem, "%s%.*s", value != NULL ? value : "", SPAN_ARG(span_from(field, n)));
}

static unsigned
parse_flags(struct span text)
{
	unsigned out = 0;

	for (size_t i = 0; i < text.n; i++) {
		const char *at = strchr(flag_letters, text.p[i]);

		if (at != NULL)
			out |= 1u << (at - flag_letters);
	}
	return out;
}

static bool
own_of_instance(struct span path)
{
	static const char *const own[] = { "$config_directory", "$queue_directory", "$data_directory" };
	const struct span name = span_to(path, span_find(path, '/'));

	for (size_t i = 0; i < sizeof own / sizeof *own; i++)
		if (span_is(name, own[i]))
			return true;
	return false;
}

static mode_t
parse_mode(struct span text)
{
	mode_t mode = 0;

	for (size_t i = 0; i < text.n && text.p[i] >= '0' && text.p[i] <= '7'; i++)
		mode = mode * 8 + (mode_t)(text.p[i] - '0');
	return mode & 07777;
}

/* path:type:owner:group:mode:flags; fields at the end may be missing. */
static void
add_record(struct files *f, struct span line, bool secondary)
{
	struct span field[6] = {{0}};
	const char *path;
	struct file_record *r;

	for (size_t i = 0; i < 6 && line.n > 0; i++) {
		field[i] = span_to(line, span_find(line, ':'));
		line = span_from(line, field[i].n + 1);
	}
	if (field[0].n == 0 || *field[0].p != '$' || (secondary && !own_of_instance(field[0])))
		return;
	path = expand(f, field[0]);
	if (path == NULL || strcmp(path, "no") == 0 || strncmp(path, "no/", 3) == 0)
		return;
	r = vec_add(&f->records);
	r->path = path;
	r->type = field[1].n > 0 ? *field[1].p : '\0';
	r->owner = expand(f, field[2]);
	r->group = expand(f, field[3]);
	r->mode = parse_mode(field[4]);
	r->flags = parse_flags(field[5]);
}

static bool
read_file(struct files *f, const char *path, bool secondary, struct err *e)
{
	struct lines in;
	struct span line;
	struct stat st;

	if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
		return err_perm(e, "%s/post-install: Error: %s is not a file.", program_directory, path);
	if (!lines_open(&in, path, e))
		return false;
	while (lines_next(&in, &line))
		add_record(f, span_trim(line), secondary);
	return lines_close(&in) || err_temp(e, "read %s: %s", path, strerror(errno));
}

static int
visible(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

bool
files_load(struct files *f, bool secondary, struct err *e)
{
	struct dirent **names = NULL;
	const char *directory;
	bool ok;

	*f = (struct files){ .mem = arena_new(), .records = VEC_INIT(struct file_record) };
	ok = read_file(f, arena_printf(f->mem, "%s/postfix-files", conf.meta_directory), secondary, e);
	directory = arena_printf(f->mem, "%s/postfix-files.d", conf.meta_directory);
	const int n = ok ? scandir(directory, &names, visible, alphasort) : 0;

	for (int i = 0; i < n; i++) {
		ok = ok && read_file(f, arena_printf(f->mem, "%s/%s", directory, names[i]->d_name), secondary, e);
		free(names[i]);
	}
	free(names);
	return ok;
}

void
files_free(struct files *f)
{
	vec_free(&f->records);
	arena_free(&f->mem);
}

static bool
find_ids(const struct file_record *r, uid_t *uid, gid_t *gid, struct err *e)
{
	const struct passwd *pw = r->owner != NULL ? getpwnam(r->owner) : NULL;
	const struct group *gr = r->group != NULL ? getgrnam(r->group) : NULL;

	if (r->owner != NULL && pw == NULL)
		return err_perm(e, "chown: invalid user: '%s'", r->owner);
	*uid = pw != NULL ? pw->pw_uid : (uid_t)-1;
	*gid = gr != NULL ? gr->gr_gid : (gid_t)-1;
	return true;
}

/* Everything below an open directory, which is closed. Never follows a symbolic link: others may write there. */
static bool
own_below(int fd, uid_t uid, gid_t gid)
{
	DIR *d = fdopendir(fd);
	const struct dirent *e;
	bool ok = true;

	if (d == NULL) {
		(void)close(fd);
		return false;
	}
	while ((e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		/* A file that was delivered meanwhile is not missed. */
		if (fchownat(dirfd(d), e->d_name, uid, gid, AT_SYMLINK_NOFOLLOW) != 0 && errno != ENOENT)
			ok = false;
		const int below = openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		/* The depth is that of hash_queue_depth, limited by the parameter's own range. */
		if (below >= 0 && !own_below(below, uid, gid))
			ok = false;
	}
	(void)closedir(d);
	return ok;
}

static bool
set_owner(const struct file_record *r, const char *tool, uid_t uid, gid_t gid, struct err *e)
{
	if (chown(r->path, uid, gid) != 0)
		return errno == ENOENT || errno == ENOTDIR ?
		    err_perm(e, "%s: cannot access '%s': %s", tool, r->path, strerror(errno)) :
		    err_perm(e, "%s: changing ownership of '%s': %s", tool, r->path, strerror(errno));
	if ((r->flags & FILE_DEEP) == 0)
		return true;
	const int fd = open(r->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || !own_below(fd, uid, gid))
		return err_perm(e, "%s: changing ownership below '%s': %s", tool, r->path, strerror(errno));
	return true;
}

static bool
set_permissions(const struct file_record *r, struct err *e)
{
	const bool root = geteuid() == 0;
	mode_t mode = r->mode;
	struct stat st;
	uid_t uid = (uid_t)-1;
	gid_t gid = (gid_t)-1;

	if (root && !find_ids(r, &uid, &gid, e))
		return false;
	if (root && r->owner != NULL && !set_owner(r, "chown", uid, (gid_t)-1, e))
		return false;
	if (root && r->group != NULL && gid == (gid_t)-1)
		return err_perm(e, "chgrp: invalid group: '%s'", r->group);
	if (root && r->group != NULL && !set_owner(r, "chgrp", (uid_t)-1, gid, e))
		return false;
	if (!root && lstat(r->path, &st) == 0 && st.st_uid != geteuid())
		return true;			/* of an installation that others share */
	if (!root && r->group != NULL)
		mode &= ~(mode_t)07070;		/* there is no group to give rights to */
	if (mode != 0 && chmod(r->path, mode) != 0)
		return errno == ENOENT ? err_perm(e, "chmod: cannot access '%s': %s", r->path, strerror(errno)) :
		    err_perm(e, "chmod: changing permissions of '%s': %s", r->path, strerror(errno));
	return true;
}

static bool
exists(const char *path)
{
	return access(path, F_OK) == 0;
}

static bool
make_missing(const struct file_record *r, struct err *e)
{
	if ((r->flags & FILE_MAKE) == 0 || r->type != 'd' || exists(r->path))
		return true;
	if (mkdir(r->path, 0755) != 0)
		return err_temp(e, "mkdir: cannot create directory '%s': %s", r->path, strerror(errno));
	return set_permissions(r, e);
}

/* Manual pages are compressed, or left out, by those who make packages and images. */
static bool
may_be_missing(const struct file_record *r)
{
	const char *manual = conf.manpage_directory;

	if ((r->flags & FILE_OPTIONAL) != 0 && strcmp(conf.config_directory, DEF_CONFIG_DIRECTORY) != 0)
		return true;
	return strncmp(r->path, manual, strlen(manual)) == 0 && r->path[strlen(manual)] == '/';
}

static bool
is_wanted(const struct file_record *r, enum files_scope scope)
{
	if ((r->type != 'd' && r->type != 'f') || (r->flags & FILE_OBSOLETE) != 0)
		return false;
	if (scope == FILES_UPGRADE && (r->flags & FILE_UPDATE) == 0)
		return false;
	return exists(r->path) || !may_be_missing(r);
}

bool
files_apply(const struct files *f, enum files_scope scope, struct err *e)
{
	for (size_t i = 0; i < f->records.n; i++) {
		const struct file_record *r = VEC_AT(&f->records, struct file_record, i);

		if (!make_missing(r, e) || (scope != FILES_MISSING && is_wanted(r, scope) && !set_permissions(r, e)))
			return false;
	}
	return true;
}

void
files_obsolete(const struct files *f, struct buf *out)
{
	for (size_t i = 0; i < f->records.n; i++) {
		const struct file_record *r = VEC_AT(&f->records, struct file_record, i);

		if ((r->flags & FILE_OBSOLETE) != 0 && exists(r->path))
			buf_printf(out, " %s", r->path);
	}
}
