/*
 * match.c - match lists.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/vec.h"
#include "conf/conf.h"
#include "conf/lines.h"
#include "map/list.h"
#include "map/match.h"
#include "map/type.h"

#define FILE_DEPTH_MAX	20	/* "/file" inside "/file" */

struct item {
	bool negate;
	struct map *table;	/* NULL: text */
	struct span text;	/* folded */
};

struct match {
	enum match_kind kind;
	char *title;
	bool parents;		/* example.com matches www.example.com */
	struct arena *mem;	/* of the items */
	struct arena *work;	/* of one query */
	struct vec items;
};

static struct span
fold(struct span s, struct arena *mem)
{
	return map_fold(s, conf.smtputf8_enable, mem);
}

static bool read_list(struct match *, struct span list, bool negate, unsigned depth, struct err *);

static struct item *
add_item(struct match *m, bool negate)
{
	struct item *item = vec_add(&m->items);

	item->negate = negate;
	return item;
}

static bool
read_file(struct match *m, struct span name, bool negate, unsigned depth, struct err *e)
{
	const char *path = span_cstr(name, m->mem);
	struct lines in;
	struct span line;
	bool ok = true;

	if (depth >= FILE_DEPTH_MAX || !lines_open(&in, path, NULL)) {
		/* Not an empty list: whoever asks gets a temporary error. */
		const char *why = depth >= FILE_DEPTH_MAX ? "nested too deep" : strerror(errno);

		add_item(m, negate)->table = map_surrogate(arena_printf(m->mem, "non-existent:%s", path),
		    arena_printf(m->mem, "open file %s: %s", path, why));
		return true;
	}
	while (ok && lines_next(&in, &line))
		ok = read_list(m, line, negate, depth + 1, e);
	(void)lines_close(&in);
	return ok;
}

static bool
read_item(struct match *m, struct span word, bool negate, unsigned depth, struct err *e)
{
	struct item *item;

	while (word.n > 0 && *word.p == '!') {
		negate = !negate;
		word = span_from(word, 1);
	}
	if (word.n == 0)
		return err_perm(e, "%s: no pattern after '!'", m->title);
	if (*word.p == '/')
		return read_file(m, word, negate, depth, e);
	item = add_item(m, negate);
	if (map_spec_is_table(word))
		item->table = map_open(span_cstr(word, m->mem), MAP_FOLD | MAP_UTF8);
	else
		item->text = fold(word, m->mem);
	return true;
}

static bool
read_list(struct match *m, struct span list, bool negate, unsigned depth, struct err *e)
{
	struct span word;

	while (span_take_word_braced(&list, LIST_SEPARATORS, &word)) {
		if (*word.p == '#') {
			const struct span shown = span_to(list, 20);

			log_warning("%s: #comment after other text is not allowed: %.*s%.*s%s", m->title, SPAN_ARG(word),
			    SPAN_ARG(shown), list.n > 20 ? "..." : "");
		}
		if (!read_item(m, word, negate, depth, e))
			return false;
	}
	return true;
}

bool
match_parents(const char *title)
{
	struct span rest = span_str(conf.parent_domain_matches_subdomains), word;

	while (span_take_word(&rest, LIST_SEPARATORS, &word))
		if (span_iis(word, title))
			return true;
	return false;
}

struct match *
match_open(enum match_kind kind, const char *title, const char *value, struct err *e)
{
	struct match *m = calloc(1, sizeof *m);

	if (m == NULL)
		log_out_of_memory();
	m->kind = kind;
	m->title = span_strdup(span_str(title));
	m->parents = match_parents(title);
	m->mem = arena_new();
	m->work = arena_new();
	m->items = VEC_INIT(struct item);
	(void)read_list(m, span_str(value), false, 0, e);
	return m;
}

void
match_free(struct match **mp)
{
	struct match *m = *mp;

	*mp = NULL;
	if (m == NULL)
		return;
	for (size_t i = 0; i < m->items.n; i++)
		map_close(&VEC_AT(&m->items, struct item, i)->table);
	vec_free(&m->items);
	arena_free(&m->mem);
	arena_free(&m->work);
	free(m->title);
	free(m);
}

