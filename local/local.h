/*
 * local.h - one recipient's way through aliases to mailboxes; private to local(8).
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef LOCAL_LOCAL_H
#define LOCAL_LOCAL_H

#include <pwd.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/hash.h"
#include "base/vec.h"
#include "mail/delivery.h"

#define LOCAL_NESTING_MAX	100

/* What one top-level recipient has grown into so far. */
struct attempt {
	struct delivery *d;
	struct delivery_rcpt *top;	/* as qmgr has it */
	struct hash *done;		/* duplicate filter: "what:address" */
	struct vec forward;		/* of struct span: addresses for a new message, internal form */
	struct span sender;		/* envelope sender of forwarded copies */
	struct span chain[LOCAL_NESTING_MAX + 1];	/* recipients above the one at hand, by level */
	bool deferred;
};

/* A recipient on its way; children of an alias are made from it. */
struct target {
	struct attempt *a;
	struct delivery_rcpt rcpt;	/* for the log: address now, original; offset 0 */
	struct span local, domain;	/* case-folded local part with extension, domain */
	struct span user, extension;	/* extension without its delimiter */
	int level;
	bool exact;			/* "\user", or an alias that names itself: no further expansion */
};

/* --- recipient.c --- */
void	deliver_recipient(struct attempt *, struct span address, struct span original, int level, bool exact);
void	report(struct target *, const struct dsn_text *);
/* True the first time that this is asked for within the attempt. */
bool	first_time(struct attempt *, const char *what, struct span key);

/* --- alias.c --- */
void	aliases_open(void);
/* True when an alias applied and the recipient is dealt with. */
bool	alias_deliver(struct target *);

/* --- mailbox.c --- */
void	deliver_file(struct target *, const char *path, uid_t uid, gid_t gid);
void	deliver_mailbox(struct target *, const struct passwd *);

/* --- forward.c --- */
void	forward_all(struct attempt *);	/* one new message for all collected addresses */
bool	forwarding_loop(const struct attempt *, struct span address);

#endif
