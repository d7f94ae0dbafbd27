/*
 * original.c - the message that a notice is about, read from its queue file. Trusts nothing in it.
 *
 * SPDX-License-Identifier: ISC
 */
#include <fcntl.h>
#include <unistd.h>

#include "bounce/bounce.h"
#include "mail/message_id.h"
#include "mail/queue.h"
#include "mail/rec.h"
#include "smtp/header.h"

static void
take(struct original *o, const struct rec *r)
{
	struct span rest = r->payload, word, name, value;
	struct rec_size size;
	int64_t n;

	if (r->type == REC_SIZE && rec_parse_size(r->payload, &size)) {
		o->data_offset = size.data_offset;
		o->data_size = size.data_size;
		o->cont_length = size.cont_length;
	} else if (r->type == REC_TIME && span_take_word(&rest, " ", &word) && span_to_i64(word, &n)) {
		o->arrival.tv_sec = n;
	} else if (r->type == REC_ATTR && rec_parse_attr(r->payload, &name, &value) && span_is(name, "trace_flags") &&
	    span_to_i64(value, &n)) {
		o->trace_flags = (unsigned)n;
	}
}

void
original_open(struct original *o, const char *queue, const char *id)
{
	struct rec_reader reader;
	struct rec r;

	*o = (struct original){ .fd = queue_open_moving(queue, id, O_RDONLY) };
	if (o->fd < 0)
		return;
	rec_reader_init(&reader, o->fd, 0);
	while (rec_next(&reader, &r, NULL) && r.type != REC_MESSAGE && r.type != REC_RCPT && r.type != REC_DONE)
		take(o, &r);
	rec_reader_free(&reader);
}

void
original_close(struct original *o)
{
	if (o->fd >= 0)
		(void)close(o->fd);
	o->fd = -1;
}

void
original_message_id(struct original *o, struct arena *mem)
{
	if (o->fd >= 0 && o->data_offset > 0)
		o->message_id = message_id_read(o->fd, o->data_offset, mem);
}

bool
original_copy(const struct original *o, bool header_only, bool (*put)(void *, struct span), void *arg)
{
	struct rec_reader reader;
	struct rec r;
	bool ok = true, line_start = true;

	if (o->fd < 0 || o->data_offset <= 0)
		return false;
	rec_reader_init(&reader, o->fd, o->data_offset);
	while (ok && rec_next(&reader, &r, NULL) && (r.type == REC_NORM || r.type == REC_CONT)) {
		if (header_only && line_start && !header_is_continuation(r.payload) && header_name_length(r.payload) == 0)
			break;
		ok = put(arg, r.payload) && (r.type == REC_CONT || put(arg, SPAN("\n")));
		line_start = r.type == REC_NORM;
	}
	rec_reader_free(&reader);
	return ok;
}
