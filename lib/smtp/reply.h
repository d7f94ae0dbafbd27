/*
 * reply.h - replies of an SMTP server (RFC 5321 4.2), as a client reads them. No I/O; bounded memory.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef SMTP_REPLY_H
#define SMTP_REPLY_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/span.h"

#define SMTP_REPLY_LINE_MAX	2048	/* longer lines are cut */
#define SMTP_REPLY_TEXT_MAX	32768	/* of all lines together; the rest is dropped */
#define SMTP_REPLY_LINES_MAX	1000	/* then the server is not one to talk to */

enum smtp_reply_state {
	SMTP_REPLY_MORE,	/* lines are to come */
	SMTP_REPLY_DONE,
	SMTP_REPLY_ENDLESS,	/* SMTP_REPLY_LINES_MAX */
};

struct smtp_reply {
	int code;		/* 100..999; 0 while unknown */
	char dsn[12];		/* "5.1.1" of the last line when its class fits the code, else "" */
	struct buf text;	/* lines joined with LF, control bytes as '?', e.g. "250-a\n250 b" */
	unsigned lines;
	bool garbage;		/* some line did not look like a reply */
};

/* {0} to start. Keeps the buffer for the next reply. */
void	smtp_reply_reset(struct smtp_reply *);
void	smtp_reply_free(struct smtp_reply *);
/* One line; its line end is removed here. */
enum smtp_reply_state smtp_reply_line(struct smtp_reply *, struct span line);

#endif
