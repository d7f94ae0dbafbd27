/*
 * map_regexp.c - regexp: tables, POSIX regular expressions of the C library.
 *
 * SPDX-License-Identifier: ISC
 */
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "map/pattern.h"

#define REPEATS_MAX	8	/* "a++++++++" */

static bool
flag(char letter, int *options, const struct rules *r)
{
	(void)r;
	switch (letter) {
	case 'i':
		*options ^= REG_ICASE;
		return true;
	case 'm':
		*options ^= REG_NEWLINE;
		return true;
	case 'x':
		*options ^= REG_EXTENDED;
		return true;
	default:
		return false;
	}
}

/* "[...]": its length; a "]" that comes first is one of the characters. */
static size_t
bracket_length(struct span s)
{
	size_t n = 1;

	n += n < s.n && s.p[n] == '^';
	n += n < s.n && s.p[n] == ']';
	while (n < s.n && s.p[n] != ']')
		n++;
	return n < s.n ? n + 1 : n;
}

/* Repetitions of repetitions: the C library doubles its memory with each. */
static bool
repeats_too_much(struct span text)
{
	unsigned run = 0;

	for (size_t i = 0; i < text.n && run <= REPEATS_MAX;) {
		if (strchr("*+?", text.p[i]) != NULL && text.p[i] != '\0') {
			run++;
			i++;
			continue;
		}
		run = 0;
		i += text.p[i] == '\\' ? 2 : text.p[i] == '[' ? bracket_length(span_from(text, i)) : 1;
	}
	return run > REPEATS_MAX;
}

static void *
compile(const struct map *m, struct span text, int options, size_t *groups, struct err *e)
{
	regex_t *re = calloc(1, sizeof *re);
	char *copy = span_strdup(text), why[256];
	int rc;

	(void)m;
	if (re == NULL)
		log_out_of_memory();
	rc = (options & REG_EXTENDED) && repeats_too_much(text) ? REG_ESPACE : regcomp(re, copy, options);
	free(copy);
	if (rc == 0) {
		*groups = re->re_nsub;
		return re;
	}
	(void)regerror(rc, re, why, sizeof why);
	(void)err_perm(e, "%s", why);
	free(re);
	return NULL;
}

static int
match(void *code, struct span key, struct pattern_group *group, size_t ngroups, struct err *e)
{
	regmatch_t found[PATTERN_GROUPS_MAX];
	char *copy = span_strdup(key), why[256];
	const int rc = regexec(code, copy, ngroups, found, 0);

	free(copy);
	if (rc == REG_NOMATCH)
		return 0;
	if (rc != 0) {
		(void)regerror(rc, code, why, sizeof why);
		(void)err_temp(e, "%s", why);
		return -1;
	}
	for (size_t i = 0; i < ngroups; i++)
		group[i] = found[i].rm_so < 0 ? (struct pattern_group){ 1, 0 } :
		    (struct pattern_group){ (size_t)found[i].rm_so, (size_t)found[i].rm_eo };
	return 1;
}

static void
release(void *code)
{
	regfree(code);
	free(code);
}

static const struct pattern_engine engine = {
	.label = "regexp map",
	.out_of_range = "out-of-range",
	.unclosed = "skipping this rule",
	.second_pattern = true,
	.default_options = REG_EXTENDED | REG_ICASE,
	.flag = flag,
	.compile = compile,
	.match = match,
	.release = release,
};

static bool
table_open(struct map *m, struct err *e)
{
	return pattern_open(m, &engine, e);
}

const struct map_type map_type_regexp = {
	.name = "regexp",
	.open = table_open,
	.close = pattern_close,
	.get = pattern_get,
};
