/*
 * environment.c - keeps, sets and drops environment variables.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "conf/conf.h"
#include "conf/environment.h"
#include "conf/list.h"

/* "NAME", "NAME=value", "{ NAME = value with blanks }". *value is NULL when NAME is to be kept as it is. */
static bool
split(struct span word, struct arena *mem, const char **name, const char **value, struct err *e)
{
	struct err brace = {0};
	const char *why;
	struct span n, v;

	if (*word.p == '{' && !list_strip_braces(&word, &brace))
		return err_perm(e, "import_environment: %s", brace.text);
	*value = NULL;
	*name = span_cstr(word, mem);
	if (!span_has(word, '='))
		return true;
	if (!conf_split_pair(word, &n, &v, &why))
		return err_perm(e, "update_env: %s in: %.*s", why, SPAN_ARG(word));
	*name = span_cstr(n, mem);
	*value = span_cstr(v, mem);
	return true;
}

struct kept {
	const char *name, *value;
	struct kept *next;
};

static bool
collect(struct span list, struct arena *mem, struct kept **out, struct err *e)
{
	struct span word;

	while (span_take_word_braced(&list, ", \t\r\n", &word)) {
		struct kept *k = ARENA_NEW(mem, struct kept);

		if (!split(word, mem, &k->name, &k->value, e))
			return false;
		if (k->value == NULL && getenv(k->name) != NULL)
			k->value = span_cstr(span_str(getenv(k->name)), mem);
		k->next = *out;
		*out = k;
	}
	return true;
}

bool
environment_apply(const char *list, bool only, struct err *e)
{
	struct arena *mem = arena_new();
	struct kept *kept = NULL;
	bool ok = collect(span_str(list), mem, &kept, e);

	if (ok && only && clearenv() != 0)
		ok = err_temp(e, "clearenv: %s", strerror(errno));
	for (; ok && kept != NULL; kept = kept->next)
		if (kept->value != NULL && setenv(kept->name, kept->value, 1) != 0)
			ok = err_temp(e, "setenv %s: %s", kept->name, strerror(errno));
	arena_free(&mem);
	return ok;
}
