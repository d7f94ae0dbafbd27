/*
 * cmd_mail.c - MAIL FROM:<sender> with SIZE, BODY, RET, ENVID, AUTH, SMTPUTF8.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "mail/dsn.h"
#include "smtp/address.h"
#include "smtpd/restrict.h"
#include "smtpd/smtpd.h"

struct mail_args {
	struct smtpd *s;
	bool ret, envid, auth;
};

/* A MAIL parameter: NULL, or the reply that refuses it. */
typedef const char *(*param_fn)(struct mail_args *, struct span value, bool has_value);

static const char unsupported[] = "";	/* the reply names the whole parameter */

static const char *
param_size(struct mail_args *a, struct span v, bool has_value)
{
	int64_t size;

	for (size_t i = 0; i < v.n; i++)
		if (!ascii_digit(v.p[i]))
			return "501 5.5.4 Bad message size syntax";
	if (!has_value || v.n == 0)
		return "501 5.5.4 Bad message size syntax";
	if (!span_to_i64(v, &size))
		return "552 5.3.4 Message size exceeds file system imposed limit";
	a->s->announced_size = size;
	return NULL;
}

static const char *
param_body(struct mail_args *a, struct span v, bool has_value)
{
	if (has_value && span_iis(v, "8BITMIME"))
		a->s->encoding = "8bit";
	else if (has_value && span_iis(v, "7BIT"))
		a->s->encoding = "7bit";
	else
		return unsupported;
	return NULL;
}

static const char *
param_ret(struct mail_args *a, struct span v, bool has_value)
{
	if ((a->s->ehlo_hidden & EHLO_DSN) != 0)
		return "501 5.7.1 DSN support is disabled";
	if (a->ret || !has_value || !(span_iis(v, "FULL") || span_iis(v, "HDRS")))
		return "501 5.5.4 Bad RET parameter syntax";
	a->ret = true;
	a->s->ret_flags = span_iis(v, "FULL") ? DSN_RET_FULL : DSN_RET_HDRS;
	return NULL;
}

static bool
is_printable(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_print(s.p[i]))
			return false;
	return true;
}

static const char *
param_envid(struct mail_args *a, struct span v, bool has_value)
{
	struct span id;

	if ((a->s->ehlo_hidden & EHLO_DSN) != 0)
		return "501 5.7.1 DSN support is disabled";
	if (a->envid || !has_value || v.n == 0 || !smtp_xtext_decode(v, a->s->tmem, &id) || !is_printable(id))
		return "501 5.5.4 Bad ENVID parameter syntax";
	a->envid = true;
	a->s->envelope_id = span_cstr(id, a->s->tmem);
	return NULL;
}

static const char *
param_auth(struct mail_args *a, struct span v, bool has_value)
{
	if (!has_value)
		return unsupported;
	if (a->auth && !span_is(v, "<>"))
		return "503 5.5.4 Error: multiple AUTH= options";
	a->auth = true;
	if (v.n > 0 && !span_is(v, "<>"))
		a->s->sasl_sender = span_cstr(span_printable(v, a->s->tmem), a->s->tmem);
	return NULL;
}

static const char *
param_smtputf8(struct mail_args *a, struct span v, bool has_value)
{
	(void)v;
	if (has_value || !conf.smtputf8_enable || (a->s->ehlo_hidden & EHLO_SMTPUTF8) != 0)
		return unsupported;
	a->s->smtputf8 = true;
	return NULL;
}

static const char *
param_xverp(struct mail_args *a, struct span v, bool has_value)
{
	const char *two = has_value ? span_cstr(v, a->s->tmem) : conf.default_verp_delimiters;

	if (!a->s->may_xverp)
		return unsupported;
	if (strlen(two) != 2 || strspn(two, conf.verp_delimiter_filter) != 2)
		return arena_printf(a->s->work, "501 5.5.4 Error: XVERP needs two characters from %s", conf.verp_delimiter_filter);
	a->s->verp = two;
	return NULL;
}

static const struct {
	const char *name;
	param_fn fn;
} params[] = {
	{ "SIZE", param_size }, { "BODY", param_body }, { "RET", param_ret }, { "ENVID", param_envid },
	{ "AUTH", param_auth }, { "SMTPUTF8", param_smtputf8 }, { "XVERP", param_xverp },
};

static bool
take_params(struct mail_args *a, struct span args)
{
	struct span word;

	while (smtp_take_word(&args, &word)) {
		size_t eq = span_find(word, '=');
		const char *reply = unsupported;

		for (size_t i = 0; i < sizeof params / sizeof params[0]; i++)
			if (span_iis(span_to(word, eq), params[i].name))
				reply = params[i].fn(a, span_from(word, eq + 1), eq < word.n);
		if (reply == NULL)
			continue;
		if (reply == unsupported)
			smtp_server_reply(&a->s->server, "555 5.5.4 Unsupported option: %s",
			    span_cstr(span_printable(word, a->s->work), a->s->work));
		else
			smtp_server_reply(&a->s->server, "%s", reply);
		return false;
	}
	return true;
}

