/*
 * server.c - the machine of an SMTP session: lines, dispatch, counters, content. Knows no policy and does no I/O.
 * The client is a stranger.
 *
 * SPDX-License-Identifier: ISC
 */
#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "smtp/server.h"

#define SKIPPED_TIMES	10		/* of a too long answer's limit */

void
smtp_server_init(struct smtp_server *s, const struct smtp_server_ops *ops, void *owner)
{
	assert(ops->ncommands <= SMTP_COMMANDS_MAX);
	*s = (struct smtp_server){ .ops = ops, .owner = owner, .line_limit = 2048, .where = "CONNECT" };
}

void
smtp_server_free(struct smtp_server *s)
{
	buf_free(&s->out);
	buf_free(&s->line);
	buf_free(&s->text);
}

void
smtp_server_close(struct smtp_server *s)
{
	s->mode = SMTP_SERVER_CLOSED;
}

void
smtp_server_ask(struct smtp_server *s, size_t limit)
{
	s->answer_limit = limit;
	s->mode = SMTP_SERVER_ANSWER;
}

void
smtp_server_uncounted(struct smtp_server *s)
{
	s->uncounted = true;
}

bool
smtp_server_tarpit(const struct smtp_server *s)
{
	return s->soft_limit > 0 && s->errors >= s->soft_limit;
}

/* Every line that another follows has '-' behind its code. */
static void
mark_continuations(struct buf *text)
{
	for (size_t start = 0; start < text->n;) {
		char *lf = memchr(text->p + start, '\n', text->n - start);
		size_t next = lf == NULL ? text->n : (size_t)(lf - text->p) + 1;

		if (next < text->n && next - start > 4)
			text->p[start + 3] = '-';
		start = next;
	}
}

void
smtp_server_reply(struct smtp_server *s, const char *fmt, ...)
{
	struct buf text = {0};
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	buf_str(&text, "\r\n");
	if (s->ops->reply != NULL)
		s->ops->reply(s, &text);
	mark_continuations(&text);
	if (text.n >= 3 && (memcmp(text.p, "421", 3) == 0 || memcmp(text.p, "521", 3) == 0))
		smtp_server_close(s);
	buf_span(&s->out, buf_view(&text));
	buf_free(&text);
}

void
smtp_server_start_data(struct smtp_server *s)
{
	bool lenient = s->dot.lenient;

	s->dot = (struct smtp_dot_in){ .lenient = lenient };
	s->mode = SMTP_SERVER_DATA;
}

void
smtp_server_start_chunk(struct smtp_server *s, uint64_t bytes)
{
	s->chunk_left = bytes;
	s->mode = SMTP_SERVER_CHUNK;
}

static void
count(struct smtp_server *s, bool ok)
{
	size_t i = (size_t)(s->command - s->ops->commands);

	s->total[i]++;
	if (s->uncounted)
		s->uncounted = false;
	else if (ok)
		s->ok[i]++;
	else
		s->errors++;
	if ((s->command->flags & SMTP_COMMAND_JUNK) != 0 && s->junk++ > s->junk_limit && s->junk_limit > 0 && ok)
		s->errors++;
}

static const struct smtp_command *
find_command(const struct smtp_server *s, struct span name)
{
	for (size_t i = 0; i < s->ops->ncommands; i++)
		if (span_iis(name, s->ops->commands[i].name))
			return &s->ops->commands[i];
	return NULL;
}

static void
unknown_command(struct smtp_server *s, struct span name)
{
	s->command = NULL;
	s->where = "UNKNOWN";
	s->unknown++;
	s->errors++;
	s->ops->unknown(s, name);
}

static void
run_line(struct smtp_server *s, struct span line, struct span following)
{
	struct span args, name = {0};
	const struct smtp_command *command;
	bool ok;

	line = span_to(line, span_find(line, '\0'));
	if (!s->ops->line(s, &line))
		return;
	args = line;
	(void)span_take_word(&args, " \t\r\n\v\f", &name);
	command = find_command(s, name);
	if (command == NULL) {
		unknown_command(s, name);
		return;
	}
	s->command = command;
	s->where = command->name;
	s->following = following;
	if (following.n > 0 && (!s->esmtp || (command->flags & SMTP_COMMAND_LAST) != 0)) {
		s->improper_pipelining = true;
		if (s->ops->pipelining(s, following)) {
			count(s, false);
			return;
		}
	}
	ok = command->fn(s, span_trim(args));
	if (s->mode == SMTP_SERVER_COMMAND || s->mode == SMTP_SERVER_CLOSED)
		count(s, ok);
}

/* A line that is not complete yet goes to s->line, as much as is allowed. */
static void
keep_line(struct smtp_server *s, struct span part, size_t limit)
{
	size_t room = limit > s->line.n ? limit - s->line.n : 0;

	buf_span(&s->line, span_to(part, room));
	if (part.n > room)
		s->skipped += part.n - room;
}

