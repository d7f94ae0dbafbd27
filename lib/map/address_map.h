/*
 * address_map.h - a mail address in tables, with Postfix's order of keys.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAP_ADDRESS_MAP_H
#define MAP_ADDRESS_MAP_H

#include "map/maps.h"

enum {	/* which keys are tried, in this order */
	ADDRESS_FULL = 1,		/* user+ext@domain */
	ADDRESS_NOEXT = 2,		/* user@domain */
	ADDRESS_LOCALPART = 4,		/* user+ext, user; only for local domains */
	ADDRESS_DOMAIN = 8,		/* @domain */
	ADDRESS_DOMAIN_BARE = 16,	/* domain, then parents: access(5), transport(5) */
	ADDRESS_PARENTS = 32,		/* with DOMAIN_BARE: .parent, or parent when parents match subdomains */
	ADDRESS_USER_AT = 64,		/* user+ext@, user@: access(5) */

	ADDRESS_DEFAULT = ADDRESS_FULL | ADDRESS_NOEXT | ADDRESS_LOCALPART | ADDRESS_DOMAIN,
	ADDRESS_ACCESS = ADDRESS_FULL | ADDRESS_NOEXT | ADDRESS_DOMAIN_BARE | ADDRESS_PARENTS | ADDRESS_USER_AT,
	ADDRESS_TRANSPORT = ADDRESS_FULL | ADDRESS_NOEXT | ADDRESS_DOMAIN_BARE | ADDRESS_PARENTS,
};

struct address_keys {
	unsigned keys;			/* ADDRESS_... */
	unsigned how;			/* MAPS_... of maps.h */
	bool internal_too;		/* when the unquoted form differs: each of its keys after that of the quoted form */
	const char *delimiters;		/* recipient_delimiter; "" none */
	bool parents_match;		/* match_parents(): "example.com" instead of ".example.com" */
	/* The domain is ours (mydestination, an own [address], myorigin). NULL: never local. */
	bool (*is_local)(struct span domain, void *arg);
	void *arg;
};

/*
 * address: external form, local part quoted where needed ("\"a b\"@c"), or a bare name. internal: its unquoted
 * form, or SPAN_NULL. On MAP_FOUND *extension (may be NULL) is the "+ext" that the matching key lacked,
 * delimiter included, else empty.
 */
enum map_status address_map_get(struct maps *, const struct address_keys *, struct span address, struct span internal,
	    struct arena *mem, struct span *value, struct span *extension, struct err *e);

/*
 * Cut "user+ext" at the first delimiter: *base is "user", *extension "+ext" or empty. No extension for
 * mailer-daemon, double-bounce, a delimiter in first place, owner-* and *-request when '-' is a delimiter and
 * owner_request_special is set.
 */
void	address_split_extension(struct span local_part, const char *delimiters, struct span *base,
	    struct span *extension);

#endif
