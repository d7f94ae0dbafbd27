/*
 * map.c - opens tables by name, shares them, folds and checks keys, and answers for those that cannot be opened.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/log.h"
#include "conf/conf.h"
#include "config.h"
#include "map/maps.h"
#include "map/migrate.h"
#include "map/module.h"
#include "map/source.h"
#include "map/type.h"

#define MAP_TYPE(name)	&map_type_##name,
static const struct map_type *const types[] = {
#include "map/map_types.def"
};
#undef MAP_TYPE

#define TYPE_COUNT	(sizeof types / sizeof types[0])

static struct map *all_open;
static bool quiet;

const char *map_spec(const struct map *m) { return m->spec; }
const char *map_open_error(const struct map *m) { return m->why; }
bool map_has_fixed_keys(const struct map *m) { return m->fixed; }

bool
map_set_quiet(bool on)
{
	const bool was = quiet;

	quiet = on;
	return was;
}

static const struct map_type *
built_in(struct span name)
{
	for (size_t i = 0; i < TYPE_COUNT; i++)
		if (span_is(name, types[i]->name))
			return types[i];
	return NULL;
}

/* e: filled when a type that could be loaded cannot, for a reason worth telling. */
static const struct map_type *
find_type(struct span name, struct err *e)
{
	const struct map_type *type = built_in(name);

	return type != NULL ? type : module_type(name, e);
}

/* Without Berkeley DB, or on request, its types mean another that this build has. */
static struct span
redirected(struct span type)
{
	const bool hash = span_is(type, "hash"), btree = span_is(type, "btree");
	const char *level = conf.non_bdb_migration_level, *to;

	if (!hash && !btree)
		return type;
	if (built_in(type) != NULL && (level == NULL || strcmp(level, "disable") == 0))
		return type;
	to = hash ? conf.default_database_type : conf.default_cache_db_type;
	if (to == NULL || strcmp(to, "hash") == 0 || strcmp(to, "btree") == 0 || built_in(span_str(to)) == NULL)
		to = "lmdb";
	return span_str(to);
}

bool
map_type_known(struct span type)
{
	return find_type(redirected(type), NULL) != NULL;
}

