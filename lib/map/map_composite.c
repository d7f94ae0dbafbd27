/*
 * map_composite.c - tables made of tables: unionmap:{T:N, ..} joins all answers, pipemap:{T:N, ..} asks the next
 * one for the answer of the last, debug:T:N logs what goes through.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>

#include "base/log.h"
#include "base/vec.h"
#include "map/list.h"
#include "map/type.h"

#define MEMBER_FLAGS	(~(unsigned)(MAP_WRITE | MAP_CREATE | MAP_TRUNCATE))

static void
composite_close(struct map *m)
{
	struct vec *members = m->state;

	for (size_t i = 0; i < members->n; i++)
		map_close(VEC_AT(members, struct map *, i));
	vec_free(members);
	free(members);
}

/* What is wrong with a member is told once, as the reason of the whole. */
static bool
add_member(struct map *m, struct vec *members, unsigned flags, struct span word, struct err *e)
{
	const bool quiet = map_set_quiet(true);
	char *spec = span_strdup(word);
	struct map *member = map_open(spec, flags & MEMBER_FLAGS);

	(void)map_set_quiet(quiet);
	free(spec);
	*(struct map **)vec_add(members) = member;
	m->fixed &= member->fixed;
	if (!span_has(word, ':'))
		return err_perm(e, "bad syntax: \"%s\"; need \"%s:{type:name...}\"", m->spec, m->type->name);
	return member->why == NULL || err_temp(e, "%s", member->why);
}

static bool
composite_open(struct map *m, struct err *e)
{
	struct span rest = span_str(m->name), word;
	struct vec *members;
	unsigned flags;

	if (*rest.p != '{' || !list_strip_braces(&rest, NULL) || span_trim(rest).n == 0)
		return err_perm(e, "bad syntax: \"%s\"; need \"%s:{type:name...}\"", m->spec, m->type->name);
	members = calloc(1, sizeof *members);
	if (members == NULL)
		log_out_of_memory();
	*members = VEC_INIT(struct map *);
	m->state = members;
	m->fixed = true;
	flags = m->flags;
	m->flags &= ~(unsigned)MAP_FILES;	/* the members decode */
	while (span_take_word_braced(&rest, LIST_SEPARATORS, &word)) {
		if (!add_member(m, members, flags, word, e)) {
			composite_close(m);
			return false;
		}
	}
	return true;
}

static enum map_status
union_get(struct map *m, struct span key, struct arena *mem, struct span *value, struct err *e)
{
	const struct vec *members = m->state;
	struct buf all = {0};
	bool found = false;

	for (size_t i = 0; i < members->n; i++) {
		struct span one;
		const enum map_status status = map_get(*VEC_AT(members, struct map *, i), key, mem, &one, e);

		if (status == MAP_FAILED) {
			buf_free(&all);
			return status;
		}
		if (status == MAP_FOUND) {
			if (all.n > 0 && one.n > 0)
				buf_byte(&all, ',');
			buf_span(&all, one);
			found = true;
		}
	}
	if (found)
		*value = span_copy(buf_view(&all), mem);
	buf_free(&all);
	return found ? MAP_FOUND : MAP_NOT_FOUND;
}

static enum map_status
pipe_get(struct map *m, struct span key, struct arena *mem, struct span *value, struct err *e)
{
	const struct vec *members = m->state;

	for (size_t i = 0; i < members->n; i++) {
		const enum map_status status = map_get(*VEC_AT(members, struct map *, i), key, mem, value, e);

		if (status != MAP_FOUND)
			return status;
		key = *value;
	}
	return MAP_FOUND;
}

static bool
composite_changed(const struct map *m)
{
	const struct vec *members = m->state;

	for (size_t i = 0; i < members->n; i++)
		if (map_changed(*VEC_AT(members, struct map *, i)))
			return true;
	return false;
}

const struct map_type map_type_unionmap = {
	.name = "unionmap",
	.open = composite_open,
	.close = composite_close,
	.get = union_get,
	.changed = composite_changed,
};

const struct map_type map_type_pipemap = {
	.name = "pipemap",
	.open = composite_open,
	.close = composite_close,
	.get = pipe_get,
	.changed = composite_changed,
};

static bool
debug_open(struct map *m, struct err *e)
{
	struct map *inner = map_open(m->name, m->flags);

	m->state = inner;
	m->fixed = inner->fixed;
	if (inner->why == NULL)
		return true;
	(void)err_temp(e, "%s", inner->why);
	map_close(&inner);
	return false;
}

static void
debug_close(struct map *m)
{
	struct map *inner = m->state;

	map_close(&inner);
}

static const char *
outcome(enum map_status status, const char *found)
{
	return status == MAP_FAILED ? "error" : status == MAP_FOUND ? found : "not_found";
}

static enum map_status
debug_get(struct map *m, struct span key, struct arena *mem, struct span *value, struct err *e)
{
	const enum map_status status = map_get(m->state, key, mem, value, e);

	if (status == MAP_FOUND)
		log_info("%s lookup: \"%.*s\" = \"%.*s\"", m->name, SPAN_ARG(key), SPAN_ARG(*value));
	else
		log_info("%s lookup: \"%.*s\" = \"%s\"", m->name, SPAN_ARG(key), outcome(status, ""));
	return status;
}

static enum map_status
debug_put(struct map *m, struct span key, struct span value, struct err *e)
{
	const enum map_status status = map_put(m->state, key, value, e);

	log_info("%s update: \"%.*s\" = \"%.*s\": %s", m->name, SPAN_ARG(key), SPAN_ARG(value),
	    status == MAP_FAILED ? "error" : "success");
	return status;
}

static enum map_status
debug_remove(struct map *m, struct span key, struct err *e)
{
	const enum map_status status = map_delete(m->state, key, e);

	log_info("%s delete: \"%.*s\": %s", m->name, SPAN_ARG(key), outcome(status, "success"));
	return status;
}

static enum map_status
debug_next(struct map *m, bool first, struct arena *mem, struct span *key, struct span *value, struct err *e)
{
	const enum map_status status = map_next(m->state, first, mem, key, value, e);

	if (status == MAP_FOUND)
		log_info("%s sequence: \"%.*s\" = \"%.*s\"", m->name, SPAN_ARG(*key), SPAN_ARG(*value));
	else
		log_info("%s sequence: %s", m->name, outcome(status, ""));
	return status;
}

static bool
debug_changed(const struct map *m)
{
	return map_changed(m->state);
}

const struct map_type map_type_debug = {
	.name = "debug",
	.properties = MAP_TYPE_WRITABLE,
	.open = debug_open,
	.close = debug_close,
	.get = debug_get,
	.put = debug_put,
	.remove = debug_remove,
	.next = debug_next,
	.changed = debug_changed,
};
