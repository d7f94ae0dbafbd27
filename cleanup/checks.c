/*
 * checks.c - header_checks, body_checks and their relatives: what a table says of a header or a line, and what is done.
 * Tables are the administrator's; the text that they copy into results ($1) is a stranger's.
 *
 * SPDX-License-Identifier: ISC
 */
#include "base/log.h"
#include "cleanup/cleanup.h"
#include "conf/conf.h"
#include "mail/delivery_log.h"
#include "mail/dsn.h"
#include "smtp/header.h"

#define LINE_SHOWN	200		/* bytes of the header or line in the log */

static struct maps *tables[CHECK_KINDS];

void
checks_init(void)
{
	tables[CHECK_HEADER] = maps_open("header_checks", conf.header_checks, 0);
	tables[CHECK_MIME] = maps_open("mime_header_checks", conf.mime_header_checks, 0);
	tables[CHECK_NESTED] = maps_open("nested_header_checks", conf.nested_header_checks, 0);
	tables[CHECK_BODY] = maps_open("body_checks", conf.body_checks, 0);
}

bool
checks_wanted(const struct message *m, enum check_kind kind)
{
	return (m->flags & CLEANUP_FLAG_FILTER) != 0 && !m->no_checks && maps_count(tables[kind]) > 0;
}

void
log_check(struct message *m, const char *action, const char *where, struct span line, struct span text)
{
	struct buf b = {0};

	buf_printf(&b, "%s: %s: %s %.*s from %.*s; from=<%s>", m->id, action, where, SPAN_ARG(span_to(line, LINE_SHOWN)),
	    SPAN_ARG(m->origin.n > 0 ? m->origin : SPAN("local")), log_address(m->sender, m->mem));
	if (m->last_rcpt.n > 0)
		buf_printf(&b, " to=<%s>", log_address(m->last_rcpt, m->mem));
	if (m->protocol.n > 0)
		buf_printf(&b, " proto=%.*s", SPAN_ARG(m->protocol));
	if (m->helo.n > 0)
		buf_printf(&b, " helo=<%.*s>", SPAN_ARG(m->helo));
	if (text.n > 0)
		buf_printf(&b, ": %.*s", SPAN_ARG(text));
	log_info("%s", buf_cstr(&b));
	buf_free(&b);
}

/* --- actions --- */

struct check {
	struct message *m;
	const char *table;		/* "header_checks" */
	const char *where;		/* "header", "body" */
	struct span line;		/* what was looked up */
	struct span arg;		/* behind the action's name */
	struct span *text;		/* for REPLACE */
};

static void
log_action(struct check *c, const char *action)
{
	log_check(c->m, action, c->where, c->line, c->arg);
}

static bool
is_header_text(const struct check *c)
{
	return c->where[0] != 'h' || header_name_length(c->arg) > 0;
}

static enum check_verdict
do_reject(struct check *c)
{
	struct dsn code = { 5, 7, 1 };
	struct span text = c->arg;

	if (dsn_take(&text, &code)) {
		text = span_trim(text);
		if (code.class != 4 && code.class != 5) {
			log_warning("bad DSN action in %.*s -- need 4.x.x or 5.x.x", SPAN_ARG(c->arg));
			code.class = 4;
		}
	}
	if (text.n == 0)
		text = SPAN("message content rejected");
	const char *reason = arena_printf(c->m->mem, "%s %.*s", dsn_str(code, c->m->mem), SPAN_ARG(text));

	c->arg = span_str(reason);
	log_action(c, "reject");
	message_trouble(c->m, code.class == 4 ? CLEANUP_STAT_DEFER : CLEANUP_STAT_CONT, reason);
	c->m->no_checks = true;
	return CHECK_KEEP;
}

static enum check_verdict
do_warn(struct check *c)
{
	log_action(c, "warning");
	return CHECK_KEEP;
}

static enum check_verdict
do_info(struct check *c)
{
	log_action(c, "info");
	return CHECK_KEEP;
}

