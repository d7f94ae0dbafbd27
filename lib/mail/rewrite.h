/*
 * rewrite.h - client of trivial-rewrite(8): complete an address, find transport and next hop.
 * Answers are remembered in this process for a moment (REWRITE_CACHE_MS).
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAIL_REWRITE_H
#define MAIL_REWRITE_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/span.h"

#define REWRITE_CACHE_MS	1000

enum {				/* resolve flags, one class bit or none */
	RESOLVE_FAIL = 1,	/* trivial-rewrite could not tell: try again later */
	RESOLVE_ERROR = 2,	/* bad address: transport "error" */
	RESOLVE_ROUTED = 4,	/* sender-specified routing (user%domain, user!domain, @route) */
	RESOLVE_CLASS_LOCAL = 16,
	RESOLVE_CLASS_ALIAS = 32,
	RESOLVE_CLASS_VIRTUAL = 64,
	RESOLVE_CLASS_RELAY = 128,
	RESOLVE_CLASS_DEFAULT = 256,
	RESOLVE_CLASS_FINAL = RESOLVE_CLASS_LOCAL | RESOLVE_CLASS_ALIAS | RESOLVE_CLASS_VIRTUAL,
};

struct resolved {
	unsigned flags;
	struct span transport, nexthop, recipient;	/* recipient: internal form */
};

/* "user@host.domain" of plain atoms: rewriting cannot change it, so nobody needs to be asked. */
bool	rewrite_is_standard(struct span external);
/* Rewrite an address in external (quoted) form by "local" or "remote" rules; result in mem.
 * False: service unavailable. */
bool	rewrite_external(const char *rule, struct span address, struct arena *mem, struct span *out);
/* The same for internal (unquoted) form on both sides. */
bool	rewrite_internal(const char *rule, struct span address, struct arena *mem, struct span *out);
/* Route of a recipient (internal form) for mail from sender. False: service unavailable. */
bool	resolve_address(struct span sender, struct span recipient, bool probe, struct arena *mem, struct resolved *out);

#endif
