/*
 * bounce_log.h - bounce/ID, defer/ID, trace/ID: what became of each recipient, one entry a recipient and event.
 * Written by bounce(8) alone; read by bounce(8) and showq(8).
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAIL_BOUNCE_LOG_H
#define MAIL_BOUNCE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/span.h"

/* Absent fields are empty or 0. Every text is one printable line. */
struct log_entry {
	struct span recipient;		/* external form */
	struct span original;		/* external form, empty when the same */
	struct span dsn_orcpt, status, action, reason, diag_type, diag_text, mta_type, mta_name;
	int64_t offset;
	unsigned notify;
};

/* Entries one after the other, with memory for one of them, however long the file is. */
struct log_reader;
struct log_reader *log_reader_open(const char *queue, const char *id);	/* NULL: no file, or not readable */
/* The same for a list, with the memory of a reader that has done: of an entry only recipient, original and reason are told. *r may
 * be NULL at first. False: no file, or not readable. */
bool	log_reader_again(struct log_reader **r, int dir, const char *path);	/* relative to dir, or AT_FDCWD */
int	log_reader_done(struct log_reader *);	/* its descriptor, for the caller to close */
bool	log_reader_next(struct log_reader *, struct log_entry *);	/* texts live until the next call */
void	log_reader_rewind(struct log_reader *);
void	log_reader_close(struct log_reader **);				/* NULL is fine */

#endif
