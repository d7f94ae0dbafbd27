/*
 * map_static.c - tables that need no data: static:VALUE, static:{ value }, fail:NAME, randmap:{a, b}, environ:ANY.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>
#include <sys/random.h>

#include "base/log.h"
#include "base/vec.h"
#include "map/list.h"
#include "map/source.h"
#include "map/type.h"

extern char **environ;

/* One value, or several of which one is drawn. Texts point into m->spec, or, for files, into mem. */
struct values {
	struct arena *mem;
	struct vec list;	/* struct span */
};

static struct values *
values_open(struct map *m)
{
	struct values *v = calloc(1, sizeof *v);

	if (v == NULL)
		log_out_of_memory();
	v->mem = arena_new();
	v->list = VEC_INIT(struct span);
	m->state = v;
	return v;
}

static void
values_close(struct map *m)
{
	struct values *v = m->state;

	vec_free(&v->list);
	arena_free(&v->mem);
	free(v);
}

static bool
values_add(struct map *m, struct span text, struct err *e)
{
	struct values *v = m->state;
	struct buf content = {0};

	if (m->flags & MAP_FILES) {
		if (!source_read_files(text, &content, e)) {
			buf_free(&content);
			return false;
		}
		text = span_copy(buf_view(&content), v->mem);
		buf_free(&content);
	}
	*(struct span *)vec_add(&v->list) = text;
	return true;
}

/* Which of n; not a secret, but not to be guessed by a sender either. */
static size_t
draw(size_t n)
{
	uint32_t random = 0;

	if (n < 2 || getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
		return 0;
	return random % n;
}

static enum map_status
values_get(struct map *m, struct span key, struct arena *mem, struct span *value, struct err *e)
{
	const struct values *v = m->state;

	(void)key;
	(void)e;
	*value = span_copy(*VEC_AT(&v->list, struct span, draw(v->list.n)), mem);
	return MAP_FOUND;
}

static bool
static_open(struct map *m, struct err *e)
{
	struct err why = {0};
	struct span text = span_str(m->name);

	values_open(m);
	if ((*text.p != '{' || list_strip_braces(&text, &why)) && values_add(m, text, e))
		return true;
	values_close(m);
	if (why.kind == ERR_NONE)
		return false;		/* a file: *e has it */
	return err_perm(e, "bad static:name syntax: %s", why.text);
}

static bool
randmap_open(struct map *m, struct err *e)
{
	struct span rest = span_str(m->name), word;
	struct values *v;
	bool ok = true;

	if (*rest.p != '{' || !list_strip_braces(&rest, NULL))
		return err_perm(e, "bad syntax: \"%s\"; need \"randmap:{value...}\"", m->spec);
	v = values_open(m);
	/* Braces within are part of the value, as in Postfix. */
	while (ok && span_take_word_braced(&rest, LIST_SEPARATORS, &word))
		ok = values_add(m, word, e);
	if (ok && v->list.n == 0)
		ok = err_perm(e, "bad syntax: \"%s\"; need \"randmap:{value...}\"", m->spec);
	if (!ok)
		values_close(m);
	return ok;
}

const struct map_type map_type_static = {
	.name = "static",
	.properties = MAP_TYPE_FIXED | MAP_TYPE_WRITABLE,	/* in name only */
	.open = static_open,
	.close = values_close,
	.get = values_get,
};

const struct map_type map_type_randmap = {
	.name = "randmap",
	.open = randmap_open,
	.close = values_close,
	.get = values_get,
};

static bool
nothing_to_open(struct map *m, struct err *e)
{
	(void)m;
	(void)e;
	return true;
}

static enum map_status
fail_get(struct map *m, struct span key, struct arena *mem, struct span *value, struct err *e)
{
	(void)m;
	(void)key;
	(void)mem;
	*value = SPAN_NULL;
	return MAP_TEMPORARY(e, "Application error");
}

static enum map_status
fail_next(struct map *m, bool first, struct arena *mem, struct span *key, struct span *value, struct err *e)
{
	(void)first;
	(void)mem;
	*key = *value = SPAN_NULL;
	return MAP_TEMPORARY(e, "table %s: sequence error: Application error", m->spec);
}

const struct map_type map_type_fail = {
	.name = "fail",
	.open = nothing_to_open,
	.get = fail_get,
	.next = fail_next,
};

static enum map_status
environ_get(struct map *m, struct span key, struct arena *mem, struct span *value, struct err *e)
{
	const char *text = getenv(span_cstr(key, mem));

	(void)m;
	(void)e;
	if (text == NULL)
		return MAP_NOT_FOUND;
	*value = span_copy(span_str(text), mem);
	return MAP_FOUND;
}

static enum map_status
environ_put(struct map *m, struct span key, struct span value, struct err *e)
{
	struct arena *mem = arena_new();
	const int rc = setenv(span_cstr(key, mem), span_cstr(value, mem), 1);

	(void)m;
	arena_free(&mem);
	return rc == 0 ? MAP_NOT_FOUND : MAP_TEMPORARY(e, "setenv failed");
}

static enum map_status
environ_next(struct map *m, bool first, struct arena *mem, struct span *key, struct span *value, struct err *e)
{
	static size_t at;
	struct span text;

	(void)m;
	(void)e;
	if (first)
		at = 0;
	if (environ == NULL || environ[at] == NULL)
		return MAP_NOT_FOUND;
	text = span_copy(span_str(environ[at++]), mem);
	if (!span_take_until(&text, '=', key)) {
		*key = text;
		text = SPAN_NULL;
	}
	*value = text;
	return MAP_FOUND;
}

const struct map_type map_type_environ = {
	.name = "environ",
	.properties = MAP_TYPE_FIXED | MAP_TYPE_WRITABLE,
	.open = nothing_to_open,
	.get = environ_get,
	.put = environ_put,
	.next = environ_next,
};
