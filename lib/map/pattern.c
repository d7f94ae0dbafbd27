/*
 * pattern.c - statements of regexp: and pcre: tables: /pattern/flags result, !/pattern/flags result,
 * if [!]/pattern/flags, endif. Keys come from the network; the engines bound their work.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>

#include "base/log.h"
#include "base/vec.h"
#include "map/pattern.h"

enum statement_kind { STATEMENT_MATCH, STATEMENT_IF, STATEMENT_ENDIF };

struct pattern {
	void *code;
	bool negate;
	size_t groups;
};

/* A piece of the result: text, or the n-th group. */
struct piece {
	struct span text;
	size_t group;		/* 0: text */
};

struct statement {
	enum statement_kind kind;
	struct pattern first, second;	/* second.code NULL: none */
	struct piece *piece;
	size_t npieces;
	size_t end;			/* STATEMENT_IF: index of its endif */
	unsigned line;
};

struct table {
	const struct pattern_engine *engine;
	struct arena *mem;
	struct vec statements;
	struct vec open_ifs;		/* size_t, while reading */
	struct rules rules;
};

void
pattern_close(struct map *m)
{
	struct table *t = m->state;

	for (size_t i = 0; i < t->statements.n; i++) {
		struct statement *s = VEC_AT(&t->statements, struct statement, i);

		if (s->first.code != NULL)
			t->engine->release(s->first.code);
		if (s->second.code != NULL)
			t->engine->release(s->second.code);
	}
	vec_free(&t->statements);
	vec_free(&t->open_ifs);
	arena_free(&t->mem);
	free(t);
}

/* "[!]/text/flags" at the start of *in, compiled. */
static bool
take_pattern(const struct map *m, struct table *t, struct span *in, struct pattern *out)
{
	const struct pattern_engine *engine = t->engine;
	int options = engine->default_options;
	struct span regexp;
	struct err why = {0};
	char delimiter;
	size_t n = 0;

	while (in->n > 0 && *in->p == '!') {
		out->negate = !out->negate;
		*in = span_trim(span_from(*in, 1));
	}
	if (in->n == 0) {
		rules_warn(&t->rules, "no regexp: skipping this rule");
		return false;
	}
	delimiter = *in->p;
	regexp = span_from(*in, 1);
	while (n < regexp.n && regexp.p[n] != delimiter)
		n += regexp.p[n] == '\\' && n + 1 < regexp.n ? 2 : 1;
	if (n >= regexp.n) {
		rules_warn(&t->rules, "no closing regexp delimiter \"%c\": %s", delimiter, engine->unclosed);
		return false;
	}
	*in = span_from(regexp, n + 1);
	regexp = span_to(regexp, n);
	while (in->n > 0 && !ascii_space(*in->p) && !(engine->second_pattern && *in->p == '!')) {
		if (!engine->flag(*in->p, &options, &t->rules)) {
			rules_warn(&t->rules, "unknown regexp option \"%c\": skipping this rule", *in->p);
			return false;
		}
		*in = span_from(*in, 1);
	}
	out->code = engine->compile(m, regexp, options, &out->groups, &why);
	if (out->code == NULL)
		rules_warn(&t->rules, "%s", why.text);
	return out->code != NULL;
}

struct template {
	struct table *table;
	struct vec pieces;
	bool bad;
	size_t highest;
};

static void
add_text(struct template *tpl, struct span text)
{
	struct piece *piece;

	if (text.n == 0)
		return;
	piece = vec_add(&tpl->pieces);
	piece->text = span_copy(text, tpl->table->mem);
}

static void
add_group(struct template *tpl, struct span name)
{
	struct piece *piece;
	uint64_t number;

	if (!span_to_u64(name, &number)) {
		rules_warn(&tpl->table->rules, "non-numeric replacement index \"%.*s\"", SPAN_ARG(name));
		tpl->bad = true;
	} else if (number == 0 || number > 1000000) {
		rules_warn(&tpl->table->rules, "%s replacement index \"%.*s\"", tpl->table->engine->out_of_range, SPAN_ARG(name));
		tpl->bad = true;
	} else {
		piece = vec_add(&tpl->pieces);
		piece->group = (size_t)number;
		if (number > tpl->highest)
			tpl->highest = (size_t)number;
	}
}

