/*
 * mailbox_lock.h - mailbox locks: flock(2), fcntl(2), and the file PATH.lock.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAIL_MAILBOX_LOCK_H
#define MAIL_MAILBOX_LOCK_H

#include <stdbool.h>

#include "base/err.h"

/* styles is a list as in mailbox_delivery_lock: "fcntl, dotlock". */
bool	mailbox_lock_valid(const char *styles, struct err *);
bool	mailbox_lock_has(const char *styles, const char *want);
/* Make the file lock ("PATH.lock") exclusively; one older than stale_lock_time is removed. Tries deliver_lock_attempts
 * times every deliver_lock_delay. False: errno, EEXIST when somebody keeps it. */
bool	mailbox_lock_dot(const char *lock);
/* Wait for the flock and fcntl locks of an open file. False: errno. */
bool	mailbox_lock_file(int fd, const char *styles);

#endif
