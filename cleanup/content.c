/*
 * content.c - message text into records: the header block is handed to header.c header by header, body lines are
 * copied. Input comes in pieces cut anywhere.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "cleanup/cleanup.h"
#include "conf/conf.h"
#include "smtp/header.h"

#define FLUSH_AT	65536u

/* A record's text with each stray CR (or LF) made a blank; message text has no other line ends than its own. */
static void
put_text(struct message *m, enum rec_type type, struct span text)
{
	size_t at;

	rec_put(&m->out, type, text);
	if (!conf.cleanup_replace_stray_cr_lf || span_find(text, '\r') == text.n)
		return;
	at = m->out.n - text.n;
	for (size_t i = at; i < m->out.n; i++)
		if (m->out.p[i] == '\r')
			m->out.p[i] = ' ';
}

static size_t
line_limit(void)
{
	return conf.line_length_limit > 0 ? (size_t)conf.line_length_limit : REC_LINE_MAX;
}

/* One line without LF: pieces of line_length_limit as L records, the rest as N. */
static void
put_line(struct message *m, struct span line)
{
	size_t limit = line_limit();

	while (line.n > limit) {
		put_text(m, REC_CONT, span_to(line, limit));
		line = span_from(line, limit);
	}
	put_text(m, REC_NORM, line);
}

void
content_put_lines(struct message *m, struct span lines)
{
	struct span line;

	while (span_take_until(&lines, '\n', &line))
		put_line(m, line);
	if (lines.n > 0)
		put_line(m, lines);
	message_flush(m, FLUSH_AT);
}

static void
take_pending_header(struct message *m)
{
	if (m->header.n == 0)
		return;
	if (m->mime.state == MIME_PRIMARY)
		header_take(m, buf_view(&m->header));
	else
		header_take_part(m, buf_view(&m->header));
	buf_reset(&m->header);
}

/* --- body --- */

/* A line, or a piece of an over-long one. */
static void
body_piece(struct message *m, enum rec_type type, struct span text)
{
	if (m->part_offset < (size_t)conf.body_checks_size_limit && checks_wanted(m, CHECK_BODY) &&
	    check_text(m, CHECK_BODY, &text) == CHECK_DROP)
		return;
	m->part_offset += text.n + 1;
	put_text(m, type, text);
}

static void
body_line(struct message *m, struct span line)
{
	size_t limit = line_limit();

	strict_body(m, line);
	if (mime_boundary(&m->mime, span_to(line, limit)) && m->mime.state == MIME_BODY)
		m->part_offset = 0;		/* the line that opens a part still counts for the one before */
	while (line.n > limit) {
		body_piece(m, REC_CONT, span_to(line, limit));
		line = span_from(line, limit);
	}
	if (!m->unfinished) {
		body_piece(m, REC_NORM, line);
		return;
	}
	/* A last line without an end is given an empty one, as other writers of queue files do. */
	body_piece(m, REC_CONT, line);
	put_text(m, REC_NORM, SPAN_NULL);
}

/* --- headers --- */

/* No empty line ended the header: the line that did is body. */
static void
note_unfinished(struct message *m, struct span line)
{
	const char *action = conf.non_empty_end_of_header_action;

	if (strcmp(action, "add_header") == 0) {
		content_put_lines(m, SPAN("MIME-Error: message header was not terminated by empty line"));
	} else if (strcmp(action, "reject") == 0) {
		mime_error(m, MIME_ERROR_HEADER_END, line);
	}
}

static void
end_of_header(struct message *m, struct span first_body_line)
{
	take_pending_header(m);
	if (first_body_line.n > 0)
		note_unfinished(m, first_body_line);
	header_end(m);
	strict_header_block_end(m);
	mime_header_end(&m->mime);
	rec_put(&m->out, REC_NORM, SPAN_NULL);
	if (first_body_line.n > 0)
		body_line(m, first_body_line);
}

/* Bounded: what is beyond header_size_limit is dropped. */
static void
continue_header(struct message *m, struct span line)
{
	if (m->header.n < (size_t)conf.header_size_limit) {
		buf_byte(&m->header, '\n');
		buf_span(&m->header, line);
	}
}

static void
header_line(struct message *m, struct span line)
{
	bool first = !m->any_content;

	line = span_to(line, span_find(line, '\0'));	/* a header is text: NUL ends its line, as in the reference */

	m->any_content = true;
	if (m->header.n > 0 && header_is_continuation(line)) {
		continue_header(m, line);
		return;
	}
	take_pending_header(m);
	if (first && header_is_mbox_line(line)) {
		buf_str(&m->header, "X-Mailbox-Line: ");
		buf_span(&m->header, line);
	} else if (header_name_length(line) > 0) {
		buf_span(&m->header, line);
	} else {
		end_of_header(m, line);
	}
}

