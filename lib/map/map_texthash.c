/*
 * map_texthash.c - texthash: tables, postmap(1) source text read at open.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "map/memory.h"
#include "map/source.h"

/* False: the whole table is unavailable. */
static bool
add(struct map *m, const struct source *s, struct span key, struct span value, struct arena *mem, struct err *e)
{
	struct buf content = {0};
	bool ok = true;

	if (m->flags & MAP_FOLD)
		key = map_fold(key, s->utf8, mem);
	if (m->flags & MAP_FILES) {
		struct err why = {0};

		if (!source_read_files(value, &content, &why)) {
			log_warning("%s, line %u: %s: skipping this entry", s->in.name, s->in.first, why.text);
			buf_free(&content);
			return true;
		}
		value = buf_view(&content);
	}
	if (!memory_add(m, key, value)) {
		if (m->flags & MAP_DUP_REPLACE)
			memory_replace(m, key, value);
		else if (m->flags & MAP_DUP_WARN)
			log_warning("%s, line %u: duplicate entry: \"%.*s\"", s->in.name, s->in.first, SPAN_ARG(key));
		else if ((m->flags & MAP_DUP_IGNORE) == 0)
			ok = err_perm(e, "%s, line %u: duplicate entry: \"%.*s\"", s->in.name, s->in.first, SPAN_ARG(key));
	}
	buf_free(&content);
	return ok;
}

static bool
texthash_open(struct map *m, struct err *e)
{
	struct source s = { .ignored = " -- ignoring this line" };
	struct span key, value;
	struct arena *mem;
	bool ok = true;

	s.utf8 = (m->flags & MAP_UTF8) != 0 && conf.smtputf8_enable;
	if (!lines_open(&s.in, m->name, NULL))
		return err_temp(e, "open database %s: %s", m->name, strerror(errno));
	mem = arena_new();
	memory_open(m);
	while (ok && source_next(&s, &key, &value)) {
		ok = add(m, &s, key, value, mem, e);
		arena_reset(mem);
	}
	if (!lines_close(&s.in) && ok)
		ok = err_temp(e, "read %s: %s", m->name, strerror(errno));
	arena_free(&mem);
	if (!ok)
		memory_close(m);
	return ok;
}

const struct map_type map_type_texthash = {
	.name = "texthash",
	.properties = MAP_TYPE_FIXED,
	.open = texthash_open,
	.close = memory_close,
	.get = memory_get,
	.next = memory_next,
};