/* Header addresses are completed for clients of our own. */
static const char *
rewrite_context(const struct smtpd *s)
{
	struct span in = span_str(conf.local_header_rewrite_clients), word;

	while (span_take_word(&in, ", \t\r\n", &word)) {
		if (span_iis(word, "permit_inet_interfaces") && smtpd_client_is_own(s))
			return "local";
		if (span_iis(word, "permit_mynetworks") && smtpd_client_in_mynetworks(s))
			return "local";
		if (span_iis(word, "permit_sasl_authenticated") && smtpd_logged_in(s))
			return "local";
	}
	return "remote";
}

bool
smtpd_path_parse(struct smtpd *s, struct span word, unsigned flags, struct arena *mem, struct smtp_path *out)
{
	if (!smtp_path_whole(word))
		return false;
	if (smtp_path_parse(word, flags, mem, out))
		return true;
	log_warning("Illegal address syntax from %s in %s command: %s", s->client.id, s->server.where,
	    span_cstr(span_printable(word, s->work), s->work));
	return false;
}

/* Everything behind the syntax. False: replied. */
static bool
start_mail(struct mail_args *a, struct span word, struct span args)
{
	struct smtpd *s = a->s;
	struct smtp_path path;
	unsigned flags = SMTP_PATH_NULL | (conf.strict_rfc821_envelopes ? SMTP_PATH_STRICT : 0u);
	const char *reply;

	if (s->stand_alone)
		flags |= SMTP_PATH_ANY_DOMAIN;
	if (conf.smtputf8_enable && span_find_span(args, SPAN("SMTPUTF8")) < args.n)
		flags |= SMTP_PATH_UTF8;
	if (!smtpd_path_parse(s, word, flags, s->tmem, &path)) {
		smtp_server_reply(&s->server, "501 5.1.7 Bad sender address syntax");
		return false;
	}
	if (!take_params(a, args))
		return false;
	if (s->verp != NULL && path.internal.n == 0) {
		smtp_server_reply(&s->server, "503 5.5.4 Error: XVERP requires non-null sender");
		return false;
	}
	s->sender = span_copy(path.internal, s->tmem);
	s->sender_text = span_cstr(path.internal, s->tmem);
	s->in_mail = true;
	if (conf.message_size_limit > 0 && s->announced_size > conf.message_size_limit) {
		reply = "552 5.3.4 Message size exceeds fixed limit";
		smtpd_trouble(s, TROUBLE_POLICY);
		smtpd_log_event(s, "reject", reply);
	} else if (!conf.smtpd_delay_reject && (reply = check_mail(s)) != NULL) {
		;
	} else if (conf.strict_smtputf8 && !s->smtputf8 && !span_is_ascii(s->sender)) {
		reply = "553 5.6.7 Must declare SMTPUTF8 to send unicode address";
	} else if ((reply = smtpd_check_space(s)) != NULL) {
		smtpd_trouble(s, TROUBLE_RESOURCE);
	}
	if (reply == NULL)
		return true;
	smtp_server_reply(&s->server, "%s", reply);
	return false;
}

bool
cmd_mail(struct smtp_server *server, struct span args)
{
	struct smtpd *s = smtpd_of(server);
	static unsigned transactions;
	const struct span all = args;
	struct mail_args a = { .s = s };
	struct span word;

	if (conf.smtpd_helo_required && s->helo == NULL) {
		smtp_server_reply(server, "503 5.5.1 Error: send HELO/EHLO first");
		return false;
	}
	if (s->in_mail) {
		smtp_server_reply(server, "503 5.5.1 Error: nested MAIL command");
		return false;
	}
	if (s->chunking) {
		smtp_server_reply(server, "503 5.5.1 Error: MAIL after BDAT");
		return false;
	}
	if (!smtp_take_path(&args, "FROM", &word)) {
		smtp_server_reply(server, "501 5.5.4 Syntax: MAIL FROM:<address>");
		return false;
	}
	if (smtpd_rate_exceeded(s, SMTPD_EVENT_MAIL)) {
		smtpd_trouble(s, TROUBLE_POLICY);
		smtp_server_reply(server, "450 4.7.1 Error: too much mail from %s", s->client.address);
		return false;
	}
	if (!start_mail(&a, word, args)) {
		int64_t size = s->announced_size;

		smtpd_mail_reset(s);
		s->announced_size = size;	/* holds for the next MAIL without SIZE, as in the reference */
		return false;
	}
	s->mail_args = span_copy(all, s->tmem);
	s->arrival = clock_wall();
	s->instance = arena_printf(s->tmem, "%x.%lx.%lx.%x", (unsigned)getpid(), (unsigned long)s->arrival.tv_sec,
	    (unsigned long)s->arrival.tv_usec, transactions++);
	s->rewrite_context = s->origin.rewrite_context != NULL ? s->origin.rewrite_context : rewrite_context(s);
	if (!conf.smtpd_delay_open_until_valid_rcpt && !smtpd_mail_open(s)) {
		smtpd_mail_reset(s);
		return false;
	}
	smtp_server_reply(server, "250 2.1.0 Ok");
	return true;
}
