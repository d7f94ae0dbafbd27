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

struct entry_rcpt {
	struct span original, address;	/* external form; original may be empty */
	struct span log_class;		/* "defer", "bounce" or "" */
	struct span reason;		/* may be empty */
	bool has_original;		/* the service names original recipients at all */
};

/* One message of the list. */
struct entry {
	struct span queue_name, queue_id, sender;
	int64_t time, size;
	bool forced_expire;
	struct vec rcpt;		/* of struct entry_rcpt */
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

/* Read a list from showq(8) and print it on standard output. False: not such a list, or cut short. */
bool	show_list(struct stream *, const struct format *);	/* show.c */

#endif
