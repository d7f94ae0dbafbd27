/*
 * auth.h - SASL (RFC 4422) as a server: a client proves who it is, and a login service judges. Two kinds: "cyrus", the library of that name,
 * and "dovecot", a server that speaks Dovecot's protocol. Responses of clients and lines of the server are strangers' bytes with a bounded size.
 *
 *	auth_prepare()			once, in the host, before privileges are dropped
 *	a = auth_new()			a session, in the worker
 *	auth_first(), auth_next() ...	an exchange; each auth_first() begins a new one and forgets the last
 *	auth_free(&a)
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef NET_AUTH_H
#define NET_AUTH_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/span.h"

/* What is demanded of a mechanism, and in the last line what one may have. */
enum auth_property {
	AUTH_NO_PLAINTEXT = 1, AUTH_NO_ACTIVE = 2, AUTH_NO_DICTIONARY = 4, AUTH_NO_ANONYMOUS = 8,	/* it must lack that weakness */
	AUTH_FORWARD_SECRECY = 16, AUTH_MUTUAL = 32,							/* it must have that strength */
	AUTH_PRIVATE = 64,										/* it is never offered */
};

/* Texts live as long as the process. */
struct auth_settings {
	const char *type;		/* "cyrus", "dovecot" */
	const char *path;		/* cyrus: name of the application; dovecot: where the server is */
	const char *service;		/* "smtp" */
	const char *host;		/* this host's name */
	const char *realm;		/* "" or NULL: none */
	const char *config_path;	/* cyrus: directories of PATH.conf; "" is the library's own */
};

enum auth_status {
	AUTH_OK,			/* user is who it says */
	AUTH_MORE,			/* text is the challenge, in base64 */
	AUTH_FAIL,			/* text says why */
	AUTH_TEMPORARY,			/* no verdict: text says why */
};

struct auth_reply {
	enum auth_status status;
	const char *text;
	const char *user;		/* printable; AUTH_FAIL, AUTH_TEMPORARY: who tried, or NULL */
};

struct auth;

/* "noplaintext, noanonymous" to AUTH_ bits. False: *e has Postfix's text about an unknown word. */
bool	auth_security_parse(const char *type, const char *text, unsigned *bits, struct err *e);
bool	auth_prepare(const struct auth_settings *, struct err *e);

/* security: AUTH_ bits. NULL: the service cannot be had; e says why unless that was logged, then its text is "". */
struct auth *auth_new(unsigned security, struct err *e);
void	auth_free(struct auth **);			/* NULL is fine */
/* What may be offered, with blanks between, as long as the session lives; "" when there is nothing. */
const char *auth_mechanisms(const struct auth *);

/* Who speaks to whom, numeric, for the service's own log and rules. */
struct auth_client {
	const char *server, *client;
	bool secured;			/* by TLS */
};

/* initial: base64 as the client sent it, "=" for an empty one; p is NULL when there was none. Texts of the reply live in mem. */
void	auth_first(struct auth *, const struct auth_client *, struct span mechanism, struct span initial, struct arena *mem,
	    struct auth_reply *);
/* A response to a challenge, base64. After anything but AUTH_MORE the exchange is over. */
void	auth_next(struct auth *, struct span response, struct arena *mem, struct auth_reply *);

#endif
