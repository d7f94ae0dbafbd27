/*
 * showq.h - private to showq(8).
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef SHOWQ_SHOWQ_H
#define SHOWQ_SHOWQ_H

#include "base/arena.h"
#include "io/stream.h"

/* The attributes of one message, recipients included; nothing when it is incomplete or has gone meanwhile. */
void	message_put(struct stream *, const char *queue, const char *id, const char *path, struct arena *);

#endif
