/*
 * conf_fields.c - parameter texts to values in struct conf, with Postfix's checks and error texts.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "conf/conf.h"
#include "conf/conf_internal.h"
#include "conf/param.h"

bool
conf_parse_bool(const char *name, const char *text, bool *value, struct err *e)
{
	*value = strcasecmp(text, "yes") == 0;
	if (*value || strcasecmp(text, "no") == 0)
		return true;
	return err_perm(e, "bad boolean configuration: %s = %s", name, text);
}

bool
conf_parse_long(const char *name, const char *text, long min, long max, long *value, struct err *e)
{
	char *end;

	errno = 0;
	*value = strtol(text, &end, 10);
	if (*text == '\0' || *end != '\0' || errno == ERANGE)
		return err_perm(e, "bad numerical configuration: %s = %s", name, text);
	if (min != 0 && *value < min)
		return err_perm(e, "invalid %s parameter value %ld < %ld", name, *value, min);
	if (max != 0 && *value > max)
		return err_perm(e, "invalid %s parameter value %ld > %ld", name, *value, max);
	return true;
}

static bool
parse_int(const char *name, const char *text, long min, long max, int *value, struct err *e)
{
	long wide;

	if (!conf_parse_long(name, text, min, max, &wide, e))
		return false;
	if (wide < INT_MIN || wide > INT_MAX)
		return err_perm(e, "bad numerical configuration: %s = %s", name, text);
	*value = (int)wide;
	return true;
}

static int
unit_seconds(char unit)
{
	switch (unit) {
	case 's':
		return 1;
	case 'm':
		return 60;
	case 'h':
		return 60 * 60;
	case 'd':
		return 24 * 60 * 60;
	case 'w':
		return 7 * 24 * 60 * 60;
	default:
		return 0;
	}
}

bool
conf_parse_time(struct span text, char default_unit, int *seconds)
{
	uint64_t number = 0;
	int unit;

	(void)span_take_byte(&text, '+');
	/* A unit alone is none of them; only the first character behind the digits counts: "5days". */
	if (text.n == 0 || (ascii_digit(*text.p) && !span_take_u64(&text, &number)))
		return false;
	unit = unit_seconds(text.n > 0 ? *text.p : default_unit);
	if (unit == 0 || number > (uint64_t)(INT_MAX / unit) || (unit > 1 && number == (uint64_t)(INT_MAX / unit)))
		return false;
	*seconds = (int)number * unit;
	return true;
}

static bool
parse_time(const char *name, const char *text, const char *def, long min, long max, int *value, struct err *e)
{
	const size_t n = strlen(def);
	const char unit = n > 0 && ascii_alpha(def[n - 1]) ? def[n - 1] : 's';

	if (!conf_parse_time(span_str(text), unit, value))
		return err_perm(e, "parameter %s: bad time value or unit: %s", name, text);
	if (min != 0 && *value < min)
		return err_perm(e, "invalid %s: %d (min %ld)", name, *value, min);
	if (max != 0 && *value > max)
		return err_perm(e, "invalid %s: %d (max %ld)", name, *value, max);
	return true;
}

static bool
check_length(const struct param *p, const char *text, struct err *e)
{
	const size_t n = strlen(text);
	const bool raw = p->type == PARAM_TYPE_RAW;

	if (p->min > 0 && n < (size_t)p->min)
		return err_perm(e, "bad string length %s%zu < %ld%s: %s = %s", raw ? "(" : "", n, p->min, raw ? ")" : "",
		    p->name, text);
	if (p->max > 0 && n > (size_t)p->max)
		return err_perm(e, "bad string length %s%zu > %ld%s: %s = %s", raw ? "(" : "", n, p->max, raw ? ")" : "",
		    p->name, text);
	return true;
}

static bool
store_at(const struct param *p, const char *text, void *field, struct err *e)
{
	switch (p->type) {
	case PARAM_TYPE_BOOL:
	case PARAM_TYPE_NBOOL:
		return conf_parse_bool(p->name, text, field, e);
	case PARAM_TYPE_INT:
	case PARAM_TYPE_NINT:
		return parse_int(p->name, text, p->min, p->max, field, e);
	case PARAM_TYPE_LONG:
		return conf_parse_long(p->name, text, p->min, p->max, field, e);
	case PARAM_TYPE_TIME:
		return parse_time(p->name, text, p->def, p->min, p->max, field, e);
	case PARAM_TYPE_STRING:
	case PARAM_TYPE_ENUM:
	case PARAM_TYPE_RAW:
	case PARAM_TYPE_COMPUTED:
		*(const char **)field = text;
		return check_length(p, text, e);
	}
	return false;
}

static bool
store(const struct param *p, const char *text, struct err *e)
{
	return store_at(p, text, (char *)&conf + p->offset, e);
}

bool
param_check_value(const struct param *p, const char *text, struct err *e)
{
	union {
		bool yes;
		int number;
		long large;
		const char *text;
	} ignored;

	return store_at(p, text, &ignored, e);
}

