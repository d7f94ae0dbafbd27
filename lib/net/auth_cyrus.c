/*
 * auth_cyrus.c - logins through the Cyrus SASL library: sasldb, saslauthd, or what its configuration file names. The library and its plug-ins
 * are loaded, and the file is read, by the host; each exchange has a context of its own, so that nothing of one that failed is left in the next.
 *
 * SPDX-License-Identifier: ISC
 */
#include <sasl/sasl.h>
#include <sasl/saslutil.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "net/auth_type.h"

#define USER_MAX	256

/* Of one session. */
struct login {
	const struct auth_settings *settings;
	unsigned security;
	sasl_conn_t *conn;
	bool used;			/* an exchange was begun with conn */
	char *offered;
};

static int
write_log(void *context, int level, const char *message)
{
	(void)context;
	switch (level) {
	case SASL_LOG_ERR:
	case SASL_LOG_FAIL:
		log_warning("SASL authentication failure: %s", message);
		break;
	case SASL_LOG_WARN:
		log_warning("SASL authentication problem: %s", message);
		break;
	case SASL_LOG_NOTE:
		log_debug("SASL authentication info: %s", message);
		break;
	default:
		break;			/* details may hold passwords */
	}
	return SASL_OK;
}

static bool
cyrus_prepare(const struct auth_settings *s, struct err *e)
{
	typedef int (*callback)(void);
	static sasl_callback_t callbacks[2];
	char *path;
	int rc = SASL_OK;

	callbacks[0] = (sasl_callback_t){ .id = SASL_CB_LOG, .proc = (callback)(void (*)(void))write_log };
	callbacks[1] = (sasl_callback_t){ .id = SASL_CB_LIST_END };
	if (s->config_path != NULL && s->config_path[0] != '\0') {
		path = span_strdup(span_str(s->config_path));
		rc = sasl_set_path(SASL_PATH_TYPE_CONFIG, path);
		free(path);
		if (rc != SASL_OK)
			return err_perm(e, "failed to set Cyrus SASL configuration path to \"%s\": %s", s->config_path, sasl_errstring(rc, NULL, NULL));
	}
	rc = sasl_server_init(callbacks, s->path);
	if (rc != SASL_OK)
		return err_perm(e, "SASL per-process initialization failed: %s", sasl_errstring(rc, NULL, NULL));
	return true;
}

static sasl_security_properties_t
properties(unsigned security)
{
	static const struct { unsigned ours; unsigned theirs; } bits[] = {
		{ AUTH_NO_PLAINTEXT, SASL_SEC_NOPLAINTEXT }, { AUTH_NO_ACTIVE, SASL_SEC_NOACTIVE }, { AUTH_NO_DICTIONARY, SASL_SEC_NODICTIONARY },
		{ AUTH_NO_ANONYMOUS, SASL_SEC_NOANONYMOUS }, { AUTH_FORWARD_SECRECY, SASL_SEC_FORWARD_SECRECY }, { AUTH_MUTUAL, SASL_SEC_MUTUAL_AUTH },
	};
	sasl_security_properties_t p = {0};		/* no layers of its own */

	for (size_t i = 0; i < sizeof bits / sizeof bits[0]; i++)
		if ((security & bits[i].ours) != 0)
			p.security_flags |= bits[i].theirs;
	return p;
}

/* A new context in the place of the old one. False: *e. */
static bool
renew(struct login *x, struct err *e)
{
	const struct auth_settings *s = x->settings;
	const char *realm = s->realm != NULL && s->realm[0] != '\0' ? s->realm : NULL;
	sasl_security_properties_t p = properties(x->security);
	int rc;

	sasl_dispose(&x->conn);
	x->used = false;
	rc = sasl_server_new(s->service, s->host, realm, NULL, NULL, NULL, 0, &x->conn);
	if (rc != SASL_OK)
		return err_perm(e, "SASL per-connection server initialization: %s", sasl_errstring(rc, NULL, NULL));
	rc = sasl_setprop(x->conn, SASL_SEC_PROPS, &p);
	if (rc != SASL_OK)
		return err_perm(e, "SASL per-connection security setup; %s", sasl_errstring(rc, NULL, NULL));
	return true;
}

static void
cyrus_end(void *arg)
{
	struct login *x = arg;

	sasl_dispose(&x->conn);
	free(x->offered);
	free(x);
}

