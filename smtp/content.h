/*
 * content.h - a message between queue file and wire: conversion to 7 bit, checks, generic addresses, dots. Private to smtp(8).
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef SMTP_CONTENT_H
#define SMTP_CONTENT_H

#include "mail/checks.h"
#include "mail/delivery.h"
#include "mail/mime_7bit.h"
#include "smtp/dot.h"

struct outbound {
	const struct delivery *d;
	struct arena *work;		/* of one lookup */
	struct smtp_dot_out dot;
	bool to_7bit;
	struct mime_7bit conversion;
	struct buf text;		/* what came of a conversion, lines with LF; a quoted line may wait for its end */
	bool look;			/* lines are looked at before they leave */
	struct mime mime;		/* of the line at hand, while they are */
	struct buf line, header;	/* a header line whose end has not come yet; header: LF between its lines */
	bool mid_line;			/* of a body */
	struct buf out;			/* for the wire */
};

void	outbound_init(struct outbound *, const struct delivery *, bool to_7bit);
void	outbound_free(struct outbound *);
/* A piece of a line; what can be said of it is added to out. False: a table failed, which is logged. */
bool	outbound_add(struct outbound *, struct span piece, bool line_end);
bool	outbound_end(struct outbound *);
/* Complete lines with LF between them, as they are. */
void	outbound_lines(struct outbound *, struct span lines);

/* --- checks.c: smtp_header_checks, smtp_mime_header_checks, smtp_nested_header_checks, smtp_body_checks --- */
void	smtp_checks_init(void);
bool	smtp_checks_any(void);
bool	smtp_checks_wanted(enum check_kind);
/* CHECK_FAILED was logged. *text may be changed; the new text lives until the next call. */
enum check_verdict smtp_check(struct outbound *, enum check_kind, struct span *text);

#endif