static void
endless_line(struct smtp_server *s, struct span *in)
{
	s->improper_pipelining = true;
	(void)s->ops->pipelining(s, SPAN_NULL);
	smtp_server_close(s);
	*in = span_from(*in, in->n);
}

static bool
step_command(struct smtp_server *s, struct span *in)
{
	size_t lf = span_find(*in, '\n');
	struct span line;
	bool complete = lf < in->n;

	keep_line(s, span_to(*in, lf), s->line_limit);
	if (s->skipped > s->line_limit) {
		endless_line(s, in);
		return true;
	}
	*in = span_from(*in, complete ? lf + 1 : lf);
	if (!complete)
		return false;
	line = buf_view(&s->line);
	s->cut = s->skipped > 0;
	s->bare_lf = s->skipped == 0 && (line.n == 0 || line.p[line.n - 1] != '\r');
	while (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	s->skipped = 0;
	run_line(s, line, *in);
	buf_reset(&s->line);
	return true;
}

static bool
step_answer(struct smtp_server *s, struct span *in)
{
	const size_t lf = span_find(*in, '\n');
	const bool complete = lf < in->n;
	struct buf answer;
	struct span line;
	bool ok, too_long;

	keep_line(s, span_to(*in, lf), s->answer_limit);
	*in = span_from(*in, complete ? lf + 1 : lf);
	if (s->skipped > s->answer_limit * SKIPPED_TIMES) {
		endless_line(s, in);
		count(s, false);
		return true;
	}
	if (!complete)
		return false;
	too_long = s->skipped > 0;
	answer = s->line;
	s->line = (struct buf){0};
	s->skipped = 0;
	line = buf_view(&answer);
	while (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	s->mode = SMTP_SERVER_COMMAND;
	ok = s->ops->answer(s, span_to(line, span_find(line, '\0')), too_long);
	buf_free(&answer);
	if (s->mode == SMTP_SERVER_COMMAND || s->mode == SMTP_SERVER_CLOSED)
		count(s, ok);
	return true;
}

static void
content_done(struct smtp_server *s)
{
	bool ok;

	s->mode = SMTP_SERVER_COMMAND;
	ok = s->ops->content_end(s);
	count(s, ok);
	if (ok)
		s->errors = s->junk = 0;
}

static void
give_content(struct smtp_server *s, size_t raw)
{
	if (s->text.n > 0 || raw > 0)
		s->ops->content(s, buf_view(&s->text), raw);
	buf_reset(&s->text);
}

static bool
step_data(struct smtp_server *s, struct span *in)
{
	size_t before = in->n;
	bool end = smtp_dot_decode(&s->dot, in, &s->text);

	give_content(s, before - in->n);
	if (end) {
		s->where = "END-OF-MESSAGE";
		content_done(s);
	}
	return before > 0;
}

static bool
step_chunk(struct smtp_server *s, struct span *in)
{
	struct span part = span_to(*in, s->chunk_left < in->n ? (size_t)s->chunk_left : in->n);

	smtp_chunk_decode(&s->dot, part, &s->text);
	give_content(s, part.n);
	*in = span_from(*in, part.n);
	s->chunk_left -= part.n;
	if (s->chunk_left == 0) {
		content_done(s);
		return true;
	}
	return part.n > 0;
}

bool
smtp_server_step(struct smtp_server *s, struct span *in)
{
	switch (s->mode) {
	case SMTP_SERVER_COMMAND:
		return in->n > 0 && step_command(s, in);
	case SMTP_SERVER_ANSWER:
		return in->n > 0 && step_answer(s, in);
	case SMTP_SERVER_DATA:
		return in->n > 0 && step_data(s, in);
	case SMTP_SERVER_CHUNK:
		return step_chunk(s, in);
	case SMTP_SERVER_CLOSED:
		break;
	}
	return false;
}

static void
put_count(struct buf *out, const char *name, unsigned ok, unsigned total)
{
	buf_byte(out, ' ');
	for (; *name != '\0'; name++)
		buf_byte(out, ascii_lower(*name));
	buf_printf(out, "=%u", ok);
	if (ok != total)
		buf_printf(out, "/%u", total);
}

void
smtp_server_statistics(const struct smtp_server *s, struct buf *out)
{
	unsigned ok = 0, total = s->unknown;

	for (size_t i = 0; i < s->ops->ncommands; i++) {
		if (s->total[i] == 0)
			continue;
		put_count(out, s->ops->commands[i].name, s->ok[i], s->total[i]);
		ok += s->ok[i];
		total += s->total[i];
	}
	if (s->unknown > 0)
		put_count(out, "unknown", 0, s->unknown);
	if (total == 0)
		buf_str(out, " commands=0/0");
	else
		put_count(out, "commands", ok, total);
}
