/*
 * transaction.c - one mail transaction: its beginning at the first accepted recipient, its end.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "mail/space.h"
#include "smtpd/filter.h"
#include "smtpd/smtpd.h"

void
smtpd_mail_reset(struct smtpd *s)
{
	cleanup_cancel(&s->cleanup);
	filter_close(s);
	buf_free(&s->actions.prepend);
	buf_free(&s->actions.bcc);
	s->actions = (struct smtpd_actions){0};
	s->in_mail = s->smtputf8 = s->chunking = s->chunk_failed = s->first_line = false;
	s->sender = s->mail_args = SPAN_NULL;
	s->sender_text = s->encoding = s->envelope_id = s->sasl_sender = s->rewrite_context = s->instance = s->verp = NULL;
	s->ret_flags = s->content_status = 0;
	s->announced_size = s->size = 0;
	s->chunk_column = 0;
	s->origin = (struct smtpd_origin){0};
	s->rcpt = NULL;
	s->rate_counted = NULL;
	s->nrcpt = s->rcpt_cap = s->overshoot = 0;
	s->recipient = NULL;
	s->saved_sender = (struct smtpd_defer_if){0};
	arena_reset(s->tmem);
}

static unsigned
cleanup_flags(const struct smtpd *s)
{
	unsigned flags = cleanup_received_flags();

	if (s->smtputf8)
		flags |= CLEANUP_FLAG_SMTPUTF8;
	if (s->actions.hold)
		flags |= CLEANUP_FLAG_HOLD;
	return flags;
}

static void
put_if(struct buf *b, const char *name, const char *value)
{
	if (value != NULL)
		buf_printf(b, ", %s=%s", name, value);
}

void
smtpd_log_client(struct smtpd *s)
{
	const struct smtpd_origin *o = &s->origin;
	struct buf b = {0};

	put_if(&b, "sasl_method", s->sasl_method);
	put_if(&b, "sasl_username", s->sasl_username);
	put_if(&b, "sasl_sender", s->sasl_sender);
	put_if(&b, "orig_queue_id", o->ident);
	if (o->has_client)
		put_if(&b, "orig_client", smtpd_origin_text(s));
	log_info("%s: client=%s%s", smtpd_queue_id(s), s->client.id, buf_cstr(&b));
	buf_free(&b);
}

const char *
smtpd_origin_text(struct smtpd *s)
{
	const struct smtpd_origin *o = &s->origin;

	if (strcmp(o->address, "unknown") == 0)
		return o->name;
	return arena_printf(s->work, "%s[%s]", o->name, o->address);
}

static bool
open_filter(struct smtpd *s)
{
	const char *reply = filter_open(s);

	if (reply != NULL)
		smtp_server_reply(&s->server, "%s", reply);
	else
		smtpd_log_client(s);
	return reply == NULL;
}

bool
smtpd_mail_open(struct smtpd *s)
{
	struct err e = {0};

	if (s->cleanup != NULL || s->filter != NULL)
		return true;
	if (filter_wanted())
		return open_filter(s);
	s->cleanup = s->stand_alone ? cleanup_start_maildrop(&e) : cleanup_start(cleanup_flags(s), &e);
	if (s->cleanup == NULL) {
		log_warning("%s", e.text);
		smtpd_trouble(s, TROUBLE_RESOURCE);
		smtp_server_reply(&s->server, "451 4.3.0 Error: queue file write error");
		return false;
	}
	smtpd_log_client(s);
	return true;
}

void
smtpd_add_rcpt(struct smtpd *s, const struct smtpd_rcpt *rcpt)
{
	struct smtpd_rcpt *grown;

	if (s->nrcpt == s->rcpt_cap) {
		s->rcpt_cap = s->rcpt_cap == 0 ? 4 : s->rcpt_cap * 2;
		grown = ARENA_ARRAY(s->tmem, struct smtpd_rcpt, s->rcpt_cap);
		if (s->nrcpt > 0)
			memcpy(grown, s->rcpt, s->nrcpt * sizeof *grown);
		s->rcpt = grown;
	}
	s->rcpt[s->nrcpt++] = *rcpt;
}

const char *
smtpd_check_space(struct smtpd *s)
{
	static const char reply[] = "452 4.3.1 Insufficient system storage";
	uint64_t available;
	const char *why = space_missing(&available);
	bool in_mail = s->in_mail;

	if (why == NULL)
		return NULL;
	s->in_mail = false;		/* this line has no from= */
	smtpd_log_event(s, "reject", reply);
	s->in_mail = in_mail;
	log_warning("not enough free space in mail queue: %llu bytes < %s", (unsigned long long)available, why);
	return reply;
}
