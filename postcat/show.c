/*
 * show.c - walks the records of one queue file. The file may be anything: what does not fit is shown or warned of.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "postcat/postcat.h"

struct show {
	const char *path;
	unsigned flags;
	int64_t start;
	struct rec_reader reader;
	int64_t at;			/* where the record, or what led to it, begins */
	struct rec_size size;		/* data_size 0 = unknown */
	bool content, extracted;	/* their markers were seen */
	struct text_filter text;
	bool line_open;			/* what was written last ends in the middle of a line */
	struct buf line;
};

enum next { NEXT_RECORD, NEXT_END, NEXT_BAD };

/* What is wrong with a record that cannot be read: the file ends inside of it, or its length has no end. */
static enum next
broken(const struct show *s)
{
	unsigned char head[5];
	ssize_t n = pread(s->reader.fd, head, sizeof head, s->reader.at);
	size_t len = 0, i = 1;

	if (n <= 0)
		return NEXT_END;
	for (unsigned shift = 0; i < (size_t)n; i++, shift += 7) {
		len |= (size_t)(head[i] & 0x7f) << shift;
		if ((head[i] & 0x80) == 0)
			break;
	}
	if (i == sizeof head)
		log_warning("%s: too many length bits, record type %d", s->path, head[0]);
	else if (i == (size_t)n)
		log_warning("%s: unexpected EOF reading length, record type %d", s->path, head[0]);
	else
		log_warning("%s: unexpected EOF in data, record type %d length %zu", s->path, head[0], len);
	return NEXT_BAD;
}

static bool
follow(struct show *s, const struct rec *r)
{
	int64_t to;

	const struct span text = span_trim(r->payload);

	if (!span_to_i64(text, &to) || to < 0) {
		log_warning("%s: malformed pointer record value: %.*s", s->path, SPAN_ARG(text));
		return false;
	}
	if (to != 0 && to <= r->offset && s->reader.back_jumps++ > 10000) {
		log_warning("%s: too many reverse jump records", s->path);
		return false;
	}
	if (to != 0)
		rec_reader_seek(&s->reader, to);
	return true;
}

/* Next record that is to be seen. In the logical view pointers are followed and padding is skipped. */
static enum next
next(struct show *s, struct rec *r)
{
	for (s->at = s->reader.at; ; ) {
		struct err e = {0};

		if (!rec_next_raw(&s->reader, r, &e))
			return broken(s);
		if (s->flags & SHOW_PHYSICAL)
			return NEXT_RECORD;
		if (r->type == REC_POINTER) {
			if (!follow(s, r))
				return NEXT_BAD;
		} else if (r->type != REC_PAD) {
			return NEXT_RECORD;
		}
	}
}

static void
put_prefix(const struct show *s, const struct rec *r)
{
	if (s->flags & SHOW_FILE)
		(void)printf("%s: ", s->path);
	if (s->flags & SHOW_OFFSET)
		(void)printf("%9ld ", (long)s->at);
	if (s->flags & SHOW_TYPE)
		(void)printf("%3d ", r->type);
}

static void
put_marker(const struct show *s, const struct rec *r, const char *what)
{
	if ((s->flags & SHOW_ENVELOPE) == 0)
		return;
	put_prefix(s, r);
	(void)printf("*** %s %s ***\n", what, s->path);
}

static void
warn(const struct show *s, const char *text)
{
	(void)fflush(stdout);		/* so that both come out in order */
	log_warning("%s: %s", s->path, text);
}

static void
put_text(struct show *s, const struct rec *r)
{
	const bool own_line = (s->flags & (SHOW_OFFSET | SHOW_PHYSICAL)) != 0;

	s->line_open = r->type == REC_CONT && !own_line;
	put_prefix(s, r);
	if (s->flags & SHOW_PHYSICAL)
		(void)fputs(r->type == REC_NORM ? "regular_text: " : "unterminated_text: ", stdout);
	(void)fwrite(r->payload.p, 1, r->payload.n, stdout);
	if (!s->line_open)
		(void)putchar('\n');
}

/* The rest of the content is not wanted: go behind it when the size record says where that is. False: nothing follows. */
static bool
skip_content(struct show *s)
{
	if ((s->flags & SHOW_ENVELOPE) == 0)
		return false;
	if (s->size.data_size > 0)
		rec_reader_seek(&s->reader, s->size.data_offset + s->size.data_size);
	return true;
}

static bool
take_text(struct show *s, const struct rec *r)
{
	switch (text_filter_next(&s->text, r)) {
	case TEXT_SHOW:
		put_text(s, r);
		return true;
	case TEXT_SKIP:
		return true;
	case TEXT_ENOUGH:
		break;
	}
	return skip_content(s);
}

