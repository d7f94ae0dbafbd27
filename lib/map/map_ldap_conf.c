/*
 * map_ldap_conf.c - the parameters of an LDAP table.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "map/map_ldap.h"

#define LIST		", \t\r\n"

static void
add_words(struct ldap_table *t, enum ldap_kind kind, const char *text)
{
	struct span rest = span_str(text), word;

	t->kinds[kind] = VEC_INIT(const char *);
	while (span_take_word(&rest, LIST, &word)) {
		const char *name = span_cstr(word, t->mem);

		*(const char **)vec_add(&t->kinds[kind]) = name;
		*(const char **)vec_add(&t->wanted) = name;
	}
}

/* Hosts without a scheme get "ldap://" and, without a port, server_port. */
static const char *
uri_list(struct ldap_table *t, const char *hosts, int port)
{
	struct buf out = {0};
	struct span rest = span_str(hosts), word;
	const char *text;

	while (span_take_word(&rest, LIST, &word)) {
		const char *s = span_cstr(word, t->mem);

		buf_str(&out, out.n > 0 ? " " : "");
		if (strncasecmp(s, "ldap://", 7) == 0 || strncasecmp(s, "ldaps://", 8) == 0 || strncasecmp(s, "ldapi://", 8) == 0)
			buf_str(&out, s);
		else if (strrchr(s, ':') != NULL)
			buf_printf(&out, "ldap://%s", s);
		else
			buf_printf(&out, "ldap://%s:%d", s, port);
	}
	text = span_cstr(buf_view(&out), t->mem);
	buf_free(&out);
	return text;
}

static const struct {
	const char *name;
	int value;
} scopes[] = { { "one", LDAP_SCOPE_ONELEVEL }, { "base", LDAP_SCOPE_BASE }, { "sub", LDAP_SCOPE_SUBTREE } };

static int
scope_of(const struct map *m, const char *text)
{
	for (size_t i = 0; i < sizeof scopes / sizeof *scopes; i++)
		if (span_iis(span_str(text), scopes[i].name))
			return scopes[i].value;
	log_warning("dict_ldap_open: %s: Unrecognized value %s specified for scope; using sub", m->name, text);
	return LDAP_SCOPE_SUBTREE;
}

static const struct {
	const char *name;
	enum ldap_bind value;
} binds[] = {
	{ "no", BIND_NONE }, { "none", BIND_NONE }, { "yes", BIND_SIMPLE }, { "simple", BIND_SIMPLE }, { "sasl", BIND_SASL },
};

static bool
configure_bind(struct ldap_table *t, struct table_conf *c, struct err *e)
{
	const char *how = table_conf_str(c, "bind", "yes", 1);
	size_t i = 0;

	t->bind_dn = table_conf_str(c, "bind_dn", "", 0);
	t->bind_pw = table_conf_str(c, "bind_pw", "", 0);
	t->mechs = table_conf_str(c, "sasl_mechs", "", 0);
	t->realm = table_conf_str(c, "sasl_realm", "", 0);
	t->authz_id = table_conf_str(c, "sasl_authz_id", "", 0);
	t->min_ssf = arena_printf(t->mem, "minssf=%d", table_conf_int(c, "sasl_minssf", 0, 0, 4096));
	t->start_tls = table_conf_bool(c, "start_tls", false);
	t->require_cert = table_conf_bool(c, "tls_require_cert", false);
	t->ca_dir = table_conf_str(c, "tls_ca_cert_dir", "", 0);
	t->ca_file = table_conf_str(c, "tls_ca_cert_file", "", 0);
	t->cert = table_conf_str(c, "tls_cert", "", 0);
	t->key = table_conf_str(c, "tls_key", "", 0);
	t->ciphers = table_conf_str(c, "tls_cipher_suite", "", 0);
	while (i < sizeof binds / sizeof *binds && !span_iis(span_str(how), binds[i].name))
		i++;
	if (!table_conf_ok(c, e))
		return false;
	if (i == sizeof binds / sizeof *binds)
		return err_perm(e, "%s: unsupported parameter value: bind = %s", c->name, how);
	t->bind = binds[i].value;
	return true;
}

static void
configure_search(struct ldap_table *t, struct map *m, struct table_conf *c)
{
	static const char *const gone[] = { "cache", "cache_expiry", "cache_size" };

	t->uri = uri_list(t, table_conf_str(c, "server_host", "localhost", 0), table_conf_int(c, "server_port", LDAP_PORT, 0, 65535));
	t->base = table_conf_str(c, "search_base", "", 0);
	t->scope = scope_of(m, table_conf_str(c, "scope", "sub", 1));
	t->version = table_conf_int(c, "version", 2, 2, 0);
	t->timeout = table_conf_int(c, "timeout", 10, 0, 0);
	t->recursion_limit = table_conf_int(c, "recursion_limit", 1000, 1, 0);
	t->size_limit = table_conf_int(c, "size_limit", table_conf_int(c, "expansion_limit", 0, 0, 0), 0, 0);
	t->referrals = table_conf_bool(c, "chase_referrals", false);
	t->dereference = table_conf_int(c, "dereference", 0, 0, 0);
	(void)table_conf_int(c, "debuglevel", 0, 0, 0);
	if (t->dereference > 3) {
		log_warning("dict_ldap_open: %s Unrecognized value %d specified for dereference; using 0", m->name, t->dereference);
		t->dereference = 0;
	}
	for (size_t i = 0; i < sizeof gone / sizeof *gone; i++)
		if (table_conf_has(c, gone[i]))
			log_warning("dict_ldap_open: %s ignoring %s", m->name, gone[i]);
	t->wanted = VEC_INIT(const char *);
	add_words(t, KIND_TERMINAL, table_conf_str(c, "terminal_result_attribute", "", 0));
	add_words(t, KIND_LEAF, table_conf_str(c, "leaf_result_attribute", "", 0));
	add_words(t, KIND_RESULT, table_conf_str(c, "result_attribute", "maildrop", 0));
	add_words(t, KIND_SPECIAL, table_conf_str(c, "special_result_attribute", "", 0));
	(void)vec_add(&t->wanted);
}

bool
ldap_table_configure(struct map *m, struct table_conf *c, struct err *e)
{
	struct ldap_table *t = m->state;
	const char *filter = table_conf_str(c, "query_filter", "(mailacceptinggeneralid=%s)", 0), *old;
	bool whole, unused;

	configure_search(t, m, c);
	if (!configure_bind(t, c, e) || !query_open(&t->query, m, c, filter, t->function, e) ||
	    !query_check(t->base, c->name, "query", &whole, e))
		return false;
	m->fixed = m->fixed && whole;
	old = table_conf_str(c, "result_filter", NULL, 0);
	if (old != NULL && !table_conf_has(c, "result_format")) {
		if (!query_check(old, c->name, "result", &unused, e))
			return false;
		t->query.result_format = old;
	}
	if (strchr(filter, '%') == NULL)
		log_warning("dict_ldap_open: %s: Fixed query_filter %s is probably useless", m->name, filter);
	return true;
}
