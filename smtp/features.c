/*
 * features.c - what a server can do, what of it is ignored, and what it must be spared: EHLO keywords,
 * smtp_discard_ehlo_keywords, smtp_pix_workarounds. Replies are a stranger's, tables the administrator's.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "map/maps.h"
#include "smtp/smtp.h"

static struct maps *discard_maps, *pix_maps;

void
smtp_features_init(void)
{
	discard_maps = maps_open(smtp_is_lmtp ? "lmtp_discard_ehlo_keyword_address_maps" : "smtp_discard_ehlo_keyword_address_maps",
	    conf.smtp_discard_ehlo_keyword_address_maps, MAP_FOLD);
	pix_maps = maps_open(smtp_is_lmtp ? "lmtp_pix_workaround_maps" : "smtp_pix_workaround_maps", conf.smtp_pix_workaround_maps, MAP_FOLD);
}

/* In the order in which the log names them; bit 0: never used here. */
static const struct { const char *word; unsigned bit; } keywords[] = {
	{ "8BITMIME", FEATURE_8BITMIME }, { "AUTH", FEATURE_AUTH }, { "ETRN", 0 }, { "PIPELINING", FEATURE_PIPELINING },
	{ "SIZE", FEATURE_SIZE }, { "VERP", 0 }, { "VRFY", 0 }, { "XCLIENT", 0 }, { "XFORWARD", FEATURE_XFORWARD },
	{ "STARTTLS", FEATURE_STARTTLS }, { "ENHANCEDSTATUSCODES", 0 }, { "DSN", FEATURE_DSN }, { "SMTPUTF8", FEATURE_SMTPUTF8 },
	{ "CHUNKING", 0 },
};

/* Bits of the keywords in list; they are logged. */
static unsigned
discarded(struct span list)
{
	struct buf text = {0};
	unsigned bits = 0;

	for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++) {
		if (!span_ilists(list, keywords[i].word))
			continue;
		bits |= keywords[i].bit;
		buf_printf(&text, " %s", keywords[i].word);
	}
	if (text.n > 0 && !span_ilists(list, "silent-discard"))
		log_info("discarding EHLO keywords:%s", buf_cstr(&text));
	buf_free(&text);
	return bits;
}

/* NAME ADDR PROTO ... behind XFORWARD. */
static void
take_xforward(struct smtp_session *s, struct span line)
{
	static const struct { const char *word; unsigned bit; } attributes[] = {
		{ "NAME", XFORWARD_NAME }, { "ADDR", XFORWARD_ADDR }, { "PORT", XFORWARD_PORT }, { "PROTO", XFORWARD_PROTO },
		{ "HELO", XFORWARD_HELO }, { "IDENT", XFORWARD_IDENT }, { "SOURCE", XFORWARD_SOURCE },
	};
	struct span word;

	while (span_take_word(&line, " \t", &word))
		for (size_t i = 0; i < sizeof attributes / sizeof attributes[0]; i++)
			if (span_iis(word, attributes[i].word))
				s->xforward |= attributes[i].bit;
}

static void
take_line(struct smtp_session *s, struct span line)
{
	struct span word;
	uint64_t size;

	if (!span_take_word(&line, " \t", &word))
		return;
	for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++)
		if (span_iis(word, keywords[i].word))
			s->features |= keywords[i].bit;
	line = span_trim(line);
	if (span_iis(word, "SIZE") && span_to_u64(line, &size) && size <= INT64_MAX)
		s->size_limit = (int64_t)size;
	if (span_iis(word, "XFORWARD"))
		take_xforward(s, line);
}

bool
smtp_take_features(struct smtp_session *s, struct arena *mem)
{
	struct span in = buf_view(&s->reply.text), line, list = span_str(conf.smtp_discard_ehlo_keywords);

	if (maps_get(discard_maps, span_str(s->addr), 0, mem, &list, NULL) == MAP_FAILED) {
		log_warning("%.*s: %s map lookup error for %s", SPAN_ARG(s->d->queue_id), maps_title(discard_maps), s->addr);
		return false;
	}
	s->features = FEATURE_ESMTP;
	(void)span_take_line(&in, &line);
	while (span_take_line(&in, &line))
		take_line(s, span_from(line, 4));
	s->features &= ~discarded(list);
	if ((s->features & FEATURE_SIZE) == 0)
		s->size_limit = 0;
	if ((s->features & FEATURE_XFORWARD) == 0)
		s->xforward = 0;
	if ((s->features & FEATURE_SMTPUTF8) != 0 && (s->features & FEATURE_8BITMIME) == 0) {
		log_info("host %s offers SMTPUTF8 support, but not 8BITMIME", s->id);
		s->features |= FEATURE_8BITMIME;
	}
	return true;
}

/* "220 **2****": a firewall has painted over the greeting. */
static bool
is_painted_over(const struct smtp_session *s)
{
	struct span text = span_from(buf_view(&s->reply.text), 4);

	for (size_t i = 0; i < text.n; i++)
		if (strchr("20* ", text.p[i]) == NULL || text.p[i] == '\0')
			return false;
	return text.n > 0 && span_has(text, '*');
}

void
smtp_find_workarounds(struct smtp_session *s, struct arena *mem)
{
	struct span list = span_str(conf.smtp_pix_workarounds), found;
	double age = clock_seconds_between(s->d->arrival, clock_wall());

	if (!is_painted_over(s))
		return;
	if (maps_get(pix_maps, span_str(s->addr), 0, mem, &found, NULL) == MAP_FOUND)
		list = found;
	s->no_esmtp = span_ilists(list, "disable_esmtp");
	s->delay_dot = span_ilists(list, "delay_dotcrlf") && age >= conf.smtp_pix_workaround_threshold_time;
	if (span_trim(list).n > 0)
		log_info("%.*s: enabling PIX workarounds: %s%s%s for %s", SPAN_ARG(s->d->queue_id), s->no_esmtp ? "disable_esmtp" : "",
		    s->no_esmtp && s->delay_dot ? " " : "", s->delay_dot ? "delay_dotcrlf" : "", s->relay);
}
