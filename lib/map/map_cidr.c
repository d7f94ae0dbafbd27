/*
 * map_cidr.c - cidr: tables: network blocks in order, the first that holds the address answers.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>

#include "base/log.h"
#include "base/vec.h"
#include "map/match.h"
#include "map/rules.h"

enum cidr_kind { CIDR_RULE, CIDR_IF, CIDR_ENDIF };

struct cidr_rule {
	enum cidr_kind kind;
	bool negate;
	struct cidr block;
	struct span value;
	size_t end;		/* CIDR_IF: index of its endif */
	unsigned line;
};

struct cidr_table {
	struct arena *mem;
	struct vec rules;
	struct vec open_ifs;	/* size_t, while reading */
};

static void
table_close(struct map *m)
{
	struct cidr_table *t = m->state;

	vec_free(&t->rules);
	vec_free(&t->open_ifs);
	arena_free(&t->mem);
	free(t);
}

static struct cidr_rule *
add_rule(struct cidr_table *t, const struct rules *r, enum cidr_kind kind)
{
	struct cidr_rule *rule = vec_add(&t->rules);

	rule->kind = kind;
	rule->line = r->line;
	return rule;
}

static void
read_endif(struct cidr_table *t, const struct rules *r, struct span rest)
{
	size_t opened;

	if (rest.n > 0) {
		rules_warn(r, "garbage after ENDIF: skipping this rule");
		return;
	}
	if (t->open_ifs.n == 0) {
		rules_warn(r, "ENDIF without IF: skipping this rule");
		return;
	}
	opened = *VEC_AT(&t->open_ifs, size_t, t->open_ifs.n - 1);
	vec_remove(&t->open_ifs, t->open_ifs.n - 1);
	VEC_AT(&t->rules, struct cidr_rule, opened)->end = t->rules.n;
	(void)add_rule(t, r, CIDR_ENDIF);
}

static void
read_rule(const struct map *m, struct cidr_table *t, const struct rules *r, struct span text)
{
	struct cidr block = {0};
	struct err why = {0};
	struct cidr_rule *rule;
	struct span pattern;
	bool is_if, negate = false;

	if (rules_take_word(&text, "endif")) {
		read_endif(t, r, text);
		return;
	}
	is_if = rules_take_word(&text, "if");
	while (span_take_byte(&text, '!')) {
		negate = !negate;
		text = span_trim(text);
	}
	pattern = is_if ? text : span_to(text, span_find_any(text, " \t\r\n\v\f"));
	text = span_trim(span_from(text, pattern.n));
	if (pattern.n == 0) {
		rules_warn(r, "no address pattern: skipping this rule");
		return;
	}
	if (!cidr_parse(pattern, &block, &why)) {
		rules_warn(r, "%s: skipping this rule", why.text);
		return;
	}
	if (!is_if && text.n == 0) {
		rules_warn(r, "no lookup result: skipping this rule");
		return;
	}
	if (!is_if && (m->flags & MAP_FILES) && !rules_read_files(r, &text, t->mem))
		return;
	if (is_if)
		*(size_t *)vec_add(&t->open_ifs) = t->rules.n;
	rule = add_rule(t, r, is_if ? CIDR_IF : CIDR_RULE);
	rule->negate = negate;
	rule->block = block;
	rule->value = span_copy(text, t->mem);
}

static void
close_ifs(struct cidr_table *t, struct rules *r)
{
	for (; t->open_ifs.n > 0; vec_remove(&t->open_ifs, t->open_ifs.n - 1)) {
		struct cidr_rule *rule = VEC_AT(&t->rules, struct cidr_rule, *VEC_AT(&t->open_ifs, size_t, t->open_ifs.n - 1));

		rule->end = t->rules.n;
		r->line = rule->line;
		rules_warn(r, "IF has no matching ENDIF");
	}
}

static bool
table_open(struct map *m, struct err *e)
{
	struct rules r;
	struct span text;
	struct cidr_table *t;
	enum map_status status;

	if (!rules_open(&r, m, "cidr map", e))
		return false;
	t = calloc(1, sizeof *t);
	if (t == NULL)
		log_out_of_memory();
	t->mem = arena_new();
	t->rules = VEC_INIT(struct cidr_rule);
	t->open_ifs = VEC_INIT(size_t);
	m->state = t;
	while ((status = rules_next(&r, &text, e)) == MAP_FOUND)
		read_rule(m, t, &r, text);
	close_ifs(t, &r);
	rules_close(&r);
	if (status == MAP_FAILED)
		table_close(m);
	return status != MAP_FAILED;
}

static enum map_status
table_get(struct map *m, struct span key, struct arena *mem, struct span *value, struct err *e)
{
	const struct cidr_table *t = m->state;
	struct cidr whole;

	(void)e;
	/* Not address_parse(): an IPv4-mapped pattern matches the mapped form only, as in Postfix. */
	if (span_find_any(key, "/[]") < key.n || !cidr_parse(key, &whole, NULL))
		return MAP_NOT_FOUND;
	for (size_t i = 0; i < t->rules.n; i++) {
		const struct cidr_rule *rule = VEC_AT(&t->rules, struct cidr_rule, i);
		bool hit;

		if (rule->kind == CIDR_ENDIF)
			continue;
		hit = whole.family == rule->block.family && cidr_match(&rule->block, whole.family, whole.net) != rule->negate;
		if (rule->kind == CIDR_IF && !hit)
			i = rule->end;
		else if (rule->kind == CIDR_RULE && hit) {
			*value = span_copy(rule->value, mem);
			return MAP_FOUND;
		}
	}
	return MAP_NOT_FOUND;
}

const struct map_type map_type_cidr = {
	.name = "cidr",
	.open = table_open,
	.close = table_close,
	.get = table_get,
};
