/*
 * suspended.h - what the administrator holds back (postqueue --suspend): a file of qmgr(8), which alone writes it. It is in a
 * directory of the mail owner's that no program looks for messages in: the queue manager may write there even in a chroot and
 * under SELinux. Lines: seconds since the epoch, blank, name.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAIL_SUSPENDED_H
#define MAIL_SUSPENDED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

#define SUSPENDED_MAX	10000u		/* names that a client of public/qmgr can have us remember */
#define SUSPENDED_FILE	"saved/qmgr-suspended"

/* A domain, a next hop or "transport:name": printable and without blanks. */
bool	suspended_name_ok(struct span name);
/* Each line of the file, those whose time is over included; a line that is not understood draws a warning. False: there is
 * a file that could not be read, which has drawn one, too. */
bool	suspended_read(void (*tell)(void *arg, struct span name, int64_t until), void *arg);

#endif
