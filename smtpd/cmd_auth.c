/*
 * cmd_auth.c - AUTH (RFC 4954): the client's side of a login is carried to the login service and back. What a client sends here is never
 * written to the log.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "map/match.h"
#include "net/auth.h"
#include "smtpd/smtpd.h"

#define SHOWN_MAX	100		/* of a mechanism or a login name in the log */
#define TOO_LONG_SHOWN	30

static struct match *announced, *exceptions;
static unsigned security;
static bool enabled;			/* for sessions of this process */

/* Without TLS: smtpd_tls_auth_only leaves nobody who may log in. */
void
smtpd_auth_init(void)
{
	const struct auth_settings settings = { .type = conf.smtpd_sasl_type, .path = conf.smtpd_sasl_path, .service = conf.smtpd_sasl_service,
	    .host = conf.myhostname, .realm = conf.smtpd_sasl_local_domain, .config_path = conf.cyrus_sasl_config_path };
	struct err e = {0};

	if (!conf.smtpd_sasl_auth_enable || service_env.stand_alone)
		return;
	if (!auth_prepare(&settings, &e)) {
		log_warning("%s", e.text);
		log_fatal("SASL per-process initialization failed");
	}
	if (!auth_security_parse(conf.smtpd_sasl_type, conf.smtpd_sasl_security_options, &security, &e))
		log_fatal("%s", e.text);
	announced = match_open(MATCH_STRING, "smtpd_sasl_mechanism_filter", conf.smtpd_sasl_mechanism_filter, NULL);
	exceptions = match_open(MATCH_HOST, "smtpd_sasl_exceptions_networks", conf.smtpd_sasl_exceptions_networks, NULL);
	enabled = !conf.smtpd_tls_auth_only;
}

void
smtpd_auth_begin(struct smtpd *s)
{
	struct err e = {0};
	struct span list, word;
	struct buf b = {0};

	if (!enabled)
		return;
	s->auth = auth_new(security, &e);
	if (s->auth == NULL)
		log_fatal("%s", e.text);
	list = span_str(auth_mechanisms(s->auth));
	if (list.n == 0)
		log_fatal("no SASL authentication mechanisms");
	while (span_take_word(&list, " ", &word))
		if (match_name(announced, word) == MATCH_YES)
			buf_printf(&b, "%s%.*s", b.n > 0 ? " " : "", SPAN_ARG(word));
	if (b.n == 0)
		log_fatal("smtpd_sasl_mechanism_filter discards all mechanisms in '%s'", auth_mechanisms(s->auth));
	s->auth_offered = span_cstr(buf_view(&b), s->mem);
	buf_free(&b);
}

void
smtpd_auth_announce(const struct smtpd *s, struct buf *b)
{
	if (s->auth == NULL || (s->ehlo_hidden & EHLO_AUTH) != 0 ||
	    match_host(exceptions, span_str(s->client.name), span_str(s->client.address)) == MATCH_YES)
		return;
	buf_printf(b, "\r\n250 AUTH %s", s->auth_offered);
	if (conf.broken_sasl_auth_clients)
		buf_printf(b, "\r\n250 AUTH=%s", s->auth_offered);
}

static bool
refuse(struct smtpd *s, const char *reply)
{
	smtp_server_reply(&s->server, "%s", reply);
	return false;
}

static bool
failed(struct smtpd *s, const struct auth_reply *r)
{
	log_warning("%s: SASL %.*s authentication failed: %s, sasl_username=%.*s", s->client.id, SHOWN_MAX, s->auth_method, r->text, SHOWN_MAX,
	    r->user != NULL ? r->user : "(unavailable)");
	smtpd_trouble(s, 0);
	if (r->status == AUTH_TEMPORARY)
		smtp_server_reply(&s->server, "454 4.7.0 Temporary authentication failure: %s", r->text);
	else
		smtp_server_reply(&s->server, "535 5.7.8 Error: authentication failed: %s", r->text);
	return false;
}

/* The verdict, or a challenge. True: logged in. */
static bool
conclude(struct smtpd *s, const struct auth_reply *r)
{
	switch (r->status) {
	case AUTH_MORE:
		smtp_server_reply(&s->server, "334 %s", r->text);
		smtp_server_ask(&s->server, (size_t)conf.smtpd_sasl_response_limit);
		return false;
	case AUTH_OK:
		s->sasl_method = s->auth_method;
		s->sasl_username = span_cstr(span_str(r->user), s->mem);
		smtp_server_reply(&s->server, "235 2.7.0 Authentication successful");
		return true;
	default:
		return failed(s, r);
	}
}

bool
smtpd_auth_answer(struct smtp_server *server, struct span line, bool too_long)
{
	struct smtpd *s = smtpd_of(server);
	struct auth_reply reply;

	arena_reset(s->work);
	smtpd_history_input(s, span_is(line, "*") ? line : SPAN("***"));
	if (too_long || span_is(line, "*"))
		smtpd_trouble(s, 0);
	if (too_long) {
		log_warning("%s: request longer than %d: %.*s...", s->client.id, conf.smtpd_sasl_response_limit, TOO_LONG_SHOWN,
		    smtpd_escaped(line, TOO_LONG_SHOWN, s->work));
		return refuse(s, "500 5.5.6 SASL response limit exceeded");
	}
	if (span_is(line, "*")) {
		log_warning("%s: SASL %.*s authentication aborted", s->client.id, SHOWN_MAX, s->auth_method);
		return refuse(s, "501 5.7.0 Authentication aborted");
	}
	auth_next(s->auth, line, s->work, &reply);
	return conclude(s, &reply);
}

bool
cmd_auth(struct smtp_server *server, struct span args)
{
	struct smtpd *s = smtpd_of(server);
	const struct auth_client client = { .server = s->server_address, .client = s->client.address };
	struct span rest = args, mechanism, initial = SPAN_NULL, more;
	struct auth_reply reply;

	if (conf.smtpd_helo_required && s->helo == NULL)
		return refuse(s, "503 5.5.1 Error: send HELO/EHLO first");
	if (s->auth == NULL || (s->ehlo_hidden & EHLO_AUTH) != 0)
		return refuse(s, "503 5.5.1 Error: authentication not enabled");
	if (smtpd_rate_exceeded(s, SMTPD_EVENT_AUTH)) {
		smtpd_trouble(s, TROUBLE_POLICY);
		smtp_server_reply(server, "450 4.7.1 Error: too many AUTH commands from %s", s->client.address);
		return false;
	}
	if (s->in_mail)
		return refuse(s, "503 5.5.1 Error: MAIL transaction in progress");
	if (s->sasl_username != NULL)
		return refuse(s, "503 5.5.1 Error: already authenticated");
	if (!smtp_take_word(&rest, &mechanism) || (smtp_take_word(&rest, &initial) && smtp_take_word(&rest, &more)))
		return refuse(s, "501 5.5.4 Syntax: AUTH mechanism");
	s->auth_method = span_cstr(span_printable(mechanism, s->mem), s->mem);
	auth_first(s->auth, &client, mechanism, initial, s->work, &reply);
	return conclude(s, &reply);
}
