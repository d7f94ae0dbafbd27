/*
 * map_inline.c - inline:{ key=value, { key = text with blanks } } tables.
 *
 * SPDX-License-Identifier: ISC
 */
#include "base/log.h"
#include "conf/conf.h"
#include "map/list.h"
#include "map/memory.h"
#include "map/source.h"

static const char *
need(const struct map *m)
{
	return m->flags & MAP_FILES ? "filename" : "value";
}

/* "key = value"; quotes protect blanks and "=" in the key and stay. An empty key is fine. */
static bool
split_pair(struct span pair, struct span *key, struct span *value, const char **why)
{
	const struct span s = span_trim(pair);
	bool quoted = false;
	size_t n = 0;

	for (; n < s.n && (quoted || (s.p[n] != '=' && !ascii_space(s.p[n]))); n++) {
		if (s.p[n] == '\\' && n + 1 < s.n)
			n++;
		else if (s.p[n] == '"')
			quoted = !quoted;
	}
	*key = span_to(s, n);
	*value = span_trim(span_from(s, n));
	*why = quoted ? "unbalanced '\"'" : "missing '=' after attribute name";
	if (quoted || !span_take_byte(value, '='))
		return false;
	*value = span_trim(*value);
	return true;
}

static bool
add(struct map *m, struct span word, struct arena *mem, struct err *e)
{
	struct span key, value;
	struct buf content = {0};
	const char *why;
	bool ok = true;

	struct err bad = {0};

	if (word.n > 0 && *word.p == '{' && !list_strip_braces(&word, &bad))
		return err_perm(e, "%s: \"%s\"; need \"inline:{name=%s...}\"", bad.text, m->spec, need(m));
	if (!split_pair(word, &key, &value, &why))
		return err_perm(e, "%s: \"%s\"; need \"inline:{name=%s...}\"", why, m->spec, need(m));
	if (m->flags & MAP_FOLD)
		key = map_fold(key, (m->flags & MAP_UTF8) != 0 && conf.smtputf8_enable, mem);
	if (m->flags & MAP_FILES) {
		ok = source_read_files(value, &content, &bad) ||
		    err_perm(e, "%s: \"%s\"; need \"inline:{name=%s...}\"", bad.text, m->spec, need(m));
		value = buf_view(&content);
	}
	if (ok)
		memory_replace(m, key, value);
	buf_free(&content);
	return ok;
}

static bool
inline_open(struct map *m, struct err *e)
{
	struct span rest = span_str(m->name), word;
	struct arena *mem;
	struct err why = {0};
	size_t n = 0;
	bool ok = true;

	if (rest.n < 3 || *rest.p != '{' || rest.p[rest.n - 1] != '}')
		return err_perm(e, "bad syntax: \"%s\"; need \"inline:{name=%s...}\"", m->spec, need(m));
	if (!list_strip_braces(&rest, &why))
		return err_perm(e, "%s: \"%s\"; need \"inline:{name=%s...}\"",
		    list_braced(rest) == 0 ? "bad syntax" : why.text, m->spec, need(m));
	memory_open(m);
	mem = arena_new();
	for (; ok && span_take_word_braced(&rest, LIST_SEPARATORS, &word); n++)
		ok = add(m, word, mem, e);
	arena_free(&mem);
	if (ok && n == 0)
		ok = err_perm(e, "empty table: \"%s\"; need \"inline:{name=%s...}\"", m->spec, need(m));
	if (!ok)
		memory_close(m);
	return ok;
}

const struct map_type map_type_inline = {
	.name = "inline",
	.properties = MAP_TYPE_FIXED,
	.open = inline_open,
	.close = memory_close,
	.get = memory_get,
	.next = memory_next,
};

/* internal: a cache within one process. */
static bool
internal_open(struct map *m, struct err *e)
{
	(void)e;
	memory_open(m);
	return true;
}

const struct map_type map_type_internal = {
	.name = "internal",
	.properties = MAP_TYPE_FIXED | MAP_TYPE_WRITABLE | MAP_TYPE_HIDDEN,
	.open = internal_open,
	.close = memory_close,
	.get = memory_get,
	.put = memory_put,
	.remove = memory_remove,
	.next = memory_next,
};
