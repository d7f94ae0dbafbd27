/*
 * postdrop.h - private to postdrop(1).
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef POSTDROP_POSTDROP_H
#define POSTDROP_POSTDROP_H

#include "base/arena.h"
#include "base/span.h"

/* May this user give that envelope sender (internal form)? CLEANUP_STAT_OK, else a status and the reason, in mem. */
unsigned sender_check(struct span sender, struct arena *mem, const char **reason);

#endif