/* A program is not stopped by a parameter that it does not read. */
static void
store_default(const struct param *p)
{
	const char *text = conf_default(p->name);
	struct buf out = {0};

	if (text == NULL || (p->type != PARAM_TYPE_RAW && !conf_expand_quietly(text, &out)))
		text = "";
	else if (p->type != PARAM_TYPE_RAW)
		text = conf_keep(buf_cstr(&out));
	(void)store(p, text, NULL);
	buf_free(&out);
}

/* Defaults are made with it: it must be right before anything else. */
static bool
check_level(struct err *e)
{
	const char *level = conf_value("compatibility_level");
	int ignored;

	if (level == NULL)
		return err_perm(e, "dictionary mail_dict: macro processing error");
	if (!conf_compare_levels(level, "0", &ignored))
		return err_perm(e, "malformed compatibility level syntax: \"%s\"", level);
	return true;
}

bool
conf_fields_load(const char *program, struct err *e)
{
	size_t n;
	const struct param *table = param_all(&n);

	if (!check_level(e))
		return false;
	for (size_t i = 0; i < n; i++) {
		const struct param *p = &table[i];
		const bool strict = param_read_by(p, program);
		const char *text = strict ? conf_value(p->name) : conf_value_quietly(p->name);

		if (text == NULL && strict)
			return err_perm(e, "dictionary mail_dict: macro processing error");
		if (text != NULL && store(p, text, strict ? e : NULL))
			continue;
		if (strict)
			return false;
		store_default(p);
	}
	return true;
}

void
conf_use_lmtp(void)
{
	static const char *const renamed[][2] = {
		{ "lmtp_lhlo_name", "smtp_helo_name" },
		{ "lmtp_lhlo_timeout", "smtp_helo_timeout" },
		{ "lmtp_discard_lhlo_keywords", "smtp_discard_ehlo_keywords" },
		{ "lmtp_discard_lhlo_keyword_address_maps", "smtp_discard_ehlo_keyword_address_maps" },
	};
	size_t n;
	const struct param *table = param_all(&n);

	for (size_t i = 0; i < n; i++) {
		const struct param *to = table[i].twin != NULL ? param_find(table[i].twin) : NULL;

		if (to != NULL)
			(void)store(to, conf_value(table[i].name), NULL);
	}
	for (size_t i = 0; i < sizeof renamed / sizeof renamed[0]; i++)
		(void)store(param_find(renamed[i][1]), conf_value(renamed[i][0]), NULL);
}

static bool
take_level(struct span *in, long *number)
{
	uint64_t n;

	if (!span_take_u64(in, &n) || n > INT_MAX)
		return false;
	*number = (long)n;
	return true;
}

/* major[.minor[.patch]] */
static bool
parse_level(const char *text, long level[3])
{
	struct span in = span_str(text);

	level[0] = level[1] = level[2] = 0;
	for (int i = 0; i < 3; i++) {
		if (!take_level(&in, &level[i]))
			return false;
		if (in.n == 0)
			return true;
		if (!span_take_byte(&in, '.'))
			return false;
	}
	return false;
}

bool
conf_compare_levels(const char *a, const char *b, int *result)
{
	long x[3], y[3];

	if (!parse_level(a, x) || !parse_level(b, y))
		return false;
	*result = 0;
	for (int i = 0; i < 3 && *result == 0; i++)
		*result = (x[i] > y[i]) - (x[i] < y[i]);
	return true;
}

bool
conf_level_below(const char *level)
{
	int result;

	return conf_compare_levels(conf.compatibility_level, level, &result) && result < 0;
}

bool
conf_service_int(const char *service, const char *suffix, int *value, struct err *e)
{
	struct buf name = {0};
	size_t len;
	const struct param_family *f;
	const struct param *p;
	const char *text = conf_service_str(service, suffix);
	bool ok;

	buf_printf(&name, "%s%s", service, suffix);
	f = param_family_find(buf_cstr(&name), &len);
	p = param_find(buf_cstr(&name));
	if (text == NULL || (f == NULL && p == NULL))
		ok = err_perm(e, "dictionary mail_dict: macro processing error");
	else if ((p != NULL ? p->type : f->type) == PARAM_TYPE_TIME)
		ok = parse_time(buf_cstr(&name), text, "s", p != NULL ? p->min : f->min, p != NULL ? p->max : f->max, value, e);
	else
		ok = parse_int(buf_cstr(&name), text, p != NULL ? p->min : f->min, p != NULL ? p->max : f->max, value, e);
	buf_free(&name);
	return ok;
}

const char *
conf_service_str(const char *service, const char *suffix)
{
	struct buf name = {0}, out = {0};
	size_t len;
	const struct param_family *f;
	const char *text;

	buf_printf(&name, "%s%s", service, suffix);
	text = conf_value(buf_cstr(&name));
	f = param_family_find(buf_cstr(&name), &len);
	if (text == NULL && f != NULL && conf_raw(buf_cstr(&name)) == NULL && conf_expand(f->def, &out, NULL))
		text = conf_keep(buf_cstr(&out));
	buf_free(&name);
	buf_free(&out);
	return text;
}
