/*
 * master_cf.c - reads master.cf. Used by master(8), qmgr(8) and postconf(1).
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/arena.h"
#include "base/vec.h"
#include "conf/conf.h"
#include "conf/lines.h"
#include "conf/master_cf.h"

#define BLANKS	" \t\r\n"

static const char *const field_name[MASTER_FIELDS] = {
	"service name", "transport type", "private", "unprivileged", "chroot", "wakeup_time", "max_proc", "command",
};

static const struct {
	const char *name;
	enum master_type type;
} types[] = {
	{ "inet", MASTER_INET }, { "unix", MASTER_UNIX }, { "fifo", MASTER_FIFO },
	{ "unix-dgram", MASTER_UNIX_DGRAM }, { "pass", MASTER_PASS },
};

bool
master_type_parse(const char *text, enum master_type *type)
{
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		if (strcmp(types[i].name, text) == 0) {
			*type = types[i].type;
			return true;
		}
	}
	return false;
}

/* "{ text }" to "text"; what follows the closing brace is an error. */
static bool
strip_braces(struct span *word, struct err *e)
{
	if (word->n < 2 || word->p[word->n - 1] != '}') {
		const struct span whole = *word;
		size_t level = 0;

		for (size_t i = 0; i < whole.n; i++) {
			level += whole.p[i] == '{';
			if (whole.p[i] == '}' && --level == 0)
				return err_perm(e, "syntax error after '}' in \"%.*s\"", SPAN_ARG(whole));
		}
		return err_perm(e, "missing '}' in \"%.*s\"", SPAN_ARG(whole));
	}
	*word = span_trim(span(word->p + 1, word->n - 2));
	return true;
}

bool
master_cf_split(struct span line, bool keep_braces, struct arena *mem, const char ***words, size_t *n, struct err *e)
{
	struct vec list = VEC_INIT(const char *);
	struct span word;
	bool ok = true;

	while (ok && span_take_word_braced(&line, BLANKS, &word)) {
		if (list.n >= MASTER_FIELDS && *word.p == '{' && !keep_braces)
			ok = strip_braces(&word, e);
		*(const char **)vec_add(&list) = span_cstr(word, mem);
	}
	*n = list.n;
	*words = ARENA_ARRAY(mem, const char *, list.n + 1);
	if (list.n > 0)
		memcpy(*words, list.p, list.n * sizeof **words);
	vec_free(&list);
	return ok;
}

struct parser {
	const char *path;
	unsigned line;
	struct err *e;
};

static bool
bad_value(const struct parser *p, int field, const char *text)
{
	return err_perm(p->e, "%s: line %u: field \"%s\": bad value: \"%s\"", p->path, p->line, field_name[field], text);
}

static bool
parse_bool(const struct parser *p, const struct master_service *s, int field, bool default_value, bool *value)
{
	const char *text = s->field[field];

	*value = default_value;
	if (strcmp(text, "-") == 0)
		return true;
	*value = strcmp(text, "y") == 0;
	return *value || strcmp(text, "n") == 0 || bad_value(p, field, text);
}

static bool
parse_int(const struct parser *p, const struct master_service *s, int field, int default_value, int *value,
    struct span *rest)
{
	uint64_t number;

	*rest = span_str(s->field[field]);
	*value = default_value;
	if (span_is(*rest, "-")) {
		*rest = SPAN_NULL;
		return true;
	}
	if (!span_take_u64(rest, &number) || number > INT_MAX)
		return bad_value(p, field, s->field[field]);
	*value = (int)number;
	return true;
}

static bool
parse_service(const struct parser *p, bool old_level, struct master_service *s)
{
	struct span rest;

	for (int i = 0; i < MASTER_FIELDS; i++) {
		if (s->field[i] == NULL)
			return err_perm(p->e, "%s: line %u: missing \"%s\" field", p->path, p->line, field_name[i]);
		if (strcmp(s->field[i], "-") == 0 && (i <= MASTER_FIELD_TYPE || i == MASTER_FIELD_COMMAND))
			return err_perm(p->e, "%s: line %u: field \"%s\" has no default value", p->path, p->line, field_name[i]);
	}
	s->name = s->field[MASTER_FIELD_NAME];
	s->command = s->field[MASTER_FIELD_COMMAND];
	if (!master_type_parse(s->field[MASTER_FIELD_TYPE], &s->type))
		return err_perm(p->e, "%s: line %u: bad transport type: %s", p->path, p->line, s->field[MASTER_FIELD_TYPE]);
	if (!parse_bool(p, s, MASTER_FIELD_PRIVATE, true, &s->private))
		return false;
	if (s->type == MASTER_INET && s->private)
		return err_perm(p->e, "%s: line %u: inet service cannot be private", p->path, p->line);
	if (!parse_bool(p, s, MASTER_FIELD_UNPRIV, true, &s->unprivileged) ||
	    !parse_bool(p, s, MASTER_FIELD_CHROOT, old_level, &s->chroot) ||
	    !parse_int(p, s, MASTER_FIELD_WAKEUP, 0, &s->wakeup, &rest))
		return false;
	s->chroot_by_level = s->chroot && strcmp(s->field[MASTER_FIELD_CHROOT], "-") == 0;
	s->wakeup_if_used = span_take_byte(&rest, '?');
	if (rest.n > 0)
		return bad_value(p, MASTER_FIELD_WAKEUP, s->field[MASTER_FIELD_WAKEUP]);
	if (!parse_int(p, s, MASTER_FIELD_MAXPROC, MASTER_MAXPROC_DEFAULT, &s->maxproc, &rest))
		return false;
	return rest.n == 0 || bad_value(p, MASTER_FIELD_MAXPROC, s->field[MASTER_FIELD_MAXPROC]);
}

bool
master_cf_parse(struct span line, const char *path, unsigned number, bool old_level, struct arena *mem,
    struct master_service *s, struct err *e)
{
	const struct parser p = { path, number, e };
	const char **words;
	struct err why = {0};
	size_t n;

	if (!master_cf_split(line, false, mem, &words, &n, &why))
		return err_perm(e, "%s: line %u: %s", path, number, why.text);
	for (size_t i = 0; i < MASTER_FIELDS && i < n; i++)
		s->field[i] = words[i];
	s->line = number;
	s->argc = n > MASTER_FIELDS ? n - MASTER_FIELDS : 0;
	s->argv = words + (n - s->argc);
	return parse_service(&p, old_level, s);
}

bool
master_cf_load(struct master_cf *cf, const char *directory, bool old_level, struct err *e)
{
	struct vec list = VEC_INIT(struct master_service);
	struct lines in;
	struct span line;
	bool ok;

	*cf = (struct master_cf){ .mem = arena_new() };
	cf->path = arena_printf(cf->mem, "%s/master.cf", directory);
	if (!lines_open(&in, cf->path, e))
		return false;
	ok = true;
	while (ok && lines_next(&in, &line))
		ok = master_cf_parse(line, cf->path, in.first, old_level, cf->mem, vec_add(&list), e);
	if (!lines_close(&in) && ok)
		ok = err_temp(e, "read %s: %s", cf->path, strerror(errno));
	cf->service = list.p;
	cf->n = list.n;
	return ok;
}

void
master_cf_free(struct master_cf *cf)
{
	struct vec list = { .p = cf->service, .n = cf->n, .size = sizeof(struct master_service) };

	vec_free(&list);
	arena_free(&cf->mem);
	*cf = (struct master_cf){0};
}
