/*
 * map_pcre.c - pcre: tables, by PCRE2. A pattern that would run away on some key meets the limits below and
 * counts as no match.
 *
 * SPDX-License-Identifier: ISC
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

#include "base/log.h"
#include "conf/conf.h"
#include "map/pattern.h"

#define MATCH_LIMIT	10000000	/* steps, as many as the library allows by itself */
#define DEPTH_LIMIT	100000
#define HEAP_LIMIT_KB	20000

struct code {
	pcre2_code *re;
	pcre2_match_data *data;
	pcre2_match_context *limits;
};

static bool
flag(char letter, int *options, const struct rules *r)
{
	static const struct {
		char letter;
		uint32_t option;
	} flags[] = {
		{ 'i', PCRE2_CASELESS }, { 'm', PCRE2_MULTILINE }, { 's', PCRE2_DOTALL }, { 'x', PCRE2_EXTENDED },
		{ 'A', PCRE2_ANCHORED }, { 'E', PCRE2_DOLLAR_ENDONLY }, { 'U', PCRE2_UNGREEDY },
	};

	for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
		if (flags[i].letter == letter) {
			*options = (int)((uint32_t)*options ^ flags[i].option);
			return true;
		}
	}
	if (letter != 'X')
		return false;
	rules_warn(r, "ignoring obsolete regexp option \"X\"");
	return true;
}

static void
release(void *code)
{
	struct code *c = code;

	pcre2_match_data_free(c->data);
	pcre2_match_context_free(c->limits);
	pcre2_code_free(c->re);
	free(c);
}

static void *
compile(const struct map *m, struct span text, int options, size_t *groups, struct err *e)
{
	const uint32_t utf = (m->flags & MAP_UTF8) && conf.smtputf8_enable ? PCRE2_UTF : 0;
	unsigned char why[256];
	uint32_t count = 0;
	size_t offset;
	int rc;
	struct code *c = calloc(1, sizeof *c);

	if (c == NULL)
		log_out_of_memory();
	c->re = pcre2_compile((PCRE2_SPTR)text.p, text.n, (uint32_t)options | utf, &rc, &offset, NULL);
	if (c->re == NULL) {
		(void)pcre2_get_error_message(rc, why, sizeof why);
		(void)err_perm(e, "error in regex at offset %zu: %s", offset, (const char *)why);
		free(c);
		return NULL;
	}
	(void)pcre2_jit_compile(c->re, PCRE2_JIT_COMPLETE);	/* only faster; may be forbidden */
	c->data = pcre2_match_data_create_from_pattern(c->re, NULL);
	c->limits = pcre2_match_context_create(NULL);
	if (c->data == NULL || c->limits == NULL)
		log_out_of_memory();
	(void)pcre2_set_match_limit(c->limits, MATCH_LIMIT);
	(void)pcre2_set_depth_limit(c->limits, DEPTH_LIMIT);
	(void)pcre2_set_heap_limit(c->limits, HEAP_LIMIT_KB);
	(void)pcre2_pattern_info(c->re, PCRE2_INFO_CAPTURECOUNT, &count);
	*groups = count;
	return c;
}

static int
match(void *code, struct span key, struct pattern_group *group, size_t ngroups, struct err *e)
{
	const struct code *c = code;
	const int rc = pcre2_match(c->re, (PCRE2_SPTR)key.p, key.n, 0, 0, c->data, c->limits);
	const size_t *found = pcre2_get_ovector_pointer(c->data);
	unsigned char why[256];

	if (rc == PCRE2_ERROR_NOMATCH)
		return 0;
	if (rc < 0) {
		(void)pcre2_get_error_message(rc, why, sizeof why);
		(void)err_temp(e, "%s", (const char *)why);
		return -1;
	}
	for (size_t i = 0; i < ngroups; i++)
		group[i] = i >= (size_t)rc || found[2 * i] == PCRE2_UNSET ? (struct pattern_group){ 1, 0 } :
		    (struct pattern_group){ found[2 * i], found[2 * i + 1] };
	return 1;
}

static const struct pattern_engine engine = {
	.label = "pcre map",
	.out_of_range = "out of range",
	.unclosed = "ignoring this rule",
	.default_options = PCRE2_CASELESS | PCRE2_DOTALL,
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

const struct map_type map_type_pcre = {
	.name = "pcre",
	.open = table_open,
	.close = pattern_close,
	.get = pattern_get,
};