/* One "$..." at the start of *in. */
static bool
take_group(struct template *tpl, struct span *in, struct span whole)
{
	struct span rest = span_from(*in, 1), name;
	size_t n = 0;

	if (rest.n > 0 && (*rest.p == '{' || *rest.p == '(')) {
		n = span_find(rest, *rest.p == '{' ? '}' : ')');
		if (n == rest.n) {
			log_warning("truncated macro reference: \"%.*s\"", SPAN_ARG(whole));
			return false;
		}
		name = span(rest.p + 1, n - 1);
		*in = span_from(rest, n + 1);
	} else {
		while (n < rest.n && (ascii_alnum(rest.p[n]) || rest.p[n] == '_'))
			n++;
		name = span_to(rest, n);
		*in = span_from(rest, n);
	}
	if (name.n == 0) {
		log_warning("empty macro name: \"%.*s\"", SPAN_ARG(whole));
		return false;
	}
	add_group(tpl, name);
	return true;
}

static void
read_template(struct template *tpl, struct span text)
{
	struct span in = text;

	while (in.n > 0 && in.p != NULL) {
		const size_t plain = span_find(in, '$');

		add_text(tpl, span_to(in, plain));
		in = span_from(in, plain);
		if (in.n >= 2 && in.p[1] == '$') {
			add_text(tpl, SPAN("$"));
			in = span_from(in, 2);
		} else if (in.n > 0) {
			tpl->bad |= !take_group(tpl, &in, text);
			if (tpl->bad)
				return;
		}
	}
}

/* The result text of a statement; false: the rule is skipped. */
static bool
read_result(const struct map *m, struct table *t, struct statement *s, struct span text)
{
	struct template tpl = { .table = t, .pieces = VEC_INIT(struct piece) };
	const char *why = NULL;

	if (text.n == 0)
		rules_warn(&t->rules, "no replacement text: using empty string");
	if ((m->flags & MAP_FILES) && !rules_read_files(&t->rules, &text, t->mem))
		return false;
	read_template(&tpl, text);
	if (tpl.bad)
		why = "bad replacement syntax: skipping this rule";
	else if (tpl.highest > 0 && s->first.negate)
		why = "$number found in negative match replacement text: skipping this rule";
	else if (tpl.highest > 0 && (m->flags & MAP_NO_SUBSTITUTE))
		why = "regular expression substitution is not allowed: skipping this rule";
	if (why != NULL)
		rules_warn(&t->rules, "%s", why);
	else if (tpl.highest > s->first.groups || tpl.highest >= PATTERN_GROUPS_MAX) {
		why = "";
		rules_warn(&t->rules, "out of range replacement index \"%zu\": skipping this rule", tpl.highest);
	}
	s->npieces = tpl.pieces.n;
	s->piece = ARENA_ARRAY(t->mem, struct piece, tpl.pieces.n);
	for (size_t i = 0; i < tpl.pieces.n; i++)
		s->piece[i] = *VEC_AT(&tpl.pieces, struct piece, i);
	vec_free(&tpl.pieces);
	return why == NULL;
}

static void
read_endif(struct table *t, struct span rest)
{
	struct statement *s;
	size_t opened;

	if (t->open_ifs.n == 0) {
		rules_warn(&t->rules, "ignoring ENDIF without matching IF");
		return;
	}
	if (rest.n > 0)
		rules_warn(&t->rules, "ignoring extra text after ENDIF");
	opened = *VEC_AT(&t->open_ifs, size_t, t->open_ifs.n - 1);
	vec_remove(&t->open_ifs, t->open_ifs.n - 1);
	VEC_AT(&t->statements, struct statement, opened)->end = t->statements.n;
	s = vec_add(&t->statements);
	s->kind = STATEMENT_ENDIF;
}

static void
read_if(const struct map *m, struct table *t, struct span text)
{
	struct statement s = { .kind = STATEMENT_IF, .line = t->rules.line };

	if (!take_pattern(m, t, &text, &s.first))
		return;
	text = span_trim(text);
	if (text.n > 0) {
		rules_warn(&t->rules, "ignoring extra text after IF statement: \"%.*s\"", SPAN_ARG(text));
		rules_warn(&t->rules, "do not prepend whitespace to statements between IF and ENDIF");
	}
	*(size_t *)vec_add(&t->open_ifs) = t->statements.n;
	*(struct statement *)vec_add(&t->statements) = s;
}

