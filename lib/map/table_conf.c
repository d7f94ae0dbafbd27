/*
 * table_conf.c - the parameters of a table with a configuration file.
 *
 * SPDX-License-Identifier: ISC
 */
#include <limits.h>

#include "base/log.h"
#include "conf/conf.h"
#include "conf/lines.h"
#include "map/table_conf.h"
#include "map/type.h"

static bool
read_line(struct table_conf *c, const struct lines *in, struct span line, struct err *e)
{
	struct span name, value;
	const char *why, *old;

	if (!conf_split_pair(line, &name, &value, &why))
		return err_perm(e, "%s, line %u: %s: \"%.*s\"", c->name, in->first, why, SPAN_ARG(line));
	old = hash_put(c->values, name, span_cstr(value, c->mem));
	if (old != NULL && !span_is(value, old))
		log_warning("%s, line %u: overriding earlier entry: %.*s=%s", c->name, in->first, SPAN_ARG(name), old);
	return true;
}

bool
table_conf_open(struct table_conf *c, const char *name, struct arena *mem, struct err *e)
{
	struct lines in;
	struct span line;
	bool ok = true;

	*c = (struct table_conf){ .name = name, .mem = mem };
	if (*name != '/' && *name != '.')
		return true;
	if (!lines_open(&in, name, e))
		return false;
	c->values = hash_new();
	while (ok && lines_next(&in, &line))
		ok = read_line(c, &in, line, e);
	if (!lines_close(&in) && ok)
		ok = err_temp(e, "error reading %s", name);
	if (!ok)
		table_conf_close(c);
	return ok;
}

void
table_conf_close(struct table_conf *c)
{
	if (c->values != NULL)
		hash_free(&c->values, NULL);
}

bool
table_conf_read(struct map *m, struct arena *mem, bool (*configure)(struct map *, struct table_conf *, struct err *), struct err *e)
{
	struct table_conf c;
	bool ok = table_conf_open(&c, m->name, mem, e);

	if (ok) {
		ok = configure(m, &c, e);
		table_conf_close(&c);
	}
	if (!ok)
		m->type->close(m);
	return ok;
}

/* How messages call a parameter: with the file in front, or by its name in main.cf. */
static const char *
title(const struct table_conf *c, const char *param)
{
	return c->values != NULL ? param : arena_printf(c->mem, "%s_%s", c->name, param);
}

static const char *
prefix(const struct table_conf *c)
{
	return c->values != NULL ? arena_printf(c->mem, "%s: ", c->name) : "";
}

static const char *
raw(struct table_conf *c, const char *param)
{
	const char *text;

	if (c->values != NULL)
		return hash_get(c->values, span_str(param));
	text = title(c, param);
	if (conf_raw(text) == NULL)
		return NULL;
	text = conf_value(text);
	return text != NULL ? span_cstr(span_str(text), c->mem) : NULL;
}

static void
complain(struct table_conf *c, const struct err *e)
{
	if (c->error.kind == ERR_NONE)
		c->error = *e;
}

bool
table_conf_has(struct table_conf *c, const char *param)
{
	return raw(c, param) != NULL;
}

const char *
table_conf_str(struct table_conf *c, const char *param, const char *def, size_t min)
{
	const char *text = raw(c, param);
	struct err e;

	if (text == NULL)
		text = def;
	if (min > 0 && (text == NULL || *text == '\0')) {
		(void)err_perm(&e, "%sbad string length 0 < %zu: %s = ", prefix(c), min, title(c, param));
		complain(c, &e);
		return "";
	}
	return text;
}

int
table_conf_int(struct table_conf *c, const char *param, int def, int min, int max)
{
	const char *text = raw(c, param);
	int64_t n;
	struct err e = {0};

	if (text == NULL)
		return def;
	if (!span_to_i64(span_trim(span_str(text)), &n) || n > INT_MAX || n < INT_MIN)
		(void)err_perm(&e, "%sbad numerical configuration: %s = %s", prefix(c), title(c, param), text);
	else if (n < min)
		(void)err_perm(&e, "%sinvalid %s parameter value %d < %d", prefix(c), title(c, param), (int)n, min);
	else if (max > 0 && n > max)
		(void)err_perm(&e, "%sinvalid %s parameter value %d > %d", prefix(c), title(c, param), (int)n, max);
	else
		return (int)n;
	complain(c, &e);
	return def;
}

bool
table_conf_bool(struct table_conf *c, const char *param, bool def)
{
	const char *text = raw(c, param);
	struct err e = {0};

	if (text == NULL)
		return def;
	if (span_iis(span_str(text), "yes"))
		return true;
	if (!span_iis(span_str(text), "no")) {
		(void)err_perm(&e, "%sbad boolean configuration: %s = %s", prefix(c), title(c, param), text);
		complain(c, &e);
	}
	return false;
}

bool
table_conf_ok(const struct table_conf *c, struct err *e)
{
	if (c->error.kind == ERR_NONE)
		return true;
	if (e != NULL)
		*e = c->error;
	return false;
}
