/*
 * selection.h - which messages of the queue are meant: postqueue --domain example.com --older-than 2d.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAIL_SELECTION_H
#define MAIL_SELECTION_H

#include <getopt.h>

#include "base/err.h"
#include "mail/view.h"

/* All that is given must hold; the recipient's part for one and the same recipient. Texts: case does not matter, "*" and
 * "?" stand for any characters (fnmatch(3)). NULL or -1: does not matter. */
struct selection {
	const char *sender, *recipient, *domain, *reason, *transport, *queue;
	int64_t older, newer;		/* seconds since arrival */
	int64_t larger, smaller;	/* bytes */
};

#define SELECTION_INIT	((struct selection){ .older = -1, .newer = -1, .larger = -1, .smaller = -1 })

/* For getopt_long(3): --sender --recipient --domain --reason --transport --queue --older-than --newer-than
 * --larger-than --smaller-than. A caller's own long options stand in front of these, see SELECTION_OPTIONS. */
#define SELECTION_OPTIONS \
	{ "sender", required_argument, NULL, SELECT_SENDER }, { "recipient", required_argument, NULL, SELECT_RECIPIENT }, \
	{ "domain", required_argument, NULL, SELECT_DOMAIN }, { "reason", required_argument, NULL, SELECT_REASON }, \
	{ "transport", required_argument, NULL, SELECT_TRANSPORT }, { "queue", required_argument, NULL, SELECT_QUEUE }, \
	 { "older-than", required_argument, NULL, SELECT_OLDER }, \
	{ "newer-than", required_argument, NULL, SELECT_NEWER }, { "larger-than", required_argument, NULL, SELECT_LARGER }, \
	{ "smaller-than", required_argument, NULL, SELECT_SMALLER }
enum { SELECT_SENDER = 256, SELECT_RECIPIENT, SELECT_DOMAIN, SELECT_REASON, SELECT_TRANSPORT, SELECT_QUEUE, SELECT_OLDER, SELECT_NEWER, SELECT_LARGER,
	SELECT_SMALLER, SELECT_END };

/* False: *e says what is wrong with the value ("--older-than: bad time value: 2x"). */
bool	selection_take(struct selection *, int option, const char *value, struct err *e);
bool	selection_is_empty(const struct selection *);		/* every message is meant */
/* The part that concerns the message itself, at that time (seconds since the epoch). */
bool	selection_has_message(const struct selection *, const struct view *, int64_t now);
bool	selection_needs_recipient(const struct selection *);
bool	selection_needs_transport(const struct selection *);
bool	selection_has_recipient(const struct selection *, const struct view_rcpt *);
/* Can transports be told, is the service there that knows them? Call it once before the rest. False: *e says why not. */
bool	selection_can_tell_transports(struct err *e);
/* Is the file meant, wherever in that queue it lies? Reads as little of it as it can. */
bool	selection_has_file(const struct selection *, const char *queue, const char *id, const char *path, int64_t now);

#endif
