/*
 * own_address.h - the network addresses that inet_interfaces means, with their netmasks.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef CONF_OWN_ADDRESS_H
#define CONF_OWN_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/span.h"

struct own_address {
	int family;			/* AF_INET or AF_INET6 */
	unsigned char bytes[16];	/* 4 or 16, network order */
	unsigned prefix;		/* length of the netmask */
};

/* IPv4 first. The list lives until the next call. inet_interfaces and inet_protocols are the expanded values.
 * Error: "config variable inet_interfaces: host not found: X" or the text for a bad inet_protocols word. */
bool	own_addresses(const char *inet_interfaces, const char *inet_protocols, const struct own_address **list,
	    size_t *n, struct err *);
/* Each of them is that of an interface here: "parameter inet_interfaces: no local interface found for ..." */
bool	own_addresses_are_local(const char *inet_interfaces, const char *inet_protocols, struct err *);

/* Which of "ipv4", "ipv6", "all" stand in inet_protocols. */
bool	inet_protocols_parse(const char *value, bool *ipv4, bool *ipv6, struct err *);

#endif
