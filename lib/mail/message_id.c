/*
 * message_id.c - reads the primary header of a queue file up to its Message-Id.
 *
 * SPDX-License-Identifier: ISC
 */
#include "base/buf.h"
#include "mail/message_id.h"
#include "mail/rec.h"
#include "smtp/header.h"

#define HEADER_MAX	65536

struct span
message_id_read(int fd, off_t content, struct arena *mem)
{
	struct rec_reader reader;
	struct buf value = {0};
	struct rec r;
	bool line_start = true, mine = false;
	struct span id;

	rec_reader_init(&reader, fd, content);
	while (reader.at < content + HEADER_MAX && rec_next(&reader, &r, NULL) && (r.type == REC_NORM || r.type == REC_CONT)) {
		struct span piece = r.payload;

		if (line_start && !header_is_continuation(piece)) {
			size_t n = header_name_length(piece);

			if (mine || n == 0)
				break;
			mine = span_iis(span_to(piece, n), "Message-Id");
			piece = span_from(piece, span_find(piece, ':') + 1);
		}
		if (mine)
			buf_span(&value, piece);
		line_start = r.type == REC_NORM;
	}
	rec_reader_free(&reader);
	id = span_copy(span_trim(buf_view(&value)), mem);
	buf_free(&value);
	return id;
}
