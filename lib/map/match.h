/*
 * match.h - match lists: mynetworks, relay_domains, debug_peer_list, authorized_submit_users ...
 * Items: text, type:table, /file, each with any number of '!' in front; the first match decides.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAP_MATCH_H
#define MAP_MATCH_H

#include <stdbool.h>

#include "base/err.h"
#include "base/span.h"
#include "map/map.h"

struct match;

enum match_kind {
	MATCH_STRING,	/* exact, without case: virtual_alias_domains, mydestination */
	MATCH_DOMAIN,	/* and subdomains: relay_domains */
	MATCH_HOST,	/* host name (with parents) or address: mynetworks */
	MATCH_ADDRESS,	/* address only: postscreen_allowlist_interfaces */
};

enum match_status { MATCH_YES, MATCH_NO, MATCH_FAILED };

/* title: parameter name, for messages, and to find out whether parents match (parent_domain_matches_subdomains).
 * Bad patterns are logged and make the match fail. Never NULL. */
struct match *match_open(enum match_kind, const char *title, const char *value, struct err *e);
void	match_free(struct match **);

/* MATCH_STRING, MATCH_DOMAIN. MATCH_FAILED was logged (table trouble): answer temporarily. */
enum match_status match_name(struct match *, struct span name);
/* MATCH_HOST, MATCH_ADDRESS: name may be empty or "unknown"; address is numeric text ("192.0.2.1", "::1"). */
enum match_status match_host(struct match *, struct span name, struct span address);

/* A parameter's name stands in parent_domain_matches_subdomains: "example.com" also matches its subdomains. */
bool	match_parents(const char *title);

/* One address pattern: "192.0.2.1", "192.0.2.0/24", "[2001:db8::]/32". */
struct cidr {
	int family;
	unsigned prefix;
	unsigned char net[16];
};

/* Parse; the error has Postfix's text ("non-null host address bits in ..."). Does not accept host names. */
bool	cidr_parse(struct span pattern, struct cidr *out, struct err *e);
/* bytes: network order, 4 or 16. */
bool	cidr_match(const struct cidr *, int family, const unsigned char *bytes);
/* "192.0.2.1", "::ffff:192.0.2.1" (which is IPv4), "[::1]", "IPv6:::1" are not all accepted: numeric text only. */
bool	address_parse(struct span text, int *family, unsigned char bytes[16]);

#endif
