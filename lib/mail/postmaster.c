/*
 * postmaster.c - transcripts and letters about them. What a peer has said is made printable and wrapped, and its amount is
 * bounded, so that nobody fills the queue or a mailbox by talking nonsense.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "mail/cleanup_client.h"
#include "mail/postmaster.h"
#include "mail/rec.h"
#include "mail/space.h"
#include "smtp/address.h"

#define WRAP_COLUMNS	78u		/* without the space that each line begins with */
#define WRAP_INDENT	"    "

/* Text in lines that are broken between words; a long word has a line of its own. */
static void
wrap(struct buf *out, struct span text)
{
	size_t column = 0;

	while (text.n > 0) {
		size_t gap = 0, end;

		while (gap < text.n && text.p[gap] == ' ')
			gap++;
		for (end = gap; end < text.n && text.p[end] != ' '; end++)
			continue;
		if (column > 0 && column + end > WRAP_COLUMNS && end > gap) {
			buf_str(out, "\n " WRAP_INDENT);
			column = sizeof WRAP_INDENT - 1;
			text = span_from(text, gap);
			end -= gap;
		}
		buf_span(out, span_to(text, end));
		column += end;
		text = span_from(text, end);
	}
}

/* Every session has a transcript and hardly any has a letter: here nothing is done to a line but to keep it. */
void
transcript_add(struct transcript *t, const char *who, struct span line)
{
	size_t start;

	t->lines++;
	if (t->cut)
		return;
	buf_str(&t->text, who);
	start = t->text.n;
	buf_span(&t->text, line);
	for (char *p = t->text.p + start; (p = memchr(p, '\n', t->text.n - (size_t)(p - t->text.p))) != NULL; p++)
		*p = '?';
	buf_byte(&t->text, '\n');
	t->cut = t->text.n > TRANSCRIPT_MAX;
}

static void
put_transcript(struct buf *out, const struct transcript *t)
{
	struct span rest = buf_view(&t->text), line;
	struct arena *mem = arena_new();

	while (span_take_until(&rest, '\n', &line)) {
		buf_byte(out, ' ');		/* never the last: a line begins with who spoke */
		wrap(out, span_printable(line, mem));
		while (out->p[out->n - 1] == ' ')
			out->n--;
		buf_byte(out, '\n');
		arena_reset(mem);
	}
	if (t->cut)
		buf_str(out, " ...\n");
	arena_free(&mem);
}

void
transcript_reset(struct transcript *t)
{
	buf_reset(&t->text);
	t->lines = 0;
	t->cut = false;
}

void
transcript_free(struct transcript *t)
{
	buf_free(&t->text);
	*t = (struct transcript){0};
}

unsigned
postmaster_classes(void)
{
	static const char *const words[] = { "protocol", "policy", "resource", "software", "data", "bounce" };
	struct span list = span_str(conf.notify_classes), word;
	unsigned bits = 0;

	while (span_take_word(&list, ", \t\r\n", &word))
		for (size_t i = 0; i < sizeof words / sizeof *words; i++)
			if (span_iis(word, words[i]))
				bits |= 1u << i;
	return bits;
}

static void
put_header(struct buf *out, const struct cleanup_client *c, const struct letter *l)
{
	const bool standard = !span_iis(span_str(conf.header_from_format), "obsolete");
	char date[64];

	cleanup_put_received(c, out);
	clock_mail_date(clock_wall().tv_sec, date, sizeof date);
	buf_printf(out, "Date: %s\n", date);
	if (standard)
		buf_printf(out, "From: Mail Delivery System <MAILER-DAEMON>\nTo: Postmaster <%s>\n", conf.error_notice_recipient);
	else
		buf_printf(out, "From: MAILER-DAEMON (Mail Delivery System)\nTo: %s (Postmaster)\n", conf.error_notice_recipient);
	buf_printf(out, "Subject: %s %s\n\n", conf.mail_name, l->subject);
}

static bool
write_letter(const struct letter *l, struct cleanup_client *c, struct arena *mem, const char *to)
{
	struct buf out = {0};
	bool ok;

	cleanup_attr(c, "log_message_origin", SPAN("local"));
	cleanup_attr(c, "trace_flags", SPAN("0"));
	cleanup_rec(c, REC_FROM, span_str(arena_printf(mem, "%s@%s", conf.double_bounce_sender, conf.myhostname)));
	cleanup_rec(c, REC_ORIG_RCPT, span_str(to));
	cleanup_rec(c, REC_RCPT, span_str(to));
	put_header(&out, c, l);
	if (l->lead != NULL)
		buf_printf(&out, "%s\n\n", l->lead);
	buf_str(&out, "Transcript of session follows.\n\n");
	put_transcript(&out, l->transcript);
	if (l->reason != NULL)
		buf_printf(&out, "\nSession aborted, reason: %s\n", l->reason);
	else if (l->lead == NULL)
		buf_str(&out, "\n");
	buf_str(&out, "\nFor other details, see the local mail logfile\n");
	ok = cleanup_text(c, buf_view(&out));
	buf_free(&out);
	return ok;
}

void
postmaster_tell(const struct letter *l)
{
	static unsigned classes;
	static bool known;
	struct err e = {0};
	struct cleanup_client *c;
	struct arena *mem;
	struct span reason;
	uint64_t room;

	if (!known)
		classes = postmaster_classes();
	known = true;
	if ((classes & l->trouble) == 0 || space_missing(&room) != NULL)
		return;
	c = cleanup_start(cleanup_internal_flags("notify"), &e);
	if (c == NULL) {
		log_warning("postmaster notify: %s", e.text);
		return;
	}
	mem = arena_new();
	if (!write_letter(l, c, mem, (l->trouble & TROUBLE_BOUNCE) != 0 ? conf.bounce_notice_recipient : conf.error_notice_recipient) ||
	    cleanup_finish(&c, mem, &reason) != 0)
		log_warning("postmaster notify: queue file write error");
	if (c != NULL)
		cleanup_cancel(&c);
	arena_free(&mem);
}
