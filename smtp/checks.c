/*
 * checks.c - smtp_header_checks and its relatives: header_checks(5) of mail that leaves. Text may be changed or dropped;
 * what became of the message is decided already, so no other action is known here.
 * Tables are the administrator's; the text that they copy into results ($1) is a stranger's.
 *
 * SPDX-License-Identifier: ISC
 */
#include "base/log.h"
#include "conf/conf.h"
#include "smtp/content.h"
#include "smtp/smtp.h"

#define LINE_SHOWN	60		/* bytes of the header or line in the log */

static struct checks checks;

static void
log_action(struct check *c, const char *action)
{
	const struct outbound *o = c->owner;

	log_info("%.*s: %s: %s %.*s%s%.*s", SPAN_ARG(o->d->queue_id), action, c->where, SPAN_ARG(span_to(c->line, LINE_SHOWN)),
	    c->arg.n > 0 ? ": " : "", SPAN_ARG(c->arg));
}

static void
prepend(struct check *c, struct span lines)
{
	outbound_lines(c->owner, lines);
}

void
smtp_checks_init(void)
{
	static const struct check_action none = { NULL, NULL };
	static const struct check_ops ops = { .more = &none, .unknown = "unsupported", .log = log_action, .prepend = prepend };
	static const char *const names[2][CHECK_KINDS] = {
		{ "smtp_header_checks", "smtp_mime_header_checks", "smtp_nested_header_checks", "smtp_body_checks" },
		{ "lmtp_header_checks", "lmtp_mime_header_checks", "lmtp_nested_header_checks", "lmtp_body_checks" },
	};
	const char *const values[CHECK_KINDS] = { conf.smtp_header_checks, conf.smtp_mime_header_checks,
	    conf.smtp_nested_header_checks, conf.smtp_body_checks };

	checks_open(&checks, &ops, names[smtp_is_lmtp], values);
}

bool
smtp_checks_wanted(enum check_kind kind)
{
	return checks_has(&checks, kind);
}

bool
smtp_checks_any(void)
{
	for (int kind = 0; kind < CHECK_KINDS; kind++)
		if (checks_has(&checks, (enum check_kind)kind))
			return true;
	return false;
}

enum check_verdict
smtp_check(struct outbound *o, enum check_kind kind, struct span *text)
{
	enum check_verdict verdict;

	if (!checks_has(&checks, kind))
		return CHECK_KEEP;
	arena_reset(o->work);
	verdict = checks_text(&checks, kind, o, o->work, text);
	if (verdict == CHECK_FAILED)
		log_warning("%.*s: smtp %s checks lookup error", SPAN_ARG(o->d->queue_id), kind == CHECK_BODY ? "body" : "header");
	return verdict;
}