bool
map_type_creatable(struct span type)
{
	const struct map_type *t = find_type(redirected(type), NULL);

	return t != NULL && (t->properties & MAP_TYPE_CREATABLE) != 0;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char *const *
map_types(void)
{
	static struct vec names = { .size = sizeof(char *) };
	const struct vec *more = module_names();

	if (names.n > 0)
		return names.p;
	for (size_t i = 0; i < TYPE_COUNT; i++)
		*(const char **)vec_add(&names) = types[i]->name;
	for (size_t i = 0; i < more->n; i++)
		if (built_in(span_str(*VEC_AT(more, char *, i))) == NULL)
			*(const char **)vec_add(&names) = *VEC_AT(more, char *, i);
	qsort(names.p, names.n, names.size, by_name);
	(void)vec_add(&names);
	return names.p;
}

const char *
map_type_name(const struct map *m)
{
	return m->type != NULL ? m->type->name : "";
}

bool
map_is_read_only(const struct map *m)
{
	return m->type == NULL || (m->type->properties & MAP_TYPE_WRITABLE) == 0;
}

bool
map_spec_is_table(struct span text)
{
	size_t n = 0;

	while (n < text.n && (ascii_alnum(text.p[n]) || text.p[n] == '_'))
		n++;
	return n > 0 && n < text.n && text.p[n] == ':';
}

/* The table goes on under the name of the type that stands for its own. */
static void
rename_to(struct map *m, struct span real)
{
	struct buf spec = {0};

	buf_printf(&spec, "%.*s:%s", SPAN_ARG(real), m->name);
	free(m->spec);
	m->spec = span_strdup(buf_view(&spec));
	m->name = m->spec + real.n + 1;
	buf_free(&spec);
}

static bool
migrate(struct map *m, struct span *type, struct arena *mem, struct err *e)
{
	const struct span legacy = span_copy(*type, mem);
	struct err why = {0};

	if (!migrate_type(legacy, m->name, mem, type, &why)) {
		const bool writing = (m->flags & MAP_WRITE) != 0;

		if (!writing)
			log_warning("non-Berkeley-DB type mapping lookup error for '%s': %s", m->spec, why.text);
		return err_perm(e, "%s type mapping lookup error for '%s': %s", writing ? "Berkeley DB" : "non-Berkeley-DB",
		    m->spec, why.text);
	}
	if (conf.non_bdb_migration_log_redirect)
		log_info("redirecting %s to %.*s:%s", m->spec, SPAN_ARG(*type), m->name);
	rename_to(m, *type);
	if ((m->flags & MAP_WRITE) != 0 || migrate_index(legacy, m->name, *type, &why))
		return true;
	log_warning("Non-Berkeley-DB migration error: %s", why.text);
	return err_perm(e, "Non-Berkeley-DB migration error: %s", why.text);
}

static bool
open_real(struct map *m, struct span type, struct span real, struct err *e)
{
	struct err why = {0};

	m->type = find_type(real, &why);
	if (m->type == NULL && why.kind != ERR_NONE)
		return err_perm(e, "%s", why.text);
	if (m->type == NULL)
		return err_perm(e, "unsupported dictionary type: %.*s", SPAN_ARG(type));
	if ((m->flags & MAP_NO_UNAUTH) && (m->type->properties & MAP_TYPE_UNAUTH))
		return err_perm(e, "%s map is not allowed for security-sensitive data", m->spec);
	if ((m->flags & MAP_WRITE) && (m->type->properties & MAP_TYPE_WRITABLE) == 0)
		return err_perm(e, "%s map requires O_RDONLY access mode", m->spec);
	m->fixed = (m->type->properties & MAP_TYPE_FIXED) != 0;
	return m->type->open(m, e);
}

static bool
open_type(struct map *m, struct span type, struct err *e)
{
	struct arena *mem = arena_new();
	struct span real;
	bool ok;

	type = span_copy(type, mem);	/* it points into the name, which may change */
	real = type;
	if (migrate_wanted(type)) {
		ok = migrate(m, &real, mem, e);
	} else {
		real = redirected(type);
		if (!span_eq(real, type))
			rename_to(m, real);
		ok = true;
	}
	ok = ok && open_real(m, type, real, e);
	arena_free(&mem);
	return ok;
}

static void
give_up(struct map *m, const char *why)
{
	m->fixed = false;
	m->why = span_strdup(span_str(why));
	if (!quiet)
		log_error("%s", m->why);
}

static void
open_map(struct map *m)
{
	struct span rest = span_str(m->spec), type;
	struct err e = {0};

	m->name = m->spec;
	if (!span_take_until(&rest, ':', &type) || type.n == 0 || rest.n == 0) {
		(void)err_perm(&e, "open dictionary: expecting \"type:name\" form instead of \"%s\"", m->spec);
	} else {
		m->name = rest.p;
		if (open_type(m, type, &e))
			return;
	}
	give_up(m, e.text);
}

static struct map *
map_new(const char *spec, unsigned flags)
{
	struct map *m = calloc(1, sizeof *m);

	if (m == NULL)
		log_out_of_memory();
	m->spec = span_strdup(span_str(spec));
	m->name = m->spec;
	m->flags = flags;
	m->uses = 1;
	return m;
}

static struct map *
enlist(struct map *m)
{
	m->next = all_open;
	all_open = m;
	return m;
}

struct map *
map_open(const char *spec, unsigned flags)
{
	struct map *m;

	while ((flags & MAP_NO_PROXY) && strncmp(spec, "proxy:", strlen("proxy:")) == 0)
		spec += strlen("proxy:");
	for (m = all_open; m != NULL; m = m->next) {
		if (m->flags == flags && strcmp(m->spec, spec) == 0) {
			m->uses++;
			return m;
		}
	}
	m = map_new(spec, flags);
	open_map(m);
	return enlist(m);
}

struct map *
map_surrogate(const char *spec, const char *why)
{
	struct map *m = map_new(spec, 0);

	give_up(m, why);
	return enlist(m);
}

void
map_close(struct map **mp)
{
	struct map *m = *mp;

	*mp = NULL;
	if (m == NULL || --m->uses > 0)
		return;
	for (struct map **at = &all_open; *at != NULL; at = &(*at)->next) {
		if (*at == m) {
			*at = m->next;
			break;
		}
	}
	if (m->why == NULL && m->type->close != NULL)
		m->type->close(m);
	free(m->why);
	free(m->spec);
	free(m);
}

static bool
utf8_wanted(const struct map *m)
{
	return (m->flags & MAP_UTF8) != 0 && conf.smtputf8_enable;
}

static struct span
folded(const struct map *m, struct span key, struct arena *mem)
{
	return (m->flags & MAP_FOLD) != 0 && m->fixed ? map_fold(key, utf8_wanted(m), mem) : key;
}

static enum map_status
unavailable(const struct map *m, struct err *e)
{
	log_warning("%s is unavailable. %s", m->spec, m->why);
	return MAP_TEMPORARY(e, "Application error");
}

static bool
key_is_utf8(const struct map *m, struct span key)
{
	if (!utf8_wanted(m) || span_valid_utf8(key))
		return true;
	log_warning("%s: non-UTF-8 key \"%.*s\": malformed UTF-8 or invalid codepoint", m->spec, SPAN_ARG(key));
	return false;
}

/* Values of MAP_FILES tables. */
static bool
decode(const struct map *m, struct span key, struct arena *mem, struct span *value)
{
	const struct span shown = span_to(*value, 100);

	if (base64_decode(*value, mem, value))
		return true;
	log_warning("table %s: key %.*s: malformed BASE64 value: %.*s", m->spec, SPAN_ARG(key), SPAN_ARG(shown));
	return false;
}

enum map_status
map_get(struct map *m, struct span key, struct arena *mem, struct span *value, struct err *e)
{
	enum map_status status;

	if (m->why != NULL)
		return unavailable(m, e);
	if ((key.n == 0 && (m->flags & MAP_EMPTY_KEYS) == 0) || !key_is_utf8(m, key))
		return MAP_NOT_FOUND;
	status = m->type->get(m, folded(m, key, mem), mem, value, e);
	if (status == MAP_FOUND && utf8_wanted(m) && !span_valid_utf8(*value)) {
		log_warning("%s: key \"%.*s\": non-UTF-8 value \"%.*s\": malformed UTF-8 or invalid codepoint", m->spec,
		    SPAN_ARG(key), SPAN_ARG(*value));
		return MAP_PERMANENT(e, "non-UTF-8 value");
	}
	if (status == MAP_FOUND && (m->flags & MAP_FILES) && !decode(m, key, mem, value))
		return MAP_PERMANENT(e, "malformed BASE64 value");
	return status;
}

void
map_hold(struct map *m, bool on)
{
	if (m->why == NULL && m->type->hold != NULL)
		m->type->hold(m, on);
}

enum map_status
map_put(struct map *m, struct span key, struct span value, struct err *e)
{
	struct arena *mem;
	enum map_status status;

	if (m->why != NULL)
		return unavailable(m, e);
	if (m->type->put == NULL || (m->flags & MAP_WRITE) == 0)
		return MAP_PERMANENT(e, "table %s: update operation is not supported", m->spec);
	if (!key_is_utf8(m, key))
		return MAP_NOT_FOUND;
	mem = arena_new();
	status = m->type->put(m, folded(m, key, mem), value, e);
	arena_free(&mem);
	return status;
}

enum map_status
map_delete(struct map *m, struct span key, struct err *e)
{
	struct arena *mem;
	enum map_status status;

	if (m->why != NULL)
		return unavailable(m, e);
	if (m->type->remove == NULL || (m->flags & MAP_WRITE) == 0)
		return MAP_PERMANENT(e, "table %s: delete operation is not supported", m->spec);
	if (!key_is_utf8(m, key))
		return MAP_FOUND;	/* skipped, not refused */
	mem = arena_new();
	status = m->type->remove(m, folded(m, key, mem), e);
	arena_free(&mem);
	return status;
}

enum map_status
map_next(struct map *m, bool first, struct arena *mem, struct span *key, struct span *value, struct err *e)
{
	if (m->why != NULL)
		return unavailable(m, e);
	if (m->type->next == NULL)
		return MAP_PERMANENT(e, "table %s: sequence operation is not supported", m->spec);
	for (;; first = false) {
		const enum map_status status = m->type->next(m, first, mem, key, value, e);

		if (status != MAP_FOUND || (m->flags & MAP_FILES) == 0 || decode(m, *key, mem, value))
			return status;
	}
}

bool
map_finish(struct map *m, struct err *e)
{
	return m->why == NULL && (m->type->finish == NULL || m->type->finish(m, e));
}

bool
map_changed(const struct map *m)
{
	return m->why == NULL && m->type->changed != NULL && m->type->changed(m);
}

const char *
map_any_changed(void)
{
	for (const struct map *m = all_open; m != NULL; m = m->next)
		if (map_changed(m))
			return m->spec;
	return NULL;
}

void
map_warn_stale(const char *index_path, const char *source_path)
{
	struct stat index, source;

	if (stat(index_path, &index) == 0 && stat(source_path, &source) == 0 && source.st_mtime > index.st_mtime &&
	    index.st_mtime < time(NULL) - 100)
		log_warning("database %s is older than source file %s", index_path, source_path);
}
