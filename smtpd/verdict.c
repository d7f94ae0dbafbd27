/*
 * verdict.c - how restrictions say no: the reply, its log line, and what warn_if_reject, defer_if_permit and
 * defer_if_reject make of it.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "smtpd/restrict.h"

#define REPLY_MAX	510		/* bytes of a reply that a restriction makes */

/* "550 5.1.1 text": cut, printable, the class of the status forced to that of the code. */
static const char *
make_reply(struct smtpd *s, int code, const char *dsn, const char *fmt, va_list ap)
{
	char text[REPLY_MAX + 1];
	int n;

	if (code < 400 || code > 599 || strlen(dsn) < 5) {
		log_warning("SMTP reply code configuration error: %d %s", code, dsn);
		return "450 4.7.1 Service unavailable";
	}
	n = snprintf(text, sizeof text, "%d %d%s ", code, code / 100, dsn + 1);
	(void)vsnprintf(text + n, sizeof text - (size_t)n, fmt, ap);
	for (char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p < 32 || *p == 127)
			*p = ' ';
	if (conf.soft_bounce && text[0] == '5') {
		text[0] = '4';
		text[4] = '4';
	}
	return span_cstr(span_str(text), s->mem);
}

static enum verdict
refuse(struct check *c, int kind, const char *reply)
{
	static const unsigned trouble[] = { [ERROR_POLICY] = TROUBLE_POLICY, [ERROR_BOUNCE] = TROUBLE_BOUNCE, [ERROR_ACCESS] = TROUBLE_POLICY,
	    [ERROR_CONFIG] = TROUBLE_SOFTWARE, [ERROR_LOOKUP] = TROUBLE_DATA };
	struct smtpd *s = c->s;

	const bool warn_only = s->warn_if_reject > 0 && kind < ERROR_ACCESS;

	if (!warn_only || conf.smtpd_warn_if_reject_is_error)
		smtpd_trouble(s, trouble[kind]);
	if (warn_only) {
		smtpd_log_event(s, "reject_warning", reply);
		return DUNNO;
	}
	if (reply[0] == '5' && s->defer_reject.reply != NULL)
		reply = s->defer_reject.reply;
	smtpd_log_event(s, "reject", reply);
	s->reply = reply;
	return REJECT;
}

enum verdict
check_reject(struct check *c, int kind, int code, const char *dsn, const char *fmt, ...)
{
	va_list ap;
	const char *reply;

	va_start(ap, fmt);
	reply = make_reply(c->s, code, dsn, fmt, ap);
	va_end(ap);
	return refuse(c, kind, reply);
}

static enum verdict
both_armed(const struct smtpd *s)
{
	return s->defer_permit.reply != NULL && s->defer_reject.reply != NULL ? STOP : DUNNO;
}

enum verdict
check_defer_permit(struct check *c, int code, const char *dsn, const char *fmt, ...)
{
	struct smtpd *s = c->s;
	va_list ap;
	const char *reply;

	va_start(ap, fmt);
	reply = make_reply(s, code, dsn, fmt, ap);
	va_end(ap);
	if (s->warn_if_reject == 0 || conf.smtpd_warn_if_reject_is_error)
		smtpd_trouble(s, TROUBLE_POLICY);
	if (s->warn_if_reject > 0) {
		smtpd_log_event(s, "reject_warning", reply);
		return DUNNO;
	}
	if (s->defer_permit.reply == NULL)
		s->defer_permit.reply = reply;
	return both_armed(s);
}

enum verdict
check_defer_reject(struct check *c, int code, const char *dsn, const char *fmt, ...)
{
	struct smtpd *s = c->s;
	va_list ap;

	if (s->defer_reject.reply != NULL)
		return both_armed(s);
	va_start(ap, fmt);
	s->defer_reject.reply = make_reply(s, code, dsn, fmt, ap);
	va_end(ap);
	return both_armed(s);
}

enum verdict
check_config_error(struct check *c)
{
	return check_reject(c, ERROR_CONFIG, 451, "4.3.5", "Server configuration error");
}

enum verdict
check_lookup_failed(struct check *c, const char *address)
{
	return check_reject(c, ERROR_LOOKUP, 451, "4.3.0", "<%s>: Temporary lookup failure", address);
}

bool
tempfail_is_permit(const char *action)
{
	return strcmp(action, "defer") != 0;
}

enum verdict
check_permit(struct check *c, const struct rule *r, const char *class, const char *name)
{
	struct span in = span_str(conf.smtpd_log_access_permit_actions), word;
	const char *action = r->r->name;

	if (c->s->defer_permit.reply != NULL)
		return OK;
	while (span_take_word(&in, ", \t\r\n", &word))
		if (span_iis(word, action) || span_iis(word, "static:all")) {
			smtpd_log_event(c->s, "permit", arena_printf(c->s->work, "action=%s for %s=%s ", action, class, name));
			break;
		}
	return OK;
}