static void
put_record(struct show *s, const struct rec *r)
{
	struct err why = {0};

	unsigned wanted = SHOW_ENVELOPE;

	if (s->content && !s->extracted)	/* what stands in the text goes with the text */
		wanted = SHOW_HEADER | (s->text.body_started ? SHOW_BODY : 0);
	if ((s->flags & wanted) == 0)
		return;
	put_prefix(s, r);
	buf_reset(&s->line);
	if (record_text(r, &s->line, &why)) {
		(void)fwrite(s->line.p, 1, s->line.n, stdout);
		return;
	}
	(void)fflush(stdout);
	log_warning("%s: malformed attribute: %s", s->path, why.text);
}

static bool
take_size(struct show *s, const struct rec *r)
{
	struct rec_size size;

	if (s->size.data_size > 0) {
		(void)fflush(stdout);
		log_warning("file contains multiple size records");
	}
	if (!rec_parse_size(r->payload, &size) || size.data_size <= 0 || size.data_offset <= 0) {
		put_record(s, r);
		(void)fflush(stdout);
		log_warning("invalid size record: %.*s", SPAN_ARG(r->payload));
		return true;
	}
	s->size = size;
	put_record(s, r);
	if ((s->flags & SHOW_ENVELOPE) == 0) {	/* straight to the text */
		rec_reader_seek(&s->reader, size.data_offset);
		s->content = true;
	}
	return true;
}

static bool
take_content_marker(struct show *s, const struct rec *r)
{
	if (s->content)
		warn(s, "out-of-order message content marker");
	s->content = true;
	put_marker(s, r, "MESSAGE CONTENTS");
	return (s->flags & (SHOW_HEADER | SHOW_BODY)) != 0 || skip_content(s);
}

static bool
take_extracted_marker(struct show *s, const struct rec *r)
{
	if (s->line_open && (s->flags & SHOW_ENVELOPE) != 0)
		(void)putchar('\n');
	if (!s->content || s->extracted)
		warn(s, "out-of-order extracted segment marker");
	s->extracted = true;
	put_marker(s, r, "HEADER EXTRACTED");
	return (s->flags & SHOW_ENVELOPE) != 0;
}

static bool
take_end_marker(struct show *s, const struct rec *r)
{
	if (s->content && !s->extracted)
		warn(s, "out-of-order message end marker");
	put_marker(s, r, "MESSAGE FILE END");
	return (s->flags & SHOW_RAW) && (s->flags & SHOW_PHYSICAL);
}

/* Physical view: shown first, then followed unless raw. False: it leads nowhere. */
static bool
take_pointer(struct show *s, const struct rec *r, struct err *e)
{
	put_record(s, r);
	(void)fflush(stdout);
	if ((s->flags & SHOW_RAW) || follow(s, r))
		return true;
	return err_perm(e, "bad pointer record, or input is not seekable");
}

/* False: this was all, or *e. */
static bool
take(struct show *s, const struct rec *r, struct err *e)
{
	const bool text = s->content && !s->extracted;

	switch (r->type) {
	case REC_SIZE:
		return take_size(s, r);
	case REC_MESSAGE:
		return take_content_marker(s, r);
	case REC_EXTRACT:
		return take_extracted_marker(s, r);
	case REC_END:
		return take_end_marker(s, r);
	case REC_POINTER:
		return take_pointer(s, r, e);
	case REC_CONT:
	case REC_NORM:
		if (text)
			return take_text(s, r);
		/* FALLTHROUGH */
	default:
		put_record(s, r);
		return true;
	}
}

/* Judged by the first byte; of a file that is read from its middle nothing can be said. */
static bool
first_fits(struct show *s)
{
	unsigned char type;

	if (s->start != 0 || pread(s->reader.fd, &type, 1, 0) != 1)
		return true;
	if (type != 0 && !rec_type_in((enum rec_type)type, rec_types_envelope)) {
		log_warning("%s: input is not a valid queue file", s->path);
		return false;
	}
	return true;
}

static void
put_start(const struct show *s)
{
	if (s->start == 0 && (s->flags & SHOW_ENVELOPE) != 0)
		(void)printf("*** ENVELOPE RECORDS %s ***\n", s->path);
}

bool
show_file(int fd, const char *path, unsigned flags, int64_t start, struct err *e)
{
	struct show s = { .path = path, .flags = flags, .start = start, .text = { .flags = flags } };
	enum next status = NEXT_END;
	struct rec r;
	bool first = true;

	rec_reader_init(&s.reader, fd, start);
	const bool fits = first_fits(&s);

	while (fits && (status = next(&s, &r)) == NEXT_RECORD) {
		if (first)
			put_start(&s);
		first = false;
		if (!take(&s, &r, e))
			break;
	}
	rec_reader_free(&s.reader);
	buf_free(&s.line);
	(void)fflush(stdout);
	return status == NEXT_BAD ? err_perm(e, "record read error") : e->kind == ERR_NONE;
}
