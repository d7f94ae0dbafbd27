/*
 * explain.c - all that is known about a parameter: type, default, range, who reads it, what it is for.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "conf/param.h"
#include "postconf/postconf.h"

static const char *const type_name[] = {
	[PARAM_TYPE_BOOL] = "yes or no", [PARAM_TYPE_INT] = "number", [PARAM_TYPE_LONG] = "number",
	[PARAM_TYPE_TIME] = "time: a number and one of s, m, h, d, w", [PARAM_TYPE_STRING] = "text",
	[PARAM_TYPE_ENUM] = "one of some words", [PARAM_TYPE_RAW] = "text with $names of its own",
	[PARAM_TYPE_NBOOL] = "yes or no", [PARAM_TYPE_NINT] = "number", [PARAM_TYPE_COMPUTED] = "text",
};

static void
line(const char *label, const char *text)
{
	print_line(arena_printf(memory, "    %-12s %s", label, *text != '\0' ? text : "(empty)"));
}

static void
show_range(enum param_type type, long min, long max)
{
	const bool text = type == PARAM_TYPE_STRING || type == PARAM_TYPE_ENUM || type == PARAM_TYPE_RAW ||
	    type == PARAM_TYPE_COMPUTED;
	const char *unit = text ? " bytes" : type == PARAM_TYPE_TIME ? " seconds" : "";

	if (min != 0 && max != 0)
		line("range", arena_printf(memory, "%ld to %ld%s", min, max, unit));
	else if (min != 0)
		line("range", arena_printf(memory, "at least %ld%s", min, unit));
	else if (max != 0)
		line("range", arena_printf(memory, "at most %ld%s", max, unit));
}

static void
show_value(const char *name, const char *def, bool raw)
{
	const char *text = conf_raw(name);

	line("default", def);
	if (!raw && strchr(def, '$') != NULL)
		line("that is", expanded_quietly(NULL, def));
	if (text == NULL)
		return;
	line("set to", text);
	if (!raw && strchr(text, '$') != NULL)
		line("that is", expanded_quietly(NULL, text));
}

static void
show_deprecated(const char *name)
{
	bool removed = false;
	const char *instead = deprecated_instead(name, &removed);

	if (instead != NULL)
		line("deprecated", instead);
}

static void
explain_parameter(const struct param *p)
{
	const char *def = default_of(p->name);

	line("meaning", p->meaning);
	line("type", type_name[p->type]);
	show_value(p->name, def != NULL ? def : "", p->type == PARAM_TYPE_RAW);
	show_range(p->type, p->min, p->max);
	line("read by", *p->readers != '\0' ? p->readers : "every program");
	show_deprecated(p->name);
	if (param_is_later(p))
		line("status", "known, but not acted upon yet");
}

static void
explain_family(const char *name, const struct param_family *f)
{
	line("meaning", f->meaning);
	line("type", type_name[f->type]);
	show_value(name, f->def, false);
	show_range(f->type, f->min, f->max);
	line("read by", "qmgr, or the service itself");
}

static void
explain_user(const char *name)
{
	line("meaning", "defined in main.cf, and used there or in master.cf as $name or as a restriction class");
	show_value(name, "", false);
}

int
explain(char **names)
{
	int status = 0;
	size_t unused;

	if (*names == NULL)
		log_fatal("--explain requires parameter names");
	for (; *names != NULL; names++) {
		const struct param *p = param_find(*names);
		const struct row *row = row_find(*names);
		const char *meant = p == NULL && row == NULL && !is_legacy_name(*names) ? nearest_name(*names) : NULL;

		if (p == NULL && row == NULL && !is_legacy_name(*names)) {
			log_error("%s: unknown parameter%s", *names,
			    meant != NULL ? arena_printf(memory, "; did you mean %s?", meant) : "");
			status = 1;
			continue;
		}
		print_line(*names);
		if (p != NULL)
			explain_parameter(p);
		else if (row != NULL && row->def != NULL)
			explain_family(*names, param_family_find(*names, &unused));
		else if (is_legacy_name(*names))
			show_deprecated(*names);
		else
			explain_user(*names);
	}
	print_flush();
	return status;
}
