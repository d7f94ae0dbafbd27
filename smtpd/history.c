/*
 * history.c - what was said in the session, and which kinds of trouble it had: for letters to the postmaster.
 *
 * SPDX-License-Identifier: ISC
 */
#include "base/log.h"
#include "conf/conf.h"
#include "smtpd/smtpd.h"

void
smtpd_trouble(struct smtpd *s, unsigned bits)
{
	s->trouble |= bits;
	s->trouble_known = true;
}

void
smtpd_history_input(struct smtpd *s, struct span line)
{
	s->trouble_known = false;
	transcript_add(&s->history, "In:  ", line);
	log_debug("< %s: %.*s", s->client.id, SPAN_ARG(line));
}

/* The lines of a reply; a refusal that nobody has named a reason for is the client's mistake. */
void
smtpd_history_output(struct smtpd *s, struct span text)
{
	struct span line;

	if (text.n > 0 && (text.p[0] == '4' || text.p[0] == '5') && !s->trouble_known)
		smtpd_trouble(s, TROUBLE_PROTOCOL);
	while (span_take_until(&text, '\n', &line)) {
		size_t n = line.n > 0 && line.p[line.n - 1] == '\r' ? line.n - 1 : line.n;

		if (text.n > 0 && n > 4) {
			char *copy = span_cstr(line, s->work);

			copy[3] = '-';
			line.p = copy;
		}
		line = span_to(line, n);
		transcript_add(&s->history, "Out: ", line);
		log_debug("> %s: %.*s", s->client.id, SPAN_ARG(line));
	}
}

static void
tell(struct smtpd *s, const char *reason)
{
	const struct letter l = { .trouble = s->trouble, .transcript = &s->history, .reason = reason,
	    .subject = arena_printf(s->work, "SMTP server: errors from %s", s->client.id) };

	if (s->trouble != 0 && !s->stand_alone)
		postmaster_tell(&l);
}

void
smtpd_history_flush(struct smtpd *s)
{
	if (s->history.lines <= (size_t)conf.smtpd_history_flush_threshold)
		return;
	tell(s, NULL);
	s->trouble = 0;
	transcript_reset(&s->history);
}

void
smtpd_history_end(struct smtpd *s, const char *reason)
{
	tell(s, reason);
	transcript_free(&s->history);
}
