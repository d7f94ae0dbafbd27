/*
 * checks.c - header_checks, body_checks and their relatives: the actions that only a message on its way into the queue
 * can have. Tables are the administrator's; the text that they copy into results ($1) is a stranger's.
 *
 * SPDX-License-Identifier: ISC
 */
#include "base/log.h"
#include "cleanup/cleanup.h"
#include "conf/conf.h"
#include "mail/delivery_log.h"
#include "mail/dsn.h"

#define LINE_SHOWN	200		/* bytes of the header or line in the log */

static struct checks checks;

bool
checks_wanted(const struct message *m, enum check_kind kind)
{
	return (m->flags & CLEANUP_FLAG_FILTER) != 0 && !m->no_checks && checks_has(&checks, kind);
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

static void
log_action(struct check *c, const char *action)
{
	log_check(c->owner, action, c->where, c->line, c->arg);
}

static enum check_verdict
do_reject(struct check *c)
{
	struct message *m = c->owner;
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
	const char *reason = arena_printf(m->mem, "%s %.*s", dsn_str(code, m->mem), SPAN_ARG(text));

	c->arg = span_str(reason);
	log_action(c, "reject");
	message_trouble(m, code.class == 4 ? CLEANUP_STAT_DEFER : CLEANUP_STAT_CONT, reason);
	m->no_checks = true;
	return CHECK_KEEP;
}

static enum check_verdict
do_filter(struct check *c)
{
	struct message *m = c->owner;

	if (c->arg.n == 0) {
		log_warning("missing FILTER command argument in %s map", c->table);
	} else if (!span_has(c->arg, ':')) {
		log_warning("bad FILTER command %.*s in %s -- need transport:destination", SPAN_ARG(c->arg), c->table);
	} else {
		m->filter = span_copy(c->arg, m->mem);
		log_action(c, "filter");
	}
	return CHECK_KEEP;
}

static enum check_verdict
do_pass(struct check *c)
{
	struct message *m = c->owner;

	log_action(c, "pass");
	m->no_checks = true;
	return CHECK_KEEP;
}

static enum check_verdict
do_discard(struct check *c)
{
	struct message *m = c->owner;

	log_action(c, "discard");
	m->discard = m->no_checks = true;
	return CHECK_KEEP;
}

static enum check_verdict
do_hold(struct check *c)
{
	struct message *m = c->owner;

	if ((m->flags & CLEANUP_FLAG_HOLD) == 0)
		log_action(c, "hold");
	m->flags |= CLEANUP_FLAG_HOLD;
	return CHECK_KEEP;
}

static enum check_verdict
do_redirect(struct check *c)
{
	struct message *m = c->owner;

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
	struct message *m = c->owner;

	if (!span_has(c->arg, '@')) {
		log_warning("bad BCC address \"%.*s\" in %s map -- need user@domain", SPAN_ARG(c->arg), c->table);
		return CHECK_KEEP;
	}
	log_action(c, "bcc");
	buf_span(&m->bcc, c->arg);
	buf_byte(&m->bcc, '\n');
	return CHECK_KEEP;
}

static const struct check_action actions[] = {
	{ "REJECT", do_reject }, { "FILTER", do_filter }, { "PASS", do_pass }, { "DISCARD", do_discard }, { "HOLD", do_hold },
	{ "REDIRECT", do_redirect }, { "BCC", do_bcc }, { NULL, NULL },
};

static void
prepend(struct check *c, struct span lines)
{
	content_put_lines(c->owner, lines);
}

void
checks_init(void)
{
	static const struct check_ops ops = { .more = actions, .unknown = "unknown", .log = log_action, .prepend = prepend };
	static const char *const names[CHECK_KINDS] = { "header_checks", "mime_header_checks", "nested_header_checks", "body_checks" };
	const char *const values[CHECK_KINDS] = { conf.header_checks, conf.mime_header_checks, conf.nested_header_checks,
	    conf.body_checks };

	checks_open(&checks, &ops, names, values);
}

enum check_verdict
check_text(struct message *m, enum check_kind kind, struct span *text)
{
	enum check_verdict verdict;

	if (!checks_wanted(m, kind))
		return CHECK_KEEP;
	arena_reset(m->work);
	verdict = checks_text(&checks, kind, m, m->work, text);
	if (verdict != CHECK_FAILED)
		return verdict;
	log_warning("%s: %s map lookup problem -- message not accepted, try again later", m->id, maps_title(checks.tables[kind]));
	message_trouble(m, CLEANUP_STAT_WRITE, NULL);
	return CHECK_KEEP;
}
