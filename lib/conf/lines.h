/*
 * lines.h - logical lines of configuration files and table sources: a line that starts with white space
 * continues the one before it; empty lines and lines whose first text is '#' are skipped, also inside.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef CONF_LINES_H
#define CONF_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

struct lines {
	const char *name;	/* of the file, for messages; not copied */
	unsigned first, last;	/* physical line numbers of the line just returned */
	struct buf text;	/* the line just returned */
	struct buf input;	/* private: read, not yet used */
	size_t at;		/* private: offset in input */
	unsigned read;		/* private: physical lines used */
	int fd;			/* private: -1 when all is in input */
	bool end, failed;	/* private; failed: see lines_close */
};

/* Read a file. False: cannot be opened, "open NAME: No such file or directory". */
bool	lines_open(struct lines *, const char *name, struct err *);
void	lines_open_fd(struct lines *, int fd, const char *name);	/* the descriptor is closed by lines_close */
void	lines_open_text(struct lines *, struct span text, const char *name);	/* the bytes are copied */

/* The next logical line, without its newlines; valid until the next call. False at the end. Logs Postfix's
 * warnings for NUL bytes and for a first line that starts with white space (which is skipped). */
bool	lines_next(struct lines *, struct span *line);

/* Release. False when reading failed in between; then errno tells why. */
bool	lines_close(struct lines *);

#endif
