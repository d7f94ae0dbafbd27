/*
 * cmd_vrfy.c - VRFY: the checks of RCPT, without a transaction.
 *
 * SPDX-License-Identifier: ISC
 */
#include "base/log.h"
#include "conf/conf.h"
#include "smtpd/restrict.h"
#include "smtpd/smtpd.h"

static bool
refuse(struct smtp_server *server, const char *reply)
{
	smtp_server_reply(server, "%s", reply);
	return false;
}

/* Here, as in the reference, a '<' that is not closed is a character of the address. */
static struct span
address_of(struct smtpd *s, struct span arg)
{
	if (arg.n > 0 && arg.p[0] == '<' && !span_has(arg, '>'))
		return span_str(arena_printf(s->work, "\\%.*s", SPAN_ARG(arg)));
	return arg;
}

bool
cmd_vrfy(struct smtp_server *server, struct span args)
{
	struct smtpd *s = smtpd_of(server);
	struct smtp_path path;
	struct span arg, word;
	bool utf8 = false, saved = s->smtputf8;
	const char *reply;

	if (conf.disable_vrfy_command)
		return refuse(server, "502 5.5.1 VRFY command is disabled");
	if (conf.smtpd_helo_required && s->helo == NULL)
		return refuse(server, "503 5.5.1 Error: send HELO/EHLO first");
	if (!smtp_take_word(&args, &arg))
		return refuse(server, conf.smtputf8_enable ? "501 5.5.4 Syntax: VRFY address [SMTPUTF8]" :
		    "501 5.5.4 Syntax: VRFY address");
	if (smtp_take_word(&args, &word)) {
		utf8 = conf.smtputf8_enable && span_iis(word, "SMTPUTF8") && !smtp_take_word(&args, &word);
		if (!utf8)
			return refuse(server, "501 5.1.3 Bad recipient address syntax");
	}
	if (smtpd_rate_exceeded(s, SMTPD_EVENT_RCPT)) {
		smtpd_trouble(s, TROUBLE_POLICY);
		smtp_server_reply(server, "450 4.7.1 Error: too many recipients from %s", s->client.address);
		return false;
	}
	if (!smtp_path_parse(address_of(s, arg), (utf8 ? SMTP_PATH_UTF8 : 0u) | (s->stand_alone ? SMTP_PATH_ANY_DOMAIN : 0u), s->work, &path)) {
		log_warning("Illegal address syntax from %s in VRFY command: %s", s->client.id,
		    span_cstr(span_printable(arg, s->work), s->work));
		return refuse(server, "501 5.1.3 Bad recipient address syntax");
	}
	if (!smtpd_rcpt_resolves(s, &path))
		return false;
	if (conf.strict_smtputf8 && !utf8 && !span_is_ascii(path.internal))
		return refuse(server, "553 5.6.7 Must declare SMTPUTF8 to send unicode address");
	s->recipient = span_cstr(path.internal, s->work);
	s->recipient_internal = path.internal;
	reply = check_rcpt(s);
	s->recipient = NULL;
	s->smtputf8 = saved;
	smtp_server_reply(server, "%s", reply != NULL ? reply : arena_printf(s->work, "252 2.0.0 %.*s", SPAN_ARG(arg)));
	return reply == NULL;
}
