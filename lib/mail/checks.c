/*
 * checks.c - header_checks, body_checks and their relatives: what a table says of a header or a line, and what is done.
 * Tables are the administrator's; the text that they copy into results ($1) is a stranger's.
 *
 * SPDX-License-Identifier: ISC
 */
#include "base/log.h"
#include "mail/checks.h"
#include "smtp/header.h"

void
checks_open(struct checks *c, const struct check_ops *ops, const char *const names[CHECK_KINDS], const char *const values[CHECK_KINDS])
{
	c->ops = ops;
	for (int kind = 0; kind < CHECK_KINDS; kind++)
		c->tables[kind] = maps_open(names[kind], values[kind], 0);
}

bool
checks_has(const struct checks *c, enum check_kind kind)
{
	return maps_count(c->tables[kind]) > 0;
}

/* --- actions --- */

static bool
is_header_text(const struct check *c)
{
	return c->where[0] != 'h' || header_name_length(c->arg) > 0;
}

static enum check_verdict
do_warn(struct check *c)
{
	c->ops->log(c, "warning");
	return CHECK_KEEP;
}

static enum check_verdict
do_info(struct check *c)
{
	c->ops->log(c, "info");
	return CHECK_KEEP;
}

static enum check_verdict
do_prepend(struct check *c)
{
	if (c->arg.n == 0) {
		log_warning("PREPEND action without text in %s map", c->table);
	} else if (!is_header_text(c)) {
		log_warning("bad PREPEND header text \"%.*s\" in %s map -- need \"headername: headervalue\"", SPAN_ARG(c->arg), c->table);
	} else {
		c->ops->log(c, "prepend");
		c->ops->prepend(c, c->arg);
	}
	return CHECK_KEEP;
}

static enum check_verdict
do_replace(struct check *c)
{
	if (c->arg.n == 0) {
		log_warning("REPLACE action without text in %s map", c->table);
		return CHECK_KEEP;
	}
	if (!is_header_text(c)) {
		log_warning("bad REPLACE header text \"%.*s\" in %s map -- need \"headername: headervalue\"", SPAN_ARG(c->arg), c->table);
		return CHECK_KEEP;
	}
	c->ops->log(c, "replace");
	*c->text = c->arg;
	return CHECK_REPLACE;
}

static enum check_verdict
do_strip(struct check *c)
{
	c->ops->log(c, "strip");
	return CHECK_DROP;
}

static enum check_verdict
do_ignore(struct check *c)
{
	(void)c;
	return CHECK_DROP;
}

static enum check_verdict
do_nothing(struct check *c)
{
	(void)c;
	return CHECK_KEEP;
}

static const struct check_action actions[] = {
	{ "WARN", do_warn }, { "INFO", do_info }, { "PREPEND", do_prepend }, { "REPLACE", do_replace }, { "STRIP", do_strip },
	{ "IGNORE", do_ignore }, { "DUNNO", do_nothing }, { "OK", do_nothing }, { NULL, NULL },
};

static const struct check_action *
find(const struct check_action *rows, struct span name)
{
	for (; rows->name != NULL; rows++)
		if (span_iis(name, rows->name))
			return rows;
	return NULL;
}

static enum check_verdict
act(struct check *c, struct span value)
{
	const struct check_action *action;
	struct span name;

	c->arg = span_trim(value);
	if (!span_take_word(&c->arg, " \t", &name))
		return CHECK_KEEP;
	c->arg = span_trim(c->arg);
	if ((action = find(c->ops->more, name)) != NULL || (action = find(actions, name)) != NULL)
		return action->fn(c);
	log_warning("%s command in %s map: %.*s", c->ops->unknown, c->table, SPAN_ARG(value));
	return CHECK_KEEP;
}

enum check_verdict
checks_text(const struct checks *checks, enum check_kind kind, void *owner, struct arena *mem, struct span *text)
{
	struct check c = { .ops = checks->ops, .owner = owner, .table = maps_title(checks->tables[kind]),
	    .where = kind == CHECK_BODY ? "body" : "header", .line = *text, .text = text };
	struct span value;

	switch (maps_get(checks->tables[kind], *text, 0, mem, &value, NULL)) {
	case MAP_FOUND:
		return act(&c, value);
	case MAP_NOT_FOUND:
		break;
	case MAP_FAILED:
		return CHECK_FAILED;
	}
	return CHECK_KEEP;
}
