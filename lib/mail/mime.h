/*
 * mime.h - where in the MIME structure of a message (RFC 2045, 2046) a line stands. No I/O, no copies of text but
 * boundaries. The owner joins header lines; this engine is told of headers, of the ends of header blocks, and of lines that
 * may be boundaries.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAIL_MIME_H
#define MAIL_MIME_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/span.h"
#include "base/vec.h"

enum mime_state {
	MIME_PRIMARY,		/* header of the message itself */
	MIME_PART,		/* header of a part of a multipart */
	MIME_NESTED,		/* header of an attached message */
	MIME_BODY,
};

enum mime_type { MIME_OTHER, MIME_MULTIPART, MIME_MESSAGE, MIME_GLOBAL_MESSAGE, MIME_OTHER_MESSAGE };
enum mime_encoding { MIME_7BIT, MIME_8BIT, MIME_BINARY, MIME_QUOTED_PRINTABLE, MIME_BASE64 };

struct mime {
	enum mime_state state;
	enum mime_type type;		/* of what the header block at hand describes */
	enum mime_encoding encoding;	/* of what the header block at hand describes, then of the body behind it */
	size_t outer;			/* levels that this header block did not open */
	struct vec levels;		/* struct mime_level: open multiparts, outermost first */
	bool too_deep;			/* mime_nesting_limit was reached */
};

void	mime_init(struct mime *);
void	mime_free(struct mime *);
/* A header of the current block. value: what follows the colon, folded or not. */
void	mime_header(struct mime *, struct span name, struct span value);
/* The header block is over: what follows is another header (MIME_NESTED) or a body. */
void	mime_header_end(struct mime *);
/* A line outside the primary header. True: it is a boundary; the state is that of the line behind it. */
bool	mime_boundary(struct mime *, struct span line);
/* Content-*, MIME-Version: subject to mime_header_checks wherever they stand. */
bool	mime_is_mime_header(struct span name);

#endif