static enum check_verdict
do_filter(struct check *c)
{
	if (c->arg.n == 0) {
		log_warning("missing FILTER command argument in %s map", c->table);
	} else if (!span_has(c->arg, ':')) {
		log_warning("bad FILTER command %.*s in %s -- need transport:destination", SPAN_ARG(c->arg), c->table);
	} else {
		c->m->filter = span_copy(c->arg, c->m->mem);
		log_action(c, "filter");
	}
	return CHECK_KEEP;
}

static enum check_verdict
do_pass(struct check *c)
{
	log_action(c, "pass");
	c->m->no_checks = true;
	return CHECK_KEEP;
}

static enum check_verdict
do_discard(struct check *c)
{
	log_action(c, "discard");
	c->m->discard = c->m->no_checks = true;
	return CHECK_KEEP;
}

static enum check_verdict
do_hold(struct check *c)
{
	if ((c->m->flags & CLEANUP_FLAG_HOLD) == 0)
		log_action(c, "hold");
	c->m->flags |= CLEANUP_FLAG_HOLD;
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
		log_action(c, "prepend");
		content_put_lines(c->m, c->arg);
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
	log_action(c, "replace");
	*c->text = c->arg;
	return CHECK_REPLACE;
}

static enum check_verdict
do_redirect(struct check *c)
{
	struct message *m = c->m;

	if (!span_has(c->arg, '@')) {
		log_warning("bad REDIRECT target \"%.*s\" in %s map -- need user@domain", SPAN_ARG(c->arg), c->table);
		return CHECK_KEEP;
	}
	log_action(c, "redirect");
	m->no_checks = true;
	(void)standard_address(m, span_copy(c->arg, m->mem), &m->redirect);
	return CHECK_KEEP;
}

static enum check_verdict
do_bcc(struct check *c)
{
	if (!span_has(c->arg, '@')) {
		log_warning("bad BCC address \"%.*s\" in %s map -- need user@domain", SPAN_ARG(c->arg), c->table);
		return CHECK_KEEP;
	}
	log_action(c, "bcc");
	buf_span(&c->m->bcc, c->arg);
	buf_byte(&c->m->bcc, '\n');
	return CHECK_KEEP;
}

static enum check_verdict
do_strip(struct check *c)
{
	log_action(c, "strip");
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

static const struct {
	const char *name;
	enum check_verdict (*fn)(struct check *);
} actions[] = {
	{ "REJECT", do_reject }, { "WARN", do_warn }, { "INFO", do_info }, { "FILTER", do_filter }, { "PASS", do_pass },
	{ "DISCARD", do_discard }, { "HOLD", do_hold }, { "PREPEND", do_prepend }, { "REPLACE", do_replace },
	{ "REDIRECT", do_redirect }, { "BCC", do_bcc }, { "STRIP", do_strip }, { "IGNORE", do_ignore }, { "DUNNO", do_nothing },
	{ "OK", do_nothing },
};

/* --- lookup --- */

static enum check_verdict
act(struct check *c, struct span value)
{
	struct span name;

	c->arg = span_trim(value);
	if (!span_take_word(&c->arg, " \t", &name))
		return CHECK_KEEP;
	c->arg = span_trim(c->arg);
	for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++)
		if (span_iis(name, actions[i].name))
			return actions[i].fn(c);
	log_warning("unknown command in %s map: %.*s", c->table, SPAN_ARG(value));
	return CHECK_KEEP;
}

enum check_verdict
check_text(struct message *m, enum check_kind kind, struct span *text)
{
	struct check c = { .m = m, .table = maps_title(tables[kind]), .where = kind == CHECK_BODY ? "body" : "header", .line = *text,
	    .text = text };
	struct span value;

	if (!checks_wanted(m, kind))
		return CHECK_KEEP;
	arena_reset(m->work);
	switch (maps_get(tables[kind], *text, 0, m->work, &value, NULL)) {
	case MAP_FOUND:
		return act(&c, value);
	case MAP_NOT_FOUND:
		break;
	case MAP_FAILED:
		log_warning("%s: %s map lookup problem -- message not accepted, try again later", m->id, c.table);
		message_trouble(m, CLEANUP_STAT_WRITE, NULL);
		break;
	}
	return CHECK_KEEP;
}
