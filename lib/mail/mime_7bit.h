/*
 * mime_7bit.h - a message with 8-bit text made one that 7-bit servers take: bodies to quoted-printable (RFC 2045 6.7). No I/O.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAIL_MIME_7BIT_H
#define MAIL_MIME_7BIT_H

#include "mail/mime.h"

struct mime_7bit {
	struct mime mime;
	struct buf header;		/* lines of the header at hand, LF between them */
	struct buf line;		/* a header line whose end has not come yet */
	bool quoting;			/* the body at hand is being encoded */
	bool mid_line;
	size_t column;
	char held;			/* a blank that may turn out to be the last of its line; 0: none */
};

void	mime_7bit_init(struct mime_7bit *);
void	mime_7bit_free(struct mime_7bit *);
/* A piece of a line, the first long enough to tell a boundary; what can be said of it is added to out, lines with LF. The last piece of a message ends a line. */
void	mime_7bit_add(struct mime_7bit *, struct span text, bool line_end, struct buf *out);
/* What is left, a header without body. */
void	mime_7bit_end(struct mime_7bit *, struct buf *out);

#endif
