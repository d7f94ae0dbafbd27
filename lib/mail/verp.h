/*
 * verp.h - variable envelope return paths: the recipient inside the sender's address, so that a bounce tells whom it
 * is about. "list" + "=" and the delimiters "+=": list+user=example.org@example.com.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAIL_VERP_H
#define MAIL_VERP_H

#include "base/arena.h"
#include "base/span.h"

/* delimiters: two characters. A sender without a domain gets none. Internal forms. */
struct span verp_sender(struct span delimiters, struct span sender, struct span recipient, struct arena *);

#endif
