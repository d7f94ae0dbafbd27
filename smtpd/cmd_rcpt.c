/*
 * cmd_rcpt.c - RCPT TO:<recipient> with NOTIFY and ORCPT. The first one that is accepted opens the queue file.
 *
 * SPDX-License-Identifier: ISC
 */
#include "base/log.h"
#include "conf/conf.h"
#include "mail/dsn.h"
#include "mail/rewrite.h"
#include "mail/verify_client.h"
#include "smtp/address.h"
#include "smtpd/filter.h"
#include "smtpd/restrict.h"
#include "smtpd/smtpd.h"

/* "NEVER", or some of SUCCESS, FAILURE, DELAY. */
static bool
take_notify(struct span value, unsigned *out)
{
	static const struct { const char *word; unsigned bit; } words[] = {
		{ "NEVER", DSN_NOTIFY_NEVER }, { "SUCCESS", DSN_NOTIFY_SUCCESS }, { "FAILURE", DSN_NOTIFY_FAILURE },
		{ "DELAY", DSN_NOTIFY_DELAY },
	};
	struct span all = value, word;
	unsigned bits = 0;

	while (span_take_word(&value, ",", &word)) {
		unsigned bit = 0;

		for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
			if (span_iis(word, words[i].word))
				bit = words[i].bit;
		if (bit == 0) {
			log_warning("unknown DSN NOTIFY command value \"%.*s\" in \"%.*s\"", SPAN_ARG(word), SPAN_ARG(all));
			return false;
		}
		bits |= bit;
	}
	*out = bits;
	return bits == DSN_NOTIFY_NEVER || (bits != 0 && (bits & DSN_NOTIFY_NEVER) == 0);
}

/* "\x{fc}" of RFC 6533 utf-8-addr-xtext to UTF-8. */
static bool
decode_unicode_escapes(struct span in, struct buf *out)
{
	while (in.n > 0) {
		uint32_t c = 0;
		size_t digits = 0;

		if (!span_take(&in, SPAN("\\x{"))) {
			buf_byte(out, in.p[0]);
			in = span_from(in, 1);
			continue;
		}
		for (; digits < in.n && digits < 6 && ascii_hex(in.p[digits]) >= 0; digits++)
			c = c * 16 + (uint32_t)ascii_hex(in.p[digits]);
		in = span_from(in, digits);
		if (digits == 0 || !span_take_byte(&in, '}') || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) || c < 32 || c == 127)
			return false;
		if (c < 0x80) {
			buf_byte(out, (char)c);
		} else if (c < 0x800) {
			buf_byte(out, (char)(0xc0 | c >> 6));
			buf_byte(out, (char)(0x80 | (c & 63)));
		} else if (c < 0x10000) {
			buf_byte(out, (char)(0xe0 | c >> 12));
			buf_byte(out, (char)(0x80 | (c >> 6 & 63)));
			buf_byte(out, (char)(0x80 | (c & 63)));
		} else {
			buf_byte(out, (char)(0xf0 | c >> 18));
			buf_byte(out, (char)(0x80 | (c >> 12 & 63)));
			buf_byte(out, (char)(0x80 | (c >> 6 & 63)));
			buf_byte(out, (char)(0x80 | (c & 63)));
		}
	}
	return true;
}

/* Not by a format, which would end at a NUL. */
static void
orcpt_text(struct buf *out, struct span type, struct span text)
{
	buf_span(out, type);
	buf_byte(out, ';');
	buf_span(out, text);
}

/* "type;xtext" to "type;text". */
static bool
take_orcpt(struct smtpd *s, struct span value, struct span *out)
{
	struct span type, text;
	struct buf b = {0};
	bool ok;

	if (!span_take_until(&value, ';', &type) || type.n == 0)
		return false;
	if (span_iis(type, "utf-8")) {
		orcpt_text(&b, type, SPAN_NULL);
		ok = decode_unicode_escapes(value, &b);
	} else {
		ok = smtp_xtext_decode(value, s->tmem, &text);
		if (ok)
			orcpt_text(&b, type, text);
	}
	for (size_t i = 0; i < b.n; i++)
		if ((unsigned char)b.p[i] < 32 || b.p[i] == 127)
			ok = false;
	*out = span_copy(buf_view(&b), s->tmem);
	buf_free(&b);
	return ok;
}

/* NULL, or the reply; the empty string: unsupported. */
static const char *
take_param(struct smtpd *s, struct span word, struct smtpd_rcpt *rcpt, bool *notify, bool *orcpt)
{
	size_t eq = span_find(word, '=');
	struct span name = span_to(word, eq), value = span_from(word, eq + 1);

	if (eq == word.n || !(span_iis(name, "NOTIFY") || span_iis(name, "ORCPT")))
		return "";
	if ((s->ehlo_hidden & EHLO_DSN) != 0)
		return "501 5.7.1 DSN support is disabled";
	if (span_iis(name, "NOTIFY")) {
		if (*notify || !take_notify(value, &rcpt->notify))
			return "501 5.5.4 Error: Bad NOTIFY parameter syntax";
		*notify = true;
		return NULL;
	}
	if (*orcpt || !take_orcpt(s, value, &rcpt->orcpt))
		return "501 5.5.4 Error: Bad ORCPT parameter syntax";
	*orcpt = true;
	return NULL;
}

