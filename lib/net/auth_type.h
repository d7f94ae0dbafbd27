/*
 * auth_type.h - what a kind of login service offers to auth.c. Of no interest outside lib/net.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef NET_AUTH_TYPE_H
#define NET_AUTH_TYPE_H

#include "net/auth.h"

/* The functions are those of auth.h; x is what start() gave. */
struct auth_type {
	const char *name;
	bool (*prepare)(const struct auth_settings *, struct err *);
	void *(*start)(const struct auth_settings *, unsigned security, struct err *);
	const char *(*mechanisms)(const void *x);
	void (*first)(void *x, const struct auth_client *, struct span mechanism, struct span initial, struct arena *, struct auth_reply *);
	void (*next)(void *x, struct span response, struct arena *, struct auth_reply *);
	void (*end)(void *x);
};

extern const struct auth_type auth_cyrus, auth_dovecot;

/* Fill a reply. */
void	auth_say(struct auth_reply *, enum auth_status, const char *text, const char *user);
/* A login name for log lines, headers and tables: strangers' bytes made printable. */
const char *auth_user(struct span name, struct arena *);

#endif
