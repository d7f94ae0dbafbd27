/*
 * mime_7bit.c - see mime_7bit.h. Only parts that say that they are 8bit or binary are encoded; headers stay as they are. Memory:
 * one header, which cleanup(8) has bounded (header_size_limit), and what mime.c holds.
 *
 * SPDX-License-Identifier: ISC
 */
#include "mail/mime_7bit.h"
#include "smtp/header.h"

#define SOFT_BREAK	72		/* a line with more columns than this gets nothing more */

void
mime_7bit_init(struct mime_7bit *c)
{
	*c = (struct mime_7bit){0};
	mime_init(&c->mime);
}

void
mime_7bit_free(struct mime_7bit *c)
{
	mime_free(&c->mime);
	buf_free(&c->header);
	buf_free(&c->line);
}

/* --- quoted-printable --- */

static void
put(struct mime_7bit *c, unsigned char byte, bool encode, struct buf *out)
{
	static const char hex[] = "0123456789ABCDEF";

	if (c->column > SOFT_BREAK) {
		buf_str(out, "=\n");
		c->column = 0;
	}
	if (encode) {
		buf_byte(out, '=');
		buf_byte(out, hex[byte >> 4]);
		buf_byte(out, hex[byte & 15]);
	} else {
		buf_byte(out, (char)byte);
	}
	c->column += encode ? 3 : 1;
}

static void
put_held(struct mime_7bit *c, bool line_end, struct buf *out)
{
	if (c->held != 0)
		put(c, (unsigned char)c->held, line_end, out);
	c->held = 0;
}

static void
quote(struct mime_7bit *c, struct span text, bool line_end, struct buf *out)
{
	for (size_t i = 0; i < text.n; i++) {
		unsigned char byte = (unsigned char)text.p[i];

		put_held(c, false, out);
		if (byte == ' ' || byte == '\t')
			c->held = text.p[i];
		else
			put(c, byte, byte < 32 || byte == '=' || byte > 126, out);
	}
	if (!line_end)
		return;
	put_held(c, true, out);
	buf_byte(out, '\n');
	c->column = 0;
}

/* --- structure --- */

static bool
is_8bit(const struct mime *m)
{
	return m->encoding == MIME_8BIT || m->encoding == MIME_BINARY;
}

static void
end_header(struct mime_7bit *c, struct buf *out)
{
	struct span text = buf_view(&c->header), name = SPAN_NULL, value = text;

	if (text.n == 0)
		return;
	if (span_take_until(&value, ':', &name)) {
		name = span_rtrim(name);
		mime_header(&c->mime, name, value);
	}
	if (!span_iis(name, "Content-Transfer-Encoding") || !is_8bit(&c->mime)) {
		buf_span(out, text);
		buf_byte(out, '\n');
	}
	buf_reset(&c->header);
}

static void
end_block(struct mime_7bit *c, struct buf *out)
{
	end_header(c, out);
	enum mime_type type = c->mime.type;
	bool compound = type == MIME_MULTIPART || type == MIME_MESSAGE || type == MIME_OTHER_MESSAGE;
	/* A message/partial is called 7bit, and encoded all the same: so the reference. */
	c->quoting = is_8bit(&c->mime) && (!compound || type == MIME_OTHER_MESSAGE);
	if (is_8bit(&c->mime))
		buf_printf(out, "Content-Transfer-Encoding: %s\n", compound ? "7bit" : "quoted-printable");
	mime_header_end(&c->mime);
}

static void
body(struct mime_7bit *c, struct span text, bool line_end, struct buf *out)
{
	if (!c->mid_line && mime_boundary(&c->mime, text))
		c->quoting = false;
	c->mid_line = !line_end;
	if (c->quoting) {
		quote(c, text, line_end, out);
		return;
	}
	buf_span(out, text);
	if (line_end)
		buf_byte(out, '\n');
}

static void
header_line(struct mime_7bit *c, struct span line, struct buf *out)
{
	if (c->header.n > 0 && header_is_continuation(line)) {
		buf_byte(&c->header, '\n');
		buf_span(&c->header, line);
		return;
	}
	end_header(c, out);
	if (header_name_length(line) > 0) {
		buf_span(&c->header, line);
		return;
	}
	end_block(c, out);
	if (line.n == 0)
		buf_byte(out, '\n');
	else
		body(c, line, true, out);
}

void
mime_7bit_add(struct mime_7bit *c, struct span text, bool line_end, struct buf *out)
{
	if (c->mid_line || (c->mime.state == MIME_BODY && c->line.n == 0)) {
		body(c, text, line_end, out);
		return;
	}
	if (line_end && c->line.n == 0) {
		header_line(c, text, out);
		return;
	}
	buf_span(&c->line, text);
	if (!line_end)
		return;
	header_line(c, buf_view(&c->line), out);
	buf_reset(&c->line);
}

void
mime_7bit_end(struct mime_7bit *c, struct buf *out)
{
	if (c->line.n > 0)
		header_line(c, buf_view(&c->line), out);
	buf_reset(&c->line);
	if (c->mime.state != MIME_BODY)
		end_block(c, out);
}
