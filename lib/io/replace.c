/*
 * replace.c - rewrites a file so that a reader sees the old one or the new one.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/file.h"
#include "io/replace.h"

#define FILE_SIZE_MAX	(64u << 20)

static void
forget(struct replace *r)
{
	if (r->fd >= 0)
		(void)close(r->fd);
	r->fd = -1;
	free(r->path);
	free(r->temporary);
	r->path = r->temporary = NULL;
}

void
replace_abandon(struct replace *r)
{
	if (r->temporary != NULL)
		(void)unlink(r->temporary);
	forget(r);
}

bool
replace_begin(struct replace *r, const char *path, struct buf *old, struct err *e)
{
	struct buf name = {0};
	bool ok = true;

	buf_printf(&name, "%s.tmp", path);
	*r = (struct replace){ .path = span_strdup(span_str(path)), .temporary = span_strdup(buf_view(&name)), .fd = -1 };
	buf_free(&name);
	r->fd = file_open_temporary(r->temporary, 0600);
	if (r->fd < 0) {
		ok = err_temp(e, "open %s: %s", r->temporary, strerror(errno));
		forget(r);
		return ok;
	}
	if (access(path, R_OK) != 0)
		ok = err_temp(e, "open %s for reading: %s", path, strerror(errno));
	else
		ok = file_read_all(path, FILE_SIZE_MAX, old, e);
	if (!ok)
		replace_abandon(r);
	return ok;
}

static bool
finish(struct replace *r, struct span text, struct err *e)
{
	struct stat old;

	if (!file_write_all(r->fd, text.p, text.n))
		return err_temp(e, "write %s: %s", r->temporary, strerror(errno));
	if (stat(r->path, &old) != 0)
		return err_temp(e, "stat %s: %s", r->path, strerror(errno));
	/* Only root can give a file away; for others it has the right owner already. */
	if (fchown(r->fd, old.st_uid, old.st_gid) != 0 && geteuid() == 0)
		return err_temp(e, "set owner of %s: %s", r->temporary, strerror(errno));
	if (fchmod(r->fd, old.st_mode & 07777) != 0)
		return err_temp(e, "set permissions of %s: %s", r->temporary, strerror(errno));
	if (fsync(r->fd) != 0)
		return err_temp(e, "fsync %s: %s", r->temporary, strerror(errno));
	if (rename(r->temporary, r->path) != 0)
		return err_temp(e, "rename %s to %s: %s", r->temporary, r->path, strerror(errno));
	return true;
}

bool
replace_commit(struct replace *r, struct span text, struct err *e)
{
	if (!finish(r, text, e)) {
		replace_abandon(r);
		return false;
	}
	file_sync_parent(r->path);
	forget(r);
	return true;
}
