/*
 * content.c - a message between queue file and wire: 8-bit text for servers that take 7 bits only, then checks and
 * generic addresses, then dots and line ends. Input comes in pieces cut anywhere. Text is a stranger's: header and line
 * buffers hold what cleanup(8) let into the queue file, no more than a header or a piece of a line at a time.
 *
 * SPDX-License-Identifier: ISC
 */
#include "base/log.h"
#include "conf/conf.h"
#include "smtp/content.h"
#include "smtp/header.h"
#include "smtp/smtp.h"

void
outbound_init(struct outbound *o, const struct delivery *d, bool to_7bit)
{
	*o = (struct outbound){ .d = d, .dot = { .line_limit = (size_t)conf.smtp_line_length_limit }, .to_7bit = to_7bit,
	    .look = smtp_generic_wanted() || smtp_checks_any() };
	mime_7bit_init(&o->conversion);
	mime_init(&o->mime);
	if (o->look)
		o->work = arena_new();
}

void
outbound_free(struct outbound *o)
{
	mime_7bit_free(&o->conversion);
	mime_free(&o->mime);
	buf_free(&o->text);
	buf_free(&o->line);
	buf_free(&o->header);
	buf_free(&o->out);
	if (o->work != NULL)
		arena_free(&o->work);
}

static void
put(struct outbound *o, struct span piece, bool line_end)
{
	bool told = o->dot.broke_line;

	smtp_dot_encode(&o->dot, piece, line_end, &o->out);
	if (o->dot.broke_line && !told)
		log_info("%.*s: breaking line > %d bytes with <CR><LF>SPACE", SPAN_ARG(o->d->queue_id), conf.smtp_line_length_limit);
}

void
outbound_lines(struct outbound *o, struct span lines)
{
	struct span line;

	while (span_take_until(&lines, '\n', &line))
		put(o, line, true);
	put(o, lines, true);
}

/* --- header --- */

/* A header that a conversion made is no MIME header to the reference: it is looked up as any of the block's. */
static enum check_kind
kind_of(const struct outbound *o, struct span name)
{
	bool made = o->to_7bit && span_iis(name, "Content-Transfer-Encoding");

	if (mime_is_mime_header(name) && !made)
		return CHECK_MIME;
	return o->mime.state == MIME_PRIMARY ? CHECK_HEADER : o->mime.state == MIME_NESTED ? CHECK_NESTED : CHECK_MIME;
}

static bool
put_generic(struct outbound *o, struct span lines)
{
	struct buf changed = {0};
	bool ok = smtp_generic_header(lines, o->d->mem, &changed);

	if (ok)
		outbound_lines(o, buf_view(&changed));
	buf_free(&changed);
	return ok;
}

static bool
end_header(struct outbound *o)
{
	struct span lines = buf_view(&o->header), value = lines, name = SPAN_NULL;
	bool ok = true;

	if (lines.n == 0)
		return true;
	if (span_take_until(&value, ':', &name)) {
		name = span_rtrim(name);
		mime_header(&o->mime, name, value);
	}
	switch (smtp_check(o, kind_of(o, name), &lines)) {
	case CHECK_DROP:
		break;
	case CHECK_REPLACE:
		outbound_lines(o, lines);
		break;
	case CHECK_FAILED:
		ok = false;
		break;
	case CHECK_KEEP:
		if (o->mime.state == MIME_PRIMARY && smtp_generic_wanted())
			ok = put_generic(o, lines);
		else
			outbound_lines(o, lines);
		break;
	}
	buf_reset(&o->header);
	return ok;
}

/* A line of a body, or a piece of an overlong one. */
static bool
body(struct outbound *o, struct span text, bool line_end)
{
	if (!o->mid_line)
		(void)mime_boundary(&o->mime, text);
	o->mid_line = !line_end;
	switch (smtp_check(o, CHECK_BODY, &text)) {
	case CHECK_DROP:
		return true;
	case CHECK_FAILED:
		return false;
	case CHECK_KEEP:
	case CHECK_REPLACE:
		break;
	}
	put(o, text, line_end);
	return true;
}

static bool
header_line(struct outbound *o, struct span line)
{
	if (o->header.n > 0 && header_is_continuation(line)) {
		buf_byte(&o->header, '\n');
		buf_span(&o->header, line);
		return true;
	}
	if (!end_header(o))
		return false;
	if (header_name_length(line) > 0) {
		buf_span(&o->header, line);
		return true;
	}
	mime_header_end(&o->mime);
	o->look = smtp_checks_any();	/* generic addresses are those of the primary header */
	if (line.n > 0 && o->look)
		return body(o, line, true);
	put(o, line, true);
	return true;
}

static bool
look(struct outbound *o, struct span piece, bool line_end)
{
	bool ok;

	if (!o->look) {
		put(o, piece, line_end);
		return true;
	}
	if (o->mid_line || (o->mime.state == MIME_BODY && o->line.n == 0))
		return body(o, piece, line_end);
	if (line_end && o->line.n == 0)
		return header_line(o, piece);
	buf_span(&o->line, piece);
	if (!line_end)
		return true;
	ok = header_line(o, buf_view(&o->line));
	buf_reset(&o->line);
	return ok;
}

/* --- conversion --- */

/* Lines of a conversion. all: a last one without end is complete, too. */
static bool
look_converted(struct outbound *o, bool all)
{
	struct span text = buf_view(&o->text), line;
	bool ok = true;

	while (ok && span_take_until(&text, '\n', &line))
		ok = look(o, line, true);
	if (ok && text.n > 0 && (all || !o->conversion.quoting)) {
		ok = look(o, text, false);
		text.n = 0;
	}
	buf_drop(&o->text, o->text.n - text.n);
	return ok;
}

bool
outbound_add(struct outbound *o, struct span piece, bool line_end)
{
	if (!o->to_7bit)
		return look(o, piece, line_end);
	mime_7bit_add(&o->conversion, piece, line_end, &o->text);
	return look_converted(o, false);
}

bool
outbound_end(struct outbound *o)
{
	bool ok = true;

	if (o->to_7bit) {
		mime_7bit_end(&o->conversion, &o->text);
		ok = look_converted(o, true);
	}
	if (ok && o->line.n > 0)
		ok = header_line(o, buf_view(&o->line));
	ok = ok && end_header(o);
	smtp_dot_end(&o->dot, &o->out);
	return ok;
}
