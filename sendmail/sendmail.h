/*
 * sendmail.h - private to sendmail(1).
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef SENDMAIL_SENDMAIL_H
#define SENDMAIL_SENDMAIL_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/span.h"

struct submission {
	struct arena *mem;
	const char *sender;		/* -f; NULL = login name */
	struct span from;		/* internal form of it */
	const char *full_name;		/* -F; NULL = NAME or gecos */
	const char *encoding, *envelope_id, *verp;
	unsigned notify, ret_flags, trace_flags;
	bool remote;			/* -G */
	bool extract;			/* -t */
	bool ignore_dots;		/* -i */
	bool probe;			/* -bv: no content is read */
	char **recipients;		/* NULL behind the last */
};

/* Read the message from standard input and put it into the queue through postdrop(1). Fatal on failure. */
void	submit(struct submission *);

/* --- extract.c: -t --- */
struct extractor {
	struct buf header;		/* the header being read */
	struct buf plain, resent;	/* recipients as R records, internal form */
	bool have_resent, done, too_long;
};
/* Look at one line of the header block (without LF). */
void	extract_line(struct extractor *, struct span line, struct arena *mem);
void	extract_end(struct extractor *, struct arena *mem);
struct span extract_recipients(const struct extractor *);	/* R records */
void	extract_free(struct extractor *);

#endif
