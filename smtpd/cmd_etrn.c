/*
 * cmd_etrn.c - ETRN (RFC 1985): a destination asks for its mail. flush(8) knows which messages that is.
 *
 * SPDX-License-Identifier: ISC
 */
#include "base/log.h"
#include "conf/conf.h"
#include "mail/flush_client.h"
#include "smtp/address.h"
#include "smtpd/restrict.h"
#include "smtpd/smtpd.h"

static bool
refuse(struct smtp_server *server, const char *reply)
{
	smtp_server_reply(server, "%s", reply);
	return false;
}

static void
queue_for(struct smtpd *s, struct smtp_server *server)
{
	switch (s->stand_alone ? FLUSH_FAILED : flush_site(span_str(s->etrn))) {
	case FLUSH_OK:
		smtp_server_reply(server, "250 Queuing started");
		return;
	case FLUSH_BAD:
		log_warning("bad ETRN %s... from %s", s->etrn, s->client.id);
		smtp_server_reply(server, "458 Unable to queue messages");
		return;
	case FLUSH_DENIED:
		log_warning("reject: ETRN %s... from %s", s->etrn, s->client.id);
		smtp_server_reply(server, "459 <%s>: service unavailable", s->etrn);
		return;
	default:
		smtp_server_reply(server, "458 Unable to queue messages");
	}
}

bool
cmd_etrn(struct smtp_server *server, struct span args)
{
	struct smtpd *s = smtpd_of(server);
	struct span word, more, host;
	const char *reply;

	if (conf.smtpd_helo_required && s->helo == NULL)
		return refuse(server, "503 Error: send HELO/EHLO first");
	if (s->in_mail)
		return refuse(server, "503 Error: MAIL transaction in progress");
	if (!smtp_take_word(&args, &word) || smtp_take_word(&args, &more))
		return refuse(server, "500 Syntax: ETRN domain");
	if (word.p[0] == '@' || word.p[0] == '#')
		word = span_from(word, 1);
	s->etrn = span_cstr(word, s->work);
	if (!address_hostname_ok(word) && !address_literal_take(word, &host)) {
		log_warning("bad ETRN %s... from %s", span_cstr(span_printable(word, s->work), s->work), s->client.id);
		s->etrn = NULL;
		return refuse(server, "501 Error: invalid parameter syntax");
	}
	smtpd_trouble(s, 0);
	reply = check_etrn(s);
	if (reply == NULL)
		queue_for(s, server);
	else
		smtp_server_reply(server, "%s", reply);
	s->etrn = NULL;
	return false;
}