static void *
cyrus_start(const struct auth_settings *s, unsigned security, struct err *e)
{
	struct login *x = calloc(1, sizeof *x);
	const char *list = "";

	if (x == NULL)
		log_out_of_memory();
	x->settings = s;
	x->security = security;
	if (!renew(x, e)) {
		cyrus_end(x);
		return NULL;
	}
	if (sasl_listmech(x->conn, NULL, "", " ", "", &list, NULL, NULL) != SASL_OK || list == NULL || *list == '\0') {
		log_warning("xsasl_cyrus_server_get_mechanism_list: no applicable SASL mechanisms");
		list = "";
	}
	x->offered = span_strdup(span_str(list));
	return x;
}

static const char *
cyrus_mechanisms(const void *arg)
{
	const struct login *x = arg;

	return x->offered;
}

static const char *
user_of(struct login *x, int property, struct arena *mem)
{
	const void *value = NULL;

	if (sasl_getprop(x->conn, property, &value) != SASL_OK || value == NULL)
		return NULL;
	return auth_user(span_to(span_str(value), USER_MAX), mem);
}

/* A client learns nothing of which names exist, and that it is not its fault when the service is out of order. */
static void
fail(struct login *x, int rc, struct arena *mem, struct auth_reply *reply)
{
	const bool broken = rc == SASL_FAIL || rc == SASL_NOMEM || rc == SASL_TRYAGAIN || rc == SASL_UNAVAIL;

	if (rc == SASL_NOUSER)
		rc = SASL_BADAUTH;
	auth_say(reply, broken ? AUTH_TEMPORARY : AUTH_FAIL, auth_user(span_str(sasl_errstring(rc, NULL, NULL)), mem), user_of(x, SASL_USERNAME, mem));
}

/* What the library said to the client's words. */
static void
conclude(struct login *x, int rc, const char *out, unsigned n, struct arena *mem, struct auth_reply *reply)
{
	const unsigned size = (n + 2) / 3 * 4 + 1;
	unsigned length;
	char *text;

	if (rc == SASL_OK) {
		const char *user = user_of(x, SASL_USERNAME, mem);

		auth_say(reply, user != NULL ? AUTH_OK : AUTH_FAIL, "unable to look up the login name", user);
		return;
	}
	if (rc == SASL_CONTINUE) {
		text = arena_alloc(mem, size);
		rc = n == 0 ? SASL_OK : sasl_encode64(out, n, text, size, &length);
		if (rc == SASL_OK) {
			auth_say(reply, AUTH_MORE, text, NULL);
			return;
		}
	}
	fail(x, rc, mem, reply);
}

/* Base64 to bytes in mem. Not SASL_OK: it is none. */
static int
decode(struct span text, struct arena *mem, const char **out, unsigned *n)
{
	char *bytes = arena_alloc(mem, text.n + 1);

	*out = bytes;
	*n = 0;
	return text.n == 0 ? SASL_OK : sasl_decode64(text.p, (unsigned)text.n, bytes, (unsigned)text.n + 1, n);
}

static void
cyrus_first(void *arg, const struct auth_client *c, struct span mechanism, struct span initial, struct arena *mem, struct auth_reply *reply)
{
	struct login *x = arg;
	const char *in = NULL, *out = NULL;
	unsigned n = 0, nout = 0;
	struct err e = {0};
	int rc;

	(void)c;
	if (x->used && !renew(x, &e)) {
		log_warning("%s", e.text);
		auth_say(reply, AUTH_TEMPORARY, "no login service", NULL);
		return;
	}
	x->used = true;
	if (initial.p != NULL && !span_is(initial, "=")) {
		rc = decode(initial, mem, &in, &n);
		if (rc != SASL_OK) {
			fail(x, rc, mem, reply);
			return;
		}
	} else if (initial.p != NULL) {
		in = "";
	}
	rc = sasl_server_start(x->conn, span_cstr(mechanism, mem), in, n, &out, &nout);
	conclude(x, rc, out, nout, mem, reply);
}

static void
cyrus_next(void *arg, struct span response, struct arena *mem, struct auth_reply *reply)
{
	struct login *x = arg;
	const char *in, *out = NULL;
	unsigned n, nout = 0;
	int rc = decode(response, mem, &in, &n);

	if (rc != SASL_OK) {
		fail(x, rc, mem, reply);
		return;
	}
	rc = sasl_server_step(x->conn, in, n, &out, &nout);
	conclude(x, rc, out, nout, mem, reply);
}

const struct auth_type auth_cyrus = {
	.name = "cyrus", .prepare = cyrus_prepare, .start = cyrus_start, .mechanisms = cyrus_mechanisms,
	.first = cyrus_first, .next = cyrus_next, .end = cyrus_end,
};
