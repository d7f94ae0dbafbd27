/*
 * postcat.h - private to postcat(1).
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef POSTCAT_POSTCAT_H
#define POSTCAT_POSTCAT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "mail/rec.h"

enum {
	SHOW_ENVELOPE = 1, SHOW_HEADER = 2, SHOW_BODY = 4, SHOW_ALL = 7,
	SHOW_OFFSET = 8, SHOW_TYPE = 16, SHOW_FILE = 32,
	SHOW_RAW = 64,			/* -r: with SHOW_PHYSICAL follow no pointer, go on behind the end marker */
	SHOW_PHYSICAL = 128,		/* -v: pointers and padding too */
};

/* Write one queue file to standard output. False: *e says what is broken; what stands before it was written. */
bool	show_file(int fd, const char *path, unsigned flags, int64_t start, struct err *e);

/* --- text.c: which lines of the content are wanted --- */
struct text_filter {
	unsigned flags;			/* SHOW_HEADER, SHOW_BODY */
	bool header_over, body_started;
	enum rec_type last;
};
enum text_verdict { TEXT_SHOW, TEXT_SKIP, TEXT_ENOUGH };
/* Judge the next text record; TEXT_ENOUGH: this one and all that follow are not wanted. */
enum text_verdict text_filter_next(struct text_filter *, const struct rec *);

/* --- record.c --- */
/* One envelope or extracted record as a line; false: a malformed attribute, *why says what. */
bool	record_text(const struct rec *, struct buf *out, struct err *why);

#endif
