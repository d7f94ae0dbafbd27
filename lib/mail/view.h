/*
 * view.h - a queue file as an administrator sees it: what it is, who sent it, who is still to get it and why not yet.
 * Texts are printable, addresses in external form. Changes nothing.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAIL_VIEW_H
#define MAIL_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/span.h"

struct view {
	struct span queue_name, queue_id;
	struct span sender;		/* $empty_address_recipient for the null sender */
	int64_t time, size;		/* arrival, seconds since the epoch; bytes */
	int64_t next_attempt;		/* deferred: not before that time; 0 = in another queue */
	bool forced_expire;
};

struct view_rcpt {
	struct span original, address;	/* original may be empty */
	struct span log_class;		/* "defer", "bounce" or "" */
	struct span reason;		/* may be empty */
	struct span transport;		/* empty unless a reader wants it, and in maildrop */
	bool has_original;		/* the source names original recipients at all */
};

struct view_reader {
	/* Once, before the recipients. False: that is enough. */
	bool (*message)(void *arg, const struct view *);
	bool (*recipient)(void *arg, const struct view_rcpt *);
	bool transports;		/* name the transport that qmgr(8) would choose now: asks trivial-rewrite(8) */
};

/* What looks at many messages have in common: memory, and which messages have a log. */
struct viewer;
struct viewer *viewer_new(void);
void	viewer_free(struct viewer **);
/* For a list of many: the directories of the logs are read every few seconds, instead of looking for a log of each message. */
void	viewer_list_logs(struct viewer *);

struct view_file {
	const char *queue, *id;
	int dir;			/* that path is relative to, or AT_FDCWD */
	const char *path;
};

/* Read a message; files that are not complete are passed over. Recipients of the defer and bounce logs come first.
 * False: nothing was shown, or a reader had enough. Spans live as long as mem, those of a recipient until the next
 * one: a message can have any number of them. */
bool	view_read(struct viewer *, const struct view_file *, struct arena *mem, const struct view_reader *, void *arg);

#endif
