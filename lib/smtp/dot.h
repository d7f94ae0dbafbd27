/*
 * dot.h - message content on the wire (RFC 5321 4.5.2): CR LF lines, leading dots doubled, "." ends it.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef SMTP_DOT_H
#define SMTP_DOT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/span.h"

/* --- wire to text --- */
struct smtp_dot_in {
	bool lenient;		/* any mixture of LF "." LF and CR LF ends the data (smtpd_forbid_bare_newline = no) */
	bool bare_lf;		/* set when a line ended without CR */
	enum { SMTP_DOT_MID = 1, SMTP_DOT_DOT, SMTP_DOT_START = 0 } at;
	bool after_bare_lf;	/* the line before this one ended without CR */
	size_t held_cr;		/* CRs whose successor is not known yet */
};

/*
 * Decode what is there; text with LF line ends goes to out. True: the end of data was found and consumed, the rest of
 * *in is not content. False: all of *in is consumed and more is needed. {0} to start.
 * Not lenient: only CR LF "." CR LF is the end; LF alone ends a line but never the data.
 */
bool	smtp_dot_decode(struct smtp_dot_in *, struct span *in, struct buf *out);

/* The same for BDAT (RFC 3030): no dots, no end; lines by the same rules. At the end of all chunks call the second. */
void	smtp_chunk_decode(struct smtp_dot_in *, struct span in, struct buf *out);
void	smtp_chunk_end(struct smtp_dot_in *, struct buf *out);

/* --- text to wire --- */
struct smtp_dot_out {
	size_t line_limit;	/* smtp_line_length_limit; 0 = none */
	size_t column;		/* bytes of this line so far */
	bool broke_line;	/* set when a line had to be broken */
};

/* Encode a piece of a line; stray CR and LF become spaces. line_end: the line is complete. */
void	smtp_dot_encode(struct smtp_dot_out *, struct span text, bool line_end, struct buf *out);
/* Ends an unfinished line and adds ".\r\n". */
void	smtp_dot_end(struct smtp_dot_out *, struct buf *out);

#endif
