/*
 * mailbox.h - put a message into a user's mailbox: mbox file or Maildir. Used by local(8) and virtual(8).
 * Everything is done with the user's rights; on any error a file is cut back to its former length.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAIL_MAILBOX_H
#define MAIL_MAILBOX_H

#include <stdbool.h>
#include <sys/types.h>

#include "mail/delivery.h"

struct mailbox_user {
	uid_t uid;
	gid_t gid;
	const char *name;		/* for supplementary groups; NULL = none */
};

struct mailbox_target {
	const struct delivery *d;
	const struct delivery_rcpt *rcpt;
	struct span delivered_to;	/* external form; empty = no Delivered-To: header */
	struct mailbox_user user;
	const char *lock_styles;	/* mailbox_delivery_lock: "fcntl, dotlock" */
	long size_limit;		/* bytes; 0 = none */
	bool strict_owner;		/* strict_mailbox_ownership: the file must belong to the user */
	bool of_virtual;		/* reports in the words of virtual(8), which defers where local(8) returns */
	bool any_file;			/* a /file/name alias: devices are allowed, mode 0600, no owner check */
};

/* Act as that user (effective ids) until mailbox_user_end(). Rootless: nothing changes; false if the user is another. */
bool	mailbox_user_begin(const struct mailbox_user *);
void	mailbox_user_end(void);

/* path is absolute. The result is the report: class 2 "delivered to mailbox", else why not. */
struct dsn_text mailbox_append(const char *path, const struct mailbox_target *);	/* mbox */
struct dsn_text maildir_deliver(const char *path, const struct mailbox_target *);	/* path ends in '/' */

#endif
