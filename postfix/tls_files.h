/*
 * tls_files.h - private keys, certificates and requests as files, for "postfix tls". OpenSSL does the work.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef POSTFIX_TLS_FILES_H
#define POSTFIX_TLS_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/err.h"

struct evp_pkey_st;

/* hosts: NULL behind the last; the first is the name. */

/* A new key: "rsa" and a number of bits, or "ecdsa" and a curve. NULL: *e has OpenSSL's reason. */
struct evp_pkey_st *key_generate(const char *algorithm, const char *bits, struct err *e);
struct evp_pkey_st *key_read(const char *path);			/* NULL: no key there */
bool	key_is(const struct evp_pkey_st *, const char *algorithm);
void	key_free(struct evp_pkey_st *);

/* New files, never over an old one: errno tells. */
bool	key_write(struct evp_pkey_st *, const char *path);	/* mode 0600 */
bool	certificate_write(struct evp_pkey_st *, char *const hosts[], const char *path);	/* self-signed, for 100 years */

bool	request_print(struct evp_pkey_st *, char *const hosts[], FILE *);
/* SHA2-256 of the public key, as in TLSA 3 1 1: 64 hexadecimal digits and a NUL. */
bool	key_digest(struct evp_pkey_st *, char hex[65]);

enum pair { PAIR_GOOD, PAIR_NO_CERTIFICATE, PAIR_DIFFERS };
enum pair certificate_matches(const char *path, struct evp_pkey_st *);

#endif
