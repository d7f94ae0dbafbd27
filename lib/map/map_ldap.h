/*
 * map_ldap.h - an LDAP table and its parameters; between the files of this loadable module only.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAP_MAP_LDAP_H
#define MAP_MAP_LDAP_H

#include <ldap.h>
#include <sys/types.h>

#include "base/vec.h"
#include "map/query.h"

enum ldap_bind { BIND_NONE, BIND_SIMPLE, BIND_SASL };
enum ldap_kind { KIND_TERMINAL, KIND_LEAF, KIND_RESULT, KIND_SPECIAL, KINDS };

struct ldap_table {
	struct arena *mem;
	struct query query;
	const char *base, *uri;
	int scope, dereference, version, timeout, recursion_limit, size_limit;
	bool referrals, start_tls, require_cert;
	enum ldap_bind bind;
	const char *bind_dn, *bind_pw, *mechs, *realm, *authz_id, *min_ssf;
	const char *ca_dir, *ca_file, *cert, *key, *ciphers;
	struct vec kinds[KINDS];	/* const char *: attribute names */
	struct vec wanted;		/* all of them, NULL behind the last */
	LDAP *ld;			/* NULL: not connected */
	pid_t owner;
	char function[40];		/* of messages, with the depth */
};

/* For table_conf_read(): all parameters into map->state, zeroed but for its arena. The caller frees, also after failure. */
bool	ldap_table_configure(struct map *, struct table_conf *, struct err *e);

#endif
