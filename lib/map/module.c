/*
 * module.c - finds and loads table types that are files of their own.
 *
 * SPDX-License-Identifier: ISC
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/conf.h"
#include "conf/lines.h"
#include "io/file.h"
#include "map/module.h"

#define WORDS			" \t"
#define FILE_MAX_BYTES		(16u << 20)	/* of a module */
#define EXPECTED		"Expected \"dict-type .so-name dict-function [mkmap-function]\""
#define NOT_SAFE		"file is owned or writable by non-root users"

struct module {
	char *type, *path;
	bool tried;
	const struct map_type *loaded;	/* never unloaded */
};

static struct vec modules = { .size = sizeof(struct module) };
static struct vec names = { .size = sizeof(char *) };
static struct err trouble;		/* of dynamicmaps.cf */
static bool have_read;

/* Root's, or in a program that one user runs with nobody else's privileges, that user's. */
static bool
trusted_owner(uid_t owner)
{
	return owner == 0 || (owner == geteuid() && getuid() == geteuid() && getgid() == getegid());
}

static bool
safe(const struct stat *st)
{
	return trusted_owner(st->st_uid) && (st->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/* Whoever can write the directory can put another file there; above it, whoever can rename it away. */
static bool
safe_directories(const char *path)
{
	struct span dir = span_str(path);
	struct arena *mem = arena_new();
	bool ok = true, first = true;

	while (ok && dir.n > 1) {
		const size_t slash = span_rfind(dir, '/');
		struct stat st;

		dir = span_to(dir, slash == dir.n ? 0 : slash > 0 ? slash : 1);
		ok = dir.n > 0 && stat(span_cstr(dir, mem), &st) == 0 && trusted_owner(st.st_uid) &&
		    (safe(&st) || (!first && (st.st_mode & S_ISVTX) != 0));
		first = false;
	}
	arena_free(&mem);
	return ok;
}

/* postconf(1) reads main.cf without evaluating all of it. */
static const char *
directory_of(const char *field, const char *name)
{
	return field != NULL ? field : conf_value(name);
}

static bool
known(struct span type)
{
	for (size_t i = 0; i < modules.n; i++)
		if (span_is(type, VEC_AT(&modules, struct module, i)->type))
			return true;
	return false;
}

static bool
read_line(const struct lines *in, struct span line)
{
	struct span type, file, function, word, rest = line;
	const char *directory = directory_of(conf.shlib_directory, "shlib_directory");
	struct module *m;
	struct buf path = {0};

	if (!span_take_word(&rest, WORDS, &type) || !span_take_word(&rest, WORDS, &file) ||
	    !span_take_word(&rest, WORDS, &function) || (span_take_word(&rest, WORDS, &word) && span_trim(rest).n > 0))
		return err_perm(&trouble, "%s, line %u: " EXPECTED, in->name, in->first);
	if (known(type)) {
		log_warning("%s: ignoring duplicate entry for \"%.*s\"", in->name, SPAN_ARG(type));
		return true;
	}
	if (*file.p != '/')
		buf_printf(&path, "%s/", directory != NULL ? directory : "");
	buf_span(&path, file);
	m = vec_add(&modules);
	m->type = span_strdup(type);
	m->path = path.p;
	*(char **)vec_add(&names) = m->type;
	return true;
}

/* A missing file is no matter; one that others can write is not read. */
static bool
read_file(const char *path)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct lines in;
	struct span line;
	struct stat st;
	bool ok = true;

	if (fd < 0)
		return true;
	if (fstat(fd, &st) != 0 || !safe(&st)) {
		log_warning("%s: " NOT_SAFE " -- skipping this file", path);
		(void)close(fd);
		return true;
	}
	lines_open_fd(&in, fd, path);
	while (ok && lines_next(&in, &line))
		ok = read_line(&in, line);
	(void)lines_close(&in);
	return ok;
}

static int
is_conf(const struct dirent *d)
{
	return span_ends(span_str(d->d_name), SPAN(".cf")) && d->d_name[0] != '.';
}

static void
read_all(void)
{
	struct arena *mem = arena_new();
	const char *meta = directory_of(conf.meta_directory, "meta_directory");
	const char *directory = arena_printf(mem, "%s/dynamicmaps.cf.d", meta);
	struct dirent **entries = NULL;
	int n;
	bool ok = read_file(arena_printf(mem, "%s/dynamicmaps.cf", meta));

	n = scandir(directory, &entries, is_conf, alphasort);
	if (n < 0 && errno != ENOENT)
		log_warning("%s: directory open failed: %s", directory, strerror(errno));
	for (int i = 0; i < n; i++) {
		ok = ok && read_file(arena_printf(mem, "%s/%s", directory, entries[i]->d_name));
		free(entries[i]);
	}
	free(entries);
	arena_free(&mem);
}

static void
read_once(void)
{
	const char *directory = have_read ? NULL : directory_of(conf.shlib_directory, "shlib_directory");

	if (directory == NULL || strcmp(directory, "no") == 0)
		return;
	have_read = true;
	read_all();
}

/* The file says that it is a module of ours. Looked for in its bytes: loading would run what is in it. */
static bool
is_ours(const char *path, struct err *e)
{
	struct buf content = {0};
	bool ok;

	if (!file_read_all(path, FILE_MAX_BYTES, &content, NULL))
		return err_temp(e, "%s", strerror(errno));
	ok = memmem(content.p, content.n, MAP_MODULE_SYMBOL, sizeof MAP_MODULE_SYMBOL) != NULL;
	buf_free(&content);
	return ok || err_perm(e, "not a table type of this program");
}

static const struct map_type *
load(const struct module *m, struct err *e)
{
	const struct map_module *entry;
	struct stat st;
	void *handle;

	if (stat(m->path, &st) != 0)
		return (void)err_temp(e, "%s", strerror(errno)), NULL;
	if (!S_ISREG(st.st_mode) || !safe(&st) || !safe_directories(m->path))
		return (void)err_perm(e, NOT_SAFE), NULL;
	if (!is_ours(m->path, e))
		return NULL;
	handle = dlopen(m->path, RTLD_NOW | RTLD_LOCAL);
	if (handle == NULL)
		return (void)err_perm(e, "%s", dlerror()), NULL;
	entry = dlsym(handle, MAP_MODULE_SYMBOL);
	if (entry == NULL || entry->abi != MAP_MODULE_ABI || entry->map_size != MAP_MODULE_SIZE ||
	    strcmp(entry->type->name, m->type) != 0) {
		(void)dlclose(handle);
		return (void)err_perm(e, "made for another version or type"), NULL;
	}
	return entry->type;
}

const struct map_type *
module_type(struct span name, struct err *e)
{
	struct err why = {0};

	read_once();
	if (trouble.kind != ERR_NONE) {
		if (e != NULL)
			*e = trouble;
		return NULL;
	}
	for (size_t i = 0; i < modules.n; i++) {
		struct module *m = VEC_AT(&modules, struct module, i);

		if (!span_is(name, m->type))
			continue;
		if (!m->tried) {
			m->tried = true;
			m->loaded = module_api[0] != NULL ? load(m, &why) : NULL;
			if (m->loaded == NULL)
				log_warning("unsupported dictionary type: %s (%s: %s)", m->type, m->path, why.text);
		}
		return m->loaded;
	}
	return NULL;
}

const struct vec *
module_names(void)
{
	read_once();
	return &names;
}
