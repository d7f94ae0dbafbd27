/*
 * rec.c - queue file records. Trusts no file: every length, offset and jump is checked.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mail/rec.h"

#define WINDOW_STEP	8192u
#define WINDOW_BIG	65536u
#define MAX_BACK_JUMPS	10000u

const char rec_types_envelope[] = "MCTcFILSDRO/WVA><Kionpw";
const char rec_types_content[] = "XLNwp";
const char rec_types_extracted[] = "EDRO/PreAFIL>Konprw";

static void
put_header(struct buf *b, enum rec_type type, size_t n)
{
	buf_byte(b, (char)type);
	for (; n >= 0x80; n >>= 7)
		buf_byte(b, (char)(n | 0x80));
	buf_byte(b, (char)n);
}

void
rec_put(struct buf *b, enum rec_type type, struct span payload)
{
	put_header(b, type, payload.n);
	buf_span(b, payload);
}

void
rec_putf(struct buf *b, enum rec_type type, const char *fmt, ...)
{
	struct buf text = {0};
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	rec_put(b, type, buf_view(&text));
	buf_free(&text);
}

void
rec_put_attr(struct buf *b, const char *name, struct span value)
{
	size_t n = strlen(name);

	if (value.n == 0)
		return;
	put_header(b, REC_ATTR, n + 1 + value.n);
	buf_add(b, name, n);
	buf_byte(b, '=');
	buf_span(b, value);
}

bool
rec_take(struct span *in, struct rec *out)
{
	size_t len = 0, i = 1;

	for (unsigned shift = 0; ; shift += 7, i++) {
		if (i >= in->n || shift > 21)
			return false;
		len |= (size_t)((unsigned char)in->p[i] & 0x7f) << shift;
		if (((unsigned char)in->p[i] & 0x80) == 0)
			break;
	}
	i++;
	if (len > in->n - i)
		return false;
	out->type = (enum rec_type)(unsigned char)in->p[0];
	out->payload = span(in->p + i, len);
	*in = span_from(*in, i + len);
	return true;
}

void
rec_put_size(struct buf *b, const struct rec_size *s)
{
	rec_putf(b, REC_SIZE, "%15ld %15ld %15ld %15ld %15ld %15ld", (long)s->data_size, (long)s->data_offset,
	    (long)s->rcpt_count, (long)s->qmgr_flags, (long)s->cont_length, (long)s->sendopts);
}

bool
rec_parse_size(struct span payload, struct rec_size *out)
{
	struct rec_size s = {0};
	int64_t *fields[] = { &s.data_size, &s.data_offset, &s.rcpt_count, &s.qmgr_flags, &s.cont_length, &s.sendopts };
	struct span word;
	size_t n = 0;

	while (n < 6 && span_take_word(&payload, " ", &word))
		if (!span_to_i64(word, fields[n]) || *fields[n] > REC_OFFSET_MAX || *fields[n++] < -REC_OFFSET_MAX)
			return false;
	if (n < 5)
		s.cont_length = s.data_size;
	s.sendopts &= 63;
	if (n < 3 && n != 1)
		return false;
	*out = s;
	return true;
}

bool
rec_type_in(enum rec_type type, const char *set)
{
	return type != 0 && strchr(set, (char)type) != NULL;
}

bool
rec_parse_attr(struct span payload, struct span *name, struct span *value)
{
	struct span rest = payload, left;

	if (!span_take_until(&rest, '=', &left))
		return false;
	*name = span_trim(left);
	*value = span_trim(rest);
	return name->n > 0 && span_find_any(*name, " \t\r\n\v\f") == name->n;
}

void
rec_reader_init(struct rec_reader *r, int fd, int64_t offset)
{
	*r = (struct rec_reader){ .fd = fd, .at = offset };
}

void
rec_reader_again(struct rec_reader *r, int fd, int64_t offset)
{
	struct buf window = r->window;

	buf_reset(&window);
	rec_reader_init(r, fd, offset);
	r->window = window;
}

void rec_reader_free(struct rec_reader *r) { buf_free(&r->window); }
void rec_reader_seek(struct rec_reader *r, int64_t offset) { r->at = offset; }

/* Make at least one more byte behind offset at + have available. False at end of file. */
static bool
extend(struct rec_reader *r, struct err *e)
{
	int64_t window_end = r->window_at + (int64_t)r->window.n;

	if (r->at < r->window_at || r->at > window_end) {
		buf_reset(&r->window);
		r->window_at = r->at;
	} else {
		buf_drop(&r->window, (size_t)(r->at - r->window_at));
		r->window_at = r->at;
	}
	size_t step = r->window.n < WINDOW_STEP && r->window_at == 0 ? WINDOW_STEP : WINDOW_BIG;

	buf_reserve(&r->window, step);
	ssize_t n;

	do {
		n = pread(r->fd, r->window.p + r->window.n, step, r->window_at + (int64_t)r->window.n);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_temp(e, "queue file read error: %s", strerror(errno));
	if (n == 0)
		return err_perm(e, "unexpected end of queue file");
	r->window.n += (size_t)n;
	return true;
}

bool
rec_next_raw(struct rec_reader *r, struct rec *out, struct err *e)
{
	for (;;) {
		int64_t skip = r->at - r->window_at;
		bool inside = skip >= 0 && skip <= (int64_t)r->window.n;
		struct span in = inside && r->window.p != NULL ? span_from(buf_view(&r->window), (size_t)skip) : SPAN_NULL;
		struct span rest = in;

		if (rec_take(&rest, out)) {
			out->offset = r->at;
			r->at += (int64_t)(in.n - rest.n);
			return true;
		}
		if (in.n >= 6 && (in.p[1] & in.p[2] & in.p[3] & in.p[4] & 0x80))
			return err_perm(e, "queue file record has too many length bits");
		if (in.n > REC_MAX_PAYLOAD)
			return err_perm(e, "queue file record is too long");
		if (!extend(r, e))
			return false;
	}
}

static bool
follow(struct rec_reader *r, const struct rec *p, struct err *e)
{
	int64_t to;

	if (!span_to_i64(span_trim(p->payload), &to) || to < 0 || to > REC_OFFSET_MAX)
		return err_perm(e, "queue file has a bad pointer record");
	if (to == 0)
		return true;
	if (to <= p->offset && ++r->back_jumps > MAX_BACK_JUMPS)
		return err_perm(e, "queue file has a pointer loop");
	r->at = to;
	return true;
}

bool
rec_next(struct rec_reader *r, struct rec *out, struct err *e)
{
	while (rec_next_raw(r, out, e)) {
		if (out->type == REC_POINTER) {
			if (!follow(r, out, e))
				return false;
		} else if (out->type != REC_PAD) {
			return true;
		}
	}
	return false;
}

bool
rec_mark(int fd, int64_t offset, enum rec_type type)
{
	char byte = (char)type;

	return pwrite(fd, &byte, 1, offset) == 1;
}