static void
read_match(const struct map *m, struct table *t, struct span text)
{
	struct statement s = { .kind = STATEMENT_MATCH, .line = t->rules.line };
	bool ok = take_pattern(m, t, &text, &s.first);

	if (ok && t->engine->second_pattern && text.n > 0 && *text.p == '!')
		ok = take_pattern(m, t, &text, &s.second);
	if (ok && read_result(m, t, &s, span_trim(text))) {
		*(struct statement *)vec_add(&t->statements) = s;
		return;
	}
	if (s.first.code != NULL)
		t->engine->release(s.first.code);
	if (s.second.code != NULL)
		t->engine->release(s.second.code);
}

static void
read_statement(const struct map *m, struct table *t, struct span text)
{
	if (text.n > 0 && !ascii_alnum(*text.p))
		read_match(m, t, text);
	else if (rules_take_word(&text, "if"))
		read_if(m, t, text);
	else if (rules_take_word(&text, "endif"))
		read_endif(t, text);
	else
		rules_warn(&t->rules, "ignoring unrecognized request");
}

static void
close_ifs(struct table *t)
{
	for (; t->open_ifs.n > 0; vec_remove(&t->open_ifs, t->open_ifs.n - 1)) {
		struct statement *s = VEC_AT(&t->statements, struct statement, *VEC_AT(&t->open_ifs, size_t, t->open_ifs.n - 1));

		s->end = t->statements.n;
		t->rules.line = s->line;
		rules_warn(&t->rules, "IF has no matching ENDIF");
	}
}

bool
pattern_open(struct map *m, const struct pattern_engine *engine, struct err *e)
{
	struct table *t = calloc(1, sizeof *t);
	struct span text;
	enum map_status status;

	if (t == NULL)
		log_out_of_memory();
	t->engine = engine;
	t->mem = arena_new();
	t->statements = VEC_INIT(struct statement);
	t->open_ifs = VEC_INIT(size_t);
	m->state = t;
	if (!rules_open(&t->rules, m, engine->label, e)) {
		pattern_close(m);
		return false;
	}
	while ((status = rules_next(&t->rules, &text, e)) == MAP_FOUND)
		read_statement(m, t, text);
	close_ifs(t);
	rules_close(&t->rules);
	if (status == MAP_FAILED)
		pattern_close(m);
	return status != MAP_FAILED;
}

static bool
holds(const struct table *t, const struct statement *s, const struct pattern *p, struct span key,
    struct pattern_group *group)
{
	struct err why = {0};
	const int rc = t->engine->match(p->code, key, group, PATTERN_GROUPS_MAX, &why);

	if (rc < 0) {
		log_warning("%s %s, line %u: %s", t->engine->label, t->rules.name, s->line, why.text);
		return false;
	}
	return (rc > 0) != p->negate;
}

static struct span
result(const struct statement *s, struct span key, const struct pattern_group *group, struct arena *mem)
{
	struct buf out = {0};
	struct span value;

	for (size_t i = 0; i < s->npieces; i++) {
		const struct piece *piece = &s->piece[i];
		const struct pattern_group *g = &group[piece->group];

		if (piece->group == 0)
			buf_span(&out, piece->text);
		else if (g->start <= g->end && g->end <= key.n)
			buf_add(&out, key.p + g->start, g->end - g->start);
	}
	value = span_copy(buf_view(&out), mem);
	buf_free(&out);
	return value;
}

enum map_status
pattern_get(struct map *m, struct span key, struct arena *mem, struct span *value, struct err *e)
{
	const struct table *t = m->state;
	struct pattern_group group[PATTERN_GROUPS_MAX], unused[PATTERN_GROUPS_MAX];

	(void)e;
	for (size_t i = 0; i < t->statements.n; i++) {
		const struct statement *s = VEC_AT(&t->statements, struct statement, i);
		bool hit;

		if (s->kind == STATEMENT_ENDIF)
			continue;
		hit = holds(t, s, &s->first, key, group) &&
		    (s->second.code == NULL || holds(t, s, &s->second, key, unused));
		if (s->kind == STATEMENT_IF && !hit)
			i = s->end;
		else if (s->kind == STATEMENT_MATCH && hit) {
			*value = result(s, key, group, mem);
			return MAP_FOUND;
		}
	}
	return MAP_NOT_FOUND;
}
