/*
 * xforward.c - XFORWARD: tells a server that offers it where a message came from first (smtp_send_xforward_command).
 * Values are strangers' text: they travel as xtext.
 *
 * SPDX-License-Identifier: ISC
 */
#include "base/log.h"
#include "conf/conf.h"
#include "smtp/command.h"
#include "smtp/smtp.h"

static void
put(struct buf *line, const struct smtp_session *s, unsigned bit, const char *name, struct span value)
{
	if ((s->xforward & bit) != 0 && value.n > 0 && !span_iis(value, "unknown"))
		buf_printf(line, " %s=%.*s", name, SPAN_ARG(smtp_xtext_encode(value, s->d->mem)));
}

bool
smtp_send_xforward(struct smtp_session *s, int which)
{
	const struct delivery *d = s->d;
	struct buf line = {0};
	bool sent;

	if (!conf.smtp_send_xforward_command || (s->features & FEATURE_XFORWARD) == 0)
		return false;
	if (which == 0) {
		put(&line, s, XFORWARD_NAME, "NAME", d->client_name);
		put(&line, s, XFORWARD_ADDR, "ADDR", d->client_addr);
		put(&line, s, XFORWARD_PORT, "PORT", d->client_port);
	} else {
		put(&line, s, XFORWARD_PROTO, "PROTO", d->client_proto);
		put(&line, s, XFORWARD_HELO, "HELO", d->client_helo);
		put(&line, s, XFORWARD_IDENT, "IDENT", d->log_ident.n > 0 ? d->log_ident : d->queue_id);
		put(&line, s, XFORWARD_SOURCE, "SOURCE", span_is(d->rewrite_context, "remote") ? SPAN("REMOTE") : SPAN("LOCAL"));
	}
	sent = line.n > 0;
	if (sent)
		smtp_command(s, "XFORWARD%s", buf_cstr(&line));
	buf_free(&line);
	return sent;
}

bool
smtp_read_xforward(struct smtp_session *s, int which)
{
	static const char *const stages[] = { "sending XFORWARD name/address", "sending XFORWARD helo/protocol" };

	if (!smtp_read_reply(s, conf.smtp_xforward_timeout, stages[which]))
		return false;
	if (s->reply.code / 100 != 2)
		log_warning("host %s said: %.*s (in reply to %s command)", s->relay, SPAN_ARG(smtp_reply_text(s, s->d->mem)), stages[which] + 8);
	return true;
}
