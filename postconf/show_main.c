/*
 * show_main.c - parameters of main.cf, with their values or defaults.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "conf/expand.h"
#include "conf/param.h"
#include "postconf/postconf.h"

const char *
setting_of(const char *name)
{
	return HAS(OPT_d) ? NULL : conf_raw(name);
}

const char *
default_of(const char *name)
{
	const char *text = conf_default(name);
	const struct row *row;
	struct err e = {0};

	if (!conf_defaults_ok(&e))
		log_fatal("%s", e.text);
	if (text != NULL)
		return text;
	row = row_find(name);
	return row != NULL ? row->def : NULL;
}

/* In the view of a service its own settings come first, and it knows its name. */
static const char *
look_up(const char *name, enum expand_mode mode, void *arg)
{
	const struct entry *service = arg;
	const char *text;

	(void)mode;
	if (service != NULL) {
		for (size_t i = 0; i < service->settings.n; i++) {
			const struct setting *s = VEC_AT(&service->settings, struct setting, i);

			if (strcmp(s->name, name) == 0)
				return s->value;
		}
		if (strcmp(name, "service_name") == 0)
			return service->name;
		if (strcmp(name, "process_name") == 0)
			return entry_word(service, ENTRY_FIELDS - 1);
	}
	text = setting_of(name);
	return text != NULL ? text : default_of(name);
}

static const char *
expand_kept(const struct entry *service, const char *text, unsigned flags)
{
	struct buf out = {0};
	const char *kept;

	if (strchr(text, '$') == NULL)
		return text;
	if ((expand(span_str(text), EXPAND_RECURSE | flags, look_up, (void *)(uintptr_t)service, &out) & EXPAND_ERROR) &&
	    (flags & EXPAND_QUIET) == 0)
		log_fatal("macro processing error");
	kept = span_cstr(buf_view(&out), memory);
	buf_free(&out);
	return kept;
}

const char *
expanded(const struct entry *service, const char *text)
{
	return expand_kept(service, text, 0);
}

const char *
expanded_quietly(const struct entry *service, const char *text)
{
	return expand_kept(service, text, EXPAND_QUIET);
}

bool
is_raw(const char *name)
{
	const struct param *p = param_find(name);

	return p != NULL && p->type == PARAM_TYPE_RAW;
}

const char *
expanded_value(const struct entry *service, const char *name, const char *text)
{
	return is_raw(name) ? text : expanded(service, text);
}

static void
show_row(const struct row *row)
{
	const char *value = setting_of(row->name);

	if (value == NULL && HAS(OPT_n))
		return;
	if (value == NULL)
		value = default_of(row->name);
	if (value == NULL)
		return;
	print_setting(row->name, HAS(OPT_x) ? expanded_value(NULL, row->name, value) : value);
}

static void
show_named(const char *name)
{
	const struct row *row = row_find(name);

	if (row == NULL && !HAS(OPT_d) && is_legacy_name(name)) {
		if (!HAS(OPT_n))
			print_setting(name, "");
	} else if (row == NULL) {
		log_warning("%s: unknown parameter", name);
	} else {
		show_row(row);
	}
}

void
show_parameters(char **names)
{
	if (*names != NULL) {
		for (; *names != NULL; names++)
			show_named(*names);
		return;
	}
	for (size_t i = 0; i < row_count(); i++)
		if (row_at(i)->class & classes)
			show_row(row_at(i));
}

/* For those who work on this suite: what no code acts upon yet. */
void
show_later(void)
{
	size_t n;
	const struct param *all = param_all(&n);

	for (size_t i = 0; i < n; i++)
		if (param_is_later(&all[i]))
			print_line(all[i].name);
	print_flush();
}
