/*
 * postqueue.h - private to postqueue(1).
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef POSTQUEUE_POSTQUEUE_H
#define POSTQUEUE_POSTQUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"
#include "base/vec.h"
#include "io/stream.h"
#include "mail/selection.h"

/* One message of the list. */
struct entry {
	struct view v;
	struct vec rcpt;		/* of struct view_rcpt */
};

struct totals {
	uint64_t messages, bytes;
};

/* A way to print the list: append to *out. */
struct format {
	void (*message)(struct buf *out, const struct entry *, const struct totals *before, bool long_ids);
	void (*end)(struct buf *out, const struct totals *);
};
extern const struct format format_text, format_json;	/* print.c */

/* Read a list from showq(8) and print what is selected on standard output. False: not such a list, or cut short. */
bool	show_list(struct stream *, const struct format *, const struct selection *);	/* show.c */
/* The same for what is held back, with WISH_SUSPENDED. */
bool	show_suspended(struct stream *, bool json);	/* suspended.c */

#endif