/* In the header of a part or of an attached message: its end needs no empty line, and a boundary may end it. */
static void
part_header_line(struct message *m, struct span line)
{
	line = span_to(line, span_find(line, '\0'));
	if (m->header.n > 0 && header_is_continuation(line)) {
		continue_header(m, line);
		return;
	}
	take_pending_header(m);
	if (header_name_length(line) > 0) {
		buf_span(&m->header, line);
		return;
	}
	strict_header_block_end(m);
	mime_header_end(&m->mime);
	m->part_offset = 0;
	if (line.n == 0)
		rec_put(&m->out, REC_NORM, SPAN_NULL);
	else
		body_line(m, line);
}

static void
complete_line(struct message *m, struct span line)
{
	line = strict_clean(m, line);
	switch (m->mime.state) {
	case MIME_PRIMARY:
		header_line(m, line);
		break;
	case MIME_PART:
	case MIME_NESTED:
		part_header_line(m, line);
		break;
	case MIME_BODY:
		body_line(m, line);
		break;
	}
}

static void
take_text(struct message *m, struct span text)
{
	struct span line;

	while (message_wanted(m) && span_take_until(&text, '\n', &line)) {
		if (m->line.n > 0) {
			buf_span(&m->line, line);
			complete_line(m, buf_view(&m->line));
			buf_reset(&m->line);
		} else {
			complete_line(m, line);
		}
		message_flush(m, FLUSH_AT);
	}
	if (!message_wanted(m))
		return;
	buf_span(&m->line, text);
	/* A body line without end is passed on in pieces, so that memory stays bounded; in the header it is cut. */
	if (m->mime.state == MIME_BODY && m->line.n > FLUSH_AT) {
		size_t limit = line_limit();
		size_t whole = (m->line.n - 1) / limit * limit;

		for (size_t i = 0; i < whole; i += limit)
			body_piece(m, REC_CONT, strict_clean(m, span(m->line.p + i, limit)));
		buf_drop(&m->line, whole);
		message_flush(m, FLUSH_AT);
	} else if (m->mime.state != MIME_BODY && m->line.n > (size_t)conf.header_size_limit + FLUSH_AT) {
		buf_cut(&m->line, (size_t)conf.header_size_limit + 1);
	}
}

/* force_mime_input_conversion. A line without end is given on in pieces that are long enough to tell a boundary. */
static void
convert(struct message *m, struct span text, bool end)
{
	const size_t limit = line_limit();
	struct buf out = {0};
	struct span line;

	buf_span(&m->to_7bit_line, text);
	text = buf_view(&m->to_7bit_line);
	while (text.n > 0) {
		const bool whole = span_find(text, '\n') <= limit && span_take_until(&text, '\n', &line);

		if (!whole && text.n <= limit)
			break;
		if (!whole) {
			line = span_to(text, limit);
			text = span_from(text, limit);
		}
		mime_7bit_add(m->to_7bit, line, whole, &out);
	}
	buf_drop(&m->to_7bit_line, m->to_7bit_line.n - text.n);
	if (end) {
		if (m->to_7bit_line.n > 0)
			mime_7bit_add(m->to_7bit, buf_view(&m->to_7bit_line), true, &out);
		mime_7bit_end(m->to_7bit, &out);
	}
	take_text(m, buf_view(&out));
	buf_free(&out);
}

void
content_text(struct message *m, struct span text)
{
	if (!conf.force_mime_input_conversion) {
		take_text(m, text);
		return;
	}
	if (m->to_7bit == NULL) {
		m->to_7bit = ARENA_NEW(m->mem, struct mime_7bit);
		mime_7bit_init(m->to_7bit);
	}
	convert(m, text, false);
}

void
content_end(struct message *m)
{
	if (m->to_7bit != NULL && message_wanted(m))
		convert(m, SPAN_NULL, true);
	if (!message_wanted(m))
		return;
	if (m->line.n > 0) {
		m->unfinished = true;
		complete_line(m, buf_view(&m->line));
	}
	take_pending_header(m);
	if (m->mime.state == MIME_PRIMARY) {
		header_end(m);
		mime_header_end(&m->mime);
	}
	strict_end(m);
	m->size.data_size = m->size.cont_length = message_offset(m) - m->size.data_offset;
	rec_put(&m->out, REC_EXTRACT, SPAN_NULL);
}
