/*
 * postdrop_client.h - put a message into maildrop/ without any privilege: a child process runs the set-gid postdrop(1).
 * Used by sendmail(1) and by smtpd(8) when it serves a user's own standard input.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAIL_POSTDROP_CLIENT_H
#define MAIL_POSTDROP_CLIENT_H

#include "base/arena.h"
#include "base/err.h"
#include "base/span.h"

struct postdrop;

/* A queue file of mail/rec.h records. NULL: postdrop could not be run, or has refused (and said why to standard error). */
struct postdrop *postdrop_start(struct err *);
const char *postdrop_queue_id(const struct postdrop *);
/* Records, complete ones. Failure shows at the end. */
void	postdrop_put(struct postdrop *, struct span records);
/* The end record has been put: CLEANUP_STAT_* of mail/cleanup_client.h; 0: the message is on disk. *reason (in mem) may be empty.
 * Frees. */
unsigned postdrop_finish(struct postdrop **, struct arena *mem, struct span *reason);
/* The message is dropped. NULL is fine. */
void	postdrop_cancel(struct postdrop **);

#endif
