/*
 * client_name.h - who a client is by name: what its address maps to, and that name when it leads back to the address.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef NET_CLIENT_NAME_H
#define NET_CLIENT_NAME_H

#include "net/dns.h"

struct client_name {
	const char *name;		/* verified, or "unknown" */
	const char *reverse_name;	/* unverified, or "unknown" */
	enum dns_status name_status, reverse_status;
};

/* Ask the system's resolver; what does not fit is logged. Texts are in mem, or live for ever. */
void	client_name_find(const struct sock_addr *, struct arena *mem, struct client_name *out);

#endif
