/*
 * build.c - source text to table. The new table replaces the old one at once, when all of it is on disk.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "map/source.h"
#include "postmap/postmap.h"

#define PROGRESS_MS	1000

struct builder {
	const struct options *o;
	struct map *table;
	struct source source;
	size_t entries;
	int64_t shown;		/* when the progress line was written */
	bool visible;
};

char *
full_spec(const char *spec)
{
	struct buf out = {0};

	if (strchr(spec, ':') != NULL)
		return span_strdup(span_str(spec));
	buf_printf(&out, "%s:%s", conf.default_database_type, spec);
	return out.p;
}

/* Someone waits at a terminal: tell every second how far it is. */
static void
progress(struct builder *b)
{
	const int64_t now = clock_ms();

	if (now - b->shown < PROGRESS_MS || !isatty(STDERR_FILENO))
		return;
	b->shown = now;
	b->visible = true;
	(void)fprintf(stderr, "\r%zu entries", b->entries);
}

/* What was made so far goes. */
static _Noreturn void
give_up(struct builder *b, const char *why)
{
	map_close(&b->table);
	log_fatal("%s", why);
}

static void
put(struct builder *b, struct span key, struct span value)
{
	struct err e = {0};

	if (map_put(b->table, key, value, &e) == MAP_FAILED)
		give_up(b, e.text);
	if ((++b->entries & 4095) == 0)
		progress(b);
}

static void
put_files(struct builder *b, struct span key, struct span names)
{
	struct buf content = {0};
	struct err e = {0};

	if (source_read_files(names, &content, &e))
		put(b, key, buf_view(&content));
	else
		log_warning("%s, line %u: %s: skipping this entry", b->source.in.name, b->source.in.first, e.text);
	buf_free(&content);
}

static void
read_pairs(struct builder *b)
{
	struct span key, value;

	while (source_next(&b->source, &key, &value)) {
		if (b->o->files)
			put_files(b, key, value);
		else
			put(b, key, value);
	}
}

static void
read_aliases(struct builder *b)
{
	struct arena *mem = arena_new();
	struct span line, name, value;
	const char *why;

	for (; lines_next(&b->source.in, &line); arena_reset(mem)) {
		if (b->source.utf8 && !span_valid_utf8(line))
			log_warning("%s, line %u: non-UTF-8 input \"%.*s\" -- ignoring this line", b->source.in.name,
			    b->source.in.first, SPAN_ARG(line));
		else if (alias_split(line, mem, &name, &value, &why))
			put(b, name, value);
		else
			log_warning("%s, line %u: %s", b->source.in.name, b->source.in.first, why);
	}
	arena_free(&mem);
	/* What sendmail(8) did: tells that the file is complete. */
	if (b->o->incremental)
		(void)map_delete(b->table, SPAN("@"), NULL);
	put(b, SPAN("@"), SPAN("@"));
}

/* Files are made by, and readable for, whoever owns and may read the source. */
static void
become_owner(const struct options *o, int fd, const char *path)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		log_fatal("fstat %s: %s", path, strerror(errno));
	(void)umask(022 | (o->keep_mode ? 0 : ~st.st_mode & 077));
	if (o->keep_user || geteuid() != 0 || (st.st_uid == 0 && st.st_gid == getegid()))
		return;
	if (setegid(st.st_gid) != 0 || seteuid(st.st_uid) != 0)
		log_fatal("set effective user and group of %s: %s", path, strerror(errno));
}

static void
become_root_again(const struct options *o)
{
	if (!o->keep_user && getuid() == 0 && (seteuid(0) != 0 || setegid(getgid()) != 0))
		log_fatal("set effective user: %s", strerror(errno));
	(void)umask(022);
}

static void
check_type(const char *spec)
{
	struct span rest = span_str(spec), type = SPAN_NULL;

	(void)span_take_until(&rest, ':', &type);
	if (!map_type_known(type))
		log_fatal("unsupported map type: %.*s", SPAN_ARG(type));
	if (!map_type_creatable(type))
		log_fatal("no 'map create' support for this type: %.*s", SPAN_ARG(type));
}

static void
fill(struct builder *b)
{
	struct err e = {0};

	if (b->o->aliases)
		read_aliases(b);
	else
		read_pairs(b);
	if (!lines_close(&b->source.in)) {
		(void)err_temp(&e, "read %s: %s", b->source.in.name, strerror(errno));
		give_up(b, e.text);
	}
	if (!map_finish(b->table, &e))
		give_up(b, e.text);
	if (b->visible)
		(void)fprintf(stderr, "\r%zu entries\n", b->entries);
	map_close(&b->table);
}

void
build_table(const struct options *o, const char *name)
{
	char *spec = full_spec(name);
	const char *path = strchr(spec, ':') + 1;
	struct builder b = { .o = o, .source.ignored = "", .shown = clock_ms() };
	unsigned flags = (o->flags & ~(unsigned)MAP_FILES) | MAP_WRITE | MAP_CREATE;
	int fd = -1;

	if (strncmp(spec, "proxy:", 6) == 0)
		log_fatal("can't create maps via the proxy service");
	b.source.utf8 = (o->flags & MAP_UTF8) != 0 && conf.smtputf8_enable;
	if (o->incremental) {
		lines_open_fd(&b.source.in, STDIN_FILENO, "stdin");
		flags |= MAP_BULK;
		check_type(spec);
	} else {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			log_fatal("open %s: %s", path, strerror(errno));
		lines_open_fd(&b.source.in, fd, path);
		flags |= MAP_TRUNCATE;
		check_type(spec);
		become_owner(o, fd, path);
	}
	b.table = open_table(spec, flags);
	fill(&b);
	if (!o->incremental)
		become_root_again(o);
	free(spec);
}