static bool
take_params(struct smtpd *s, struct span args, struct smtpd_rcpt *rcpt)
{
	struct span word;
	bool notify = false, orcpt = false;

	while (smtp_take_word(&args, &word)) {
		const char *reply = take_param(s, word, rcpt, &notify, &orcpt);

		if (reply == NULL)
			continue;
		if (*reply == '\0')
			smtp_server_reply(&s->server, "555 5.5.4 Unsupported option: %s",
			    span_cstr(span_printable(word, s->work), s->work));
		else
			smtp_server_reply(&s->server, "%s", reply);
		return false;
	}
	return true;
}

/* Too many: false, or true when this one does not count as an error. */
static bool
too_many(struct smtpd *s)
{
	smtpd_trouble(s, TROUBLE_POLICY);
	smtp_server_reply(&s->server, "452 4.5.3 Error: too many recipients");
	return s->overshoot++ < (size_t)conf.smtpd_recipient_overshoot_limit;
}

static bool
accept_rcpt(struct smtpd *s, const struct smtp_path *path, struct smtpd_rcpt *rcpt, struct span args)
{
	const char *reply = NULL;

	s->recipient = span_cstr(path->internal, s->work);
	s->recipient_internal = path->internal;
	if (conf.strict_smtputf8 && !s->smtputf8 && !span_is_ascii(path->internal))
		reply = "553 5.6.7 Must declare SMTPUTF8 to send unicode address";
	if (reply == NULL)
		reply = check_rcpt(s);
	s->recipient = NULL;
	if (reply != NULL) {
		smtp_server_reply(&s->server, "%s", reply);
		return false;
	}
	if (!smtpd_mail_open(s))
		return false;
	if (s->filter != NULL && (reply = filter_rcpt(s, args)) != NULL) {
		smtp_server_reply(&s->server, "%s", reply);
		return false;
	}
	rcpt->address = verify_is_sender(path->internal) ? verify_stable_sender(s->tmem) : span_copy(path->internal, s->tmem);
	if (rcpt->orcpt.n == 0)
		rcpt->orcpt = span_str(arena_printf(s->tmem, "%s;%.*s", span_is_ascii(path->given) ? "rfc822" : "utf-8",
		    SPAN_ARG(path->given)));
	smtpd_add_rcpt(s, rcpt);
	smtp_server_reply(&s->server, "250 2.1.5 Ok");
	return true;
}

bool
smtpd_rcpt_resolves(struct smtpd *s, const struct smtp_path *path)
{
	struct resolved to;

	if (s->stand_alone || !smtpd_resolve(s, path->internal, &to) || (to.flags & RESOLVE_ERROR) == 0)
		return true;		/* trouble is the business of the restrictions */
	log_warning("Illegal address syntax from %s in %s command: <%s>", s->client.id, s->server.where,
	    span_cstr(span_printable(path->given, s->work), s->work));
	smtp_server_reply(&s->server, "501 5.1.3 Bad recipient address syntax");
	return false;
}

bool
cmd_rcpt(struct smtp_server *server, struct span args)
{
	struct smtpd *s = smtpd_of(server);
	struct smtpd_rcpt rcpt = {0};
	struct smtp_path path;
	struct span word;
	const struct span all = args;
	unsigned flags = SMTP_PATH_RESOLVED | (conf.strict_rfc821_envelopes ? SMTP_PATH_STRICT : 0u) | (s->smtputf8 ? SMTP_PATH_UTF8 : 0u);

	if (!s->in_mail) {
		smtp_server_reply(server, "503 5.5.1 Error: need MAIL command");
		return false;
	}
	if (s->chunking) {
		smtp_server_reply(server, "503 5.5.1 Error: RCPT after BDAT");
		return false;
	}
	if (s->stand_alone)
		flags |= SMTP_PATH_ANY_DOMAIN;
	if (!smtp_take_path(&args, "TO", &word)) {
		smtp_server_reply(server, "501 5.5.4 Syntax: RCPT TO:<address>");
		return false;
	}
	if (smtpd_rate_exceeded(s, SMTPD_EVENT_RCPT)) {
		smtpd_trouble(s, TROUBLE_POLICY);
		smtp_server_reply(server, "450 4.7.1 Error: too many recipients from %s", s->client.address);
		return false;
	}
	if (!smtpd_path_parse(s, word, flags, s->work, &path)) {
		smtp_server_reply(server, "501 5.1.3 Bad recipient address syntax");
		return false;
	}
	if (!take_params(s, args, &rcpt) || !smtpd_rcpt_resolves(s, &path))
		return false;
	if (s->nrcpt >= (size_t)conf.smtpd_recipient_limit)
		return too_many(s);
	return accept_rcpt(s, &path, &rcpt, all);
}
