/*
 * cmd_helo.c - HELO and EHLO, and what EHLO announces.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "map/maps.h"
#include "smtpd/restrict.h"
#include "smtpd/smtpd.h"

static struct maps *hide_maps;

static const struct {
	const char *word;
	unsigned bit;
} keywords[] = {
	{ "8bitmime", EHLO_8BITMIME }, { "chunking", EHLO_CHUNKING }, { "dsn", EHLO_DSN },
	{ "enhancedstatuscodes", EHLO_STATUSCODES }, { "etrn", EHLO_ETRN }, { "pipelining", EHLO_PIPELINING },
	{ "silent-discard", EHLO_SILENT }, { "size", EHLO_SIZE }, { "smtputf8", EHLO_SMTPUTF8 }, { "vrfy", EHLO_VRFY },
	{ "auth", EHLO_AUTH }, { "requiretls", EHLO_OTHER }, { "starttls", EHLO_OTHER }, { "verp", EHLO_VERP },
	{ "xclient", EHLO_XCLIENT }, { "xforward", EHLO_XFORWARD },
};

void
smtpd_ehlo_init(void)
{
	hide_maps = maps_open("smtpd_discard_ehlo_keyword_address_maps", conf.smtpd_discard_ehlo_keyword_address_maps, MAP_FOLD);
}

static unsigned
keyword_bits(struct span text)
{
	struct span word;
	unsigned bits = 0;

	while (span_take_word(&text, ", \t\r\n", &word)) {
		bool known = false;

		for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++) {
			if (!span_iis(word, keywords[i].word))
				continue;
			bits |= keywords[i].bit;
			known = true;
		}
		if (!known)
			log_warning("unknown EHLO keyword: %.*s", SPAN_ARG(word));
	}
	return bits;
}

void
smtpd_ehlo_hide(struct smtpd *s)
{
	struct span value = span_str(conf.smtpd_discard_ehlo_keywords);

	(void)maps_get(hide_maps, span_str(s->client.address), 0, s->mem, &value, NULL);
	s->ehlo_hidden = keyword_bits(value);
}

static void
log_hidden(const struct smtpd *s)
{
	struct buf b = {0};

	if (s->ehlo_hidden == 0 || (s->ehlo_hidden & EHLO_SILENT) != 0)
		return;
	for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++) {
		if ((s->ehlo_hidden & keywords[i].bit) == 0 || keywords[i].bit == EHLO_OTHER)
			continue;
		buf_byte(&b, ' ');
		for (const char *p = keywords[i].word; *p != '\0'; p++)
			buf_byte(&b, ascii_upper(*p));
	}
	if (b.n > 0)
		log_info("discarding EHLO keywords:%s", buf_cstr(&b));
	buf_free(&b);
}

const char *
smtpd_neutral(struct span name, struct arena *mem)
{
	char *text = span_cstr(span_printable(name, mem), mem);

	for (char *p = text; *p != '\0'; p++)
		if (strchr(" <>()\\\";@", *p) != NULL)
			*p = '?';
	return text;
}

/* Common part: syntax, reset, restrictions. False: replied. */
static bool
greeting(struct smtp_server *server, struct span args, const char *name)
{
	struct smtpd *s = smtpd_of(server);
	const char *helo, *reply;
	struct buf joined = {0};
	struct span word;

	if (args.n == 0) {
		smtp_server_reply(server, "501 Syntax: %s hostname", name);
		return false;
	}
	while (smtp_take_word(&args, &word)) {
		if (joined.n > 0)
			buf_byte(&joined, ' ');
		buf_span(&joined, word);
	}
	helo = smtpd_neutral(buf_view(&joined), s->mem);
	buf_free(&joined);
	if (!conf.smtpd_delay_reject && (reply = check_helo(s, helo)) != NULL) {
		smtp_server_reply(server, "%s", reply);
		return false;
	}
	smtpd_mail_reset(s);
	smtpd_history_flush(s);
	s->helo = helo;
	return true;
}

bool
cmd_helo(struct smtp_server *server, struct span args)
{
	struct smtpd *s = smtpd_of(server);

	if (!greeting(server, args, "HELO"))
		return false;
	s->protocol = "SMTP";
	server->esmtp = false;
	smtp_server_reply(server, "250 %s", conf.myhostname);
	return true;
}

bool
cmd_ehlo(struct smtp_server *server, struct span args)
{
	struct smtpd *s = smtpd_of(server);
	struct buf b = {0};
	unsigned hidden = s->ehlo_hidden;

	if (!greeting(server, args, "EHLO"))
		return false;
	log_hidden(s);
	s->protocol = "ESMTP";
	server->esmtp = true;
	buf_printf(&b, "250 %s", conf.myhostname);
	if ((hidden & EHLO_PIPELINING) == 0)
		buf_str(&b, "\r\n250 PIPELINING");
	if ((hidden & EHLO_SIZE) == 0 && conf.message_size_limit > 0)
		buf_printf(&b, "\r\n250 SIZE %ld", conf.message_size_limit);
	else if ((hidden & EHLO_SIZE) == 0)
		buf_str(&b, "\r\n250 SIZE");
	if (!conf.disable_vrfy_command && (hidden & EHLO_VRFY) == 0)
		buf_str(&b, "\r\n250 VRFY");
	if ((hidden & EHLO_ETRN) == 0)
		buf_str(&b, "\r\n250 ETRN");
	smtpd_auth_announce(s, &b);
	smtpd_xclient_announce(s, &b);
	if ((hidden & EHLO_STATUSCODES) == 0)
		buf_str(&b, "\r\n250 ENHANCEDSTATUSCODES");
	if ((hidden & EHLO_8BITMIME) == 0)
		buf_str(&b, "\r\n250 8BITMIME");
	if ((hidden & EHLO_DSN) == 0)
		buf_str(&b, "\r\n250 DSN");
	if (conf.smtputf8_enable && (hidden & EHLO_SMTPUTF8) == 0)
		buf_str(&b, "\r\n250 SMTPUTF8");
	if ((hidden & EHLO_CHUNKING) == 0)
		buf_str(&b, "\r\n250 CHUNKING");
	smtp_server_reply(server, "%s", buf_cstr(&b));
	buf_free(&b);
	return true;
}