static enum match_status
in_table(const struct match *m, struct map *table, struct span key)
{
	struct span value;

	switch (map_get(table, key, m->work, &value, NULL)) {
	case MAP_FOUND:
		return MATCH_YES;
	case MAP_NOT_FOUND:
		return MATCH_NO;
	case MAP_FAILED:
		break;
	}
	log_warning("%s: %s: table lookup problem", m->title, map_spec(table));
	return MATCH_FAILED;
}

/* The next parent: "a.b.c" to "b.c", or with the dot kept ".b.c". False: none left. */
static bool
take_parent(const struct match *m, struct span *name)
{
	const struct span from = !m->parents && name->n > 0 && *name->p == '.' ? span_from(*name, 1) : *name;
	const size_t dot = span_find(from, '.');

	if (dot == from.n || dot + 1 == from.n)
		return false;
	*name = span_from(from, m->parents ? dot + 1 : dot);
	return true;
}

/* Text that looks like an address has no parent domains. */
static bool
has_parents(struct span name)
{
	int family;
	unsigned char bytes[16];

	return !address_parse(name, &family, bytes);
}

static enum match_status
name_item(const struct match *m, const struct item *item, struct span name)
{
	enum match_status status;
	const bool parents = m->kind != MATCH_STRING && has_parents(name) &&
	    (item->table == NULL || map_has_fixed_keys(item->table));

	do {
		if (item->table != NULL)
			status = in_table(m, item->table, name);
		else
			status = span_eq(item->text, name) ? MATCH_YES : MATCH_NO;
	} while (status == MATCH_NO && parents && take_parent(m, &name));
	return status;
}

/* Does the pattern speak of addresses at all? "example.com" and "10.0" do not. */
static bool
may_be_address(struct span pattern)
{
	if (pattern.n == 0)
		return false;
	if (*pattern.p == '[' || span_has(pattern, ':') || span_has(pattern, '/'))
		return true;
	for (size_t i = 0; i < pattern.n; i++)
		if (!ascii_digit(pattern.p[i]) && pattern.p[i] != '.')
			return false;
	return true;
}

static bool
is_short_quad(struct span pattern)
{
	unsigned dots = 0;

	for (size_t i = 0; i < pattern.n; i++)
		dots += pattern.p[i] == '.';
	return span_find_any(pattern, ":/[") == pattern.n && dots < 3;
}

static enum match_status
address_item(const struct match *m, const struct item *item, struct span text, int family, const unsigned char *bytes)
{
	struct err why = {0};
	struct cidr block;

	if (item->table != NULL)
		return in_table(m, item->table, text);
	if (span_eq(item->text, text))
		return MATCH_YES;
	if (!may_be_address(item->text) || is_short_quad(item->text))
		return MATCH_NO;
	if (!cidr_parse(item->text, &block, &why)) {
		log_warning("%s: %s", m->title, why.text);
		return MATCH_FAILED;
	}
	return cidr_match(&block, family, bytes) ? MATCH_YES : MATCH_NO;
}

static enum match_status
decide(const struct item *item, enum match_status status)
{
	if (status == MATCH_FAILED)
		return status;
	return item->negate ? MATCH_NO : MATCH_YES;
}

enum match_status
match_name(struct match *m, struct span name)
{
	arena_reset(m->work);
	name = fold(name, m->work);
	for (size_t i = 0; i < m->items.n; i++) {
		const struct item *item = VEC_AT(&m->items, struct item, i);
		const enum match_status status = name_item(m, item, name);

		if (status != MATCH_NO)
			return decide(item, status);
	}
	return MATCH_NO;
}

enum match_status
match_host(struct match *m, struct span name, struct span address)
{
	unsigned char bytes[16];
	int family = AF_UNSPEC;
	bool known;

	arena_reset(m->work);
	name = fold(name, m->work);
	address = fold(address, m->work);
	if (span_istarts(address, SPAN("::ffff:")) && span_has(address, '.'))
		address = span_from(address, 7);
	known = address_parse(address, &family, bytes);
	for (size_t i = 0; i < m->items.n; i++) {
		const struct item *item = VEC_AT(&m->items, struct item, i);
		enum match_status status = m->kind == MATCH_ADDRESS || name.n == 0 ? MATCH_NO : name_item(m, item, name);

		if (status == MATCH_NO && known)
			status = address_item(m, item, address, family, bytes);
		if (status != MATCH_NO)
			return decide(item, status);
	}
	return MATCH_NO;
}
