/*
 * rewrite.h - private to trivial-rewrite(8).
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef TRIVIAL_REWRITE_REWRITE_H
#define TRIVIAL_REWRITE_REWRITE_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/span.h"
#include "ipc/ipc.h"
#include "smtp/address.h"

/* --- standard.c: an address in standard form --- */
/* rule "local": complete with $myorigin and $mydomain; "remote": with remote_header_rewrite_domain; external form. */
struct span standard_form(struct span rule, struct span external, struct arena *mem);
/* The same on tokens that are there already; the result is in internal form. */
struct span standard_tokens(bool local_rule, struct address_tokens *, struct arena *mem);

/* --- classes.c: which class a domain belongs to --- */
enum class_answer { CLASS_NO, CLASS_YES, CLASS_UNKNOWN };	/* UNKNOWN: a table failed */
void	classes_open(void);
enum class_answer class_local(struct span domain);		/* mydestination, own and proxy addresses */
enum class_answer class_alias(struct span domain);
enum class_answer class_virtual(struct span domain);
enum class_answer class_relay(struct span domain);

/* --- route.c: transport and next hop --- */
void	routes_open(void);
struct route {
	bool failed, error;		/* temporary trouble; bad address */
	unsigned flags;			/* RESOLVE_* class */
	struct span transport, nexthop, recipient;	/* recipient: internal form, domain present */
};
/* Fill transport and nexthop for route->recipient, whose domain is given. */
void	route_find(struct route *, struct span sender, struct span domain, bool is_local, bool probe, struct arena *mem);

/* --- resolve.c --- */
void	resolve(const struct ipc_resolve *, struct ipc_resolved *, struct arena *mem);

#endif
