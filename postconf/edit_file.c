/*
 * edit_file.c - a configuration file rewritten: into FILE.tmp, locked against others who do the same, made durable
 * and renamed. The file keeps its mode and, when we may, its owner. A fatal end removes FILE.tmp.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "io/file.h"
#include "postconf/postconf.h"

#define FILE_SIZE_MAX	(64u << 20)

static const char *to_remove;

static void
remove_temporary(void)
{
	if (to_remove != NULL)
		(void)unlink(to_remove);
}

static void
open_temporary(struct edit_file *f)
{
	f->fd = file_open_temporary(f->temporary, 0600);
	if (f->fd < 0)
		log_fatal("open %s: %s", f->temporary, strerror(errno));
	to_remove = f->temporary;
	log_set_cleanup(remove_temporary);
}

static void
read_whole(struct edit_file *f)
{
	struct err e = {0};

	if (access(f->path, R_OK) != 0)
		log_fatal("open %s for reading: %s", f->path, strerror(errno));
	if (!file_read_all(f->path, FILE_SIZE_MAX, &f->text, &e))
		log_fatal("%s", e.text);
}

void
edit_open(struct edit_file *f, const char *path)
{
	struct span rest, line;

	*f = (struct edit_file){ .path = path, .lines = VEC_INIT(struct span), .fd = -1 };
	f->temporary = arena_printf(memory, "%s.tmp", path);
	open_temporary(f);
	read_whole(f);
	for (rest = buf_view(&f->text); rest.n > 0; rest = span_from(rest, line.n + 1)) {
		line = span_to(rest, span_find(rest, '\n'));
		*(struct span *)vec_add(&f->lines) = line;
	}
}

void
edit_line(struct edit_file *f, struct span line)
{
	buf_span(&f->out, line);
	buf_byte(&f->out, '\n');
}

void
edit_commit(struct edit_file *f)
{
	struct stat old;

	if (!file_write_all(f->fd, f->out.p, f->out.n))
		log_fatal("write %s: %s", f->temporary, strerror(errno));
	if (stat(f->path, &old) != 0)
		log_fatal("stat %s: %s", f->path, strerror(errno));
	/* Only root can give a file away; for others it has the right owner already. */
	if (fchown(f->fd, old.st_uid, old.st_gid) != 0 && geteuid() == 0)
		log_fatal("set owner of %s: %s", f->temporary, strerror(errno));
	if (fchmod(f->fd, old.st_mode & 07777) != 0)
		log_fatal("set permissions of %s: %s", f->temporary, strerror(errno));
	if (fsync(f->fd) != 0)
		log_fatal("fsync %s: %s", f->temporary, strerror(errno));
	if (rename(f->temporary, f->path) != 0)
		log_fatal("rename %s to %s: %s", f->temporary, f->path, strerror(errno));
	to_remove = NULL;
	file_sync_parent(f->path);
	(void)close(f->fd);
	vec_free(&f->lines);
	buf_free(&f->text);
	buf_free(&f->out);
}

bool
edit_is_comment(struct span line)
{
	const struct span text = span_trim(line);

	return text.n == 0 || *text.p == '#';
}

void
edit_check_argument(const char *text)
{
	const struct span s = span_trim(span_str(text));

	if (strchr(text, '\n') != NULL)
		log_fatal("-e, -X, or -# accepts no multi-line input");
	if (s.n > 0 && *s.p == '#')
		log_fatal("-e, -X, or -# accepts no comment input");
}
