/*
 * map_ldap.c - ldap:FILE, a search in an LDAP directory; a loadable module. Connections are made when a key is asked for,
 * by the process that asks. Keys are escaped for filters (RFC 4515) and names (RFC 4514). Entries may refer to others by
 * name or URL; how deep that goes is limited by recursion_limit. A server that hangs is given up after timeout.
 *
 * SPDX-License-Identifier: ISC
 */
#include <sasl/sasl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/log.h"
#include "map/map_ldap.h"
#include "map/module.h"

#define ANY_ENTRY	"(objectclass=*)"

/* One lookup. */
struct search {
	struct ldap_table *t;
	struct span key;
	struct result result;
	int trouble;			/* LDAP code of a reference that could not be followed */
	struct err *e;
};

/* Another process's connection is forgotten, not closed: that would say goodbye in its name. */
static void
disconnect(struct ldap_table *t)
{
	if (t->ld != NULL && t->owner == getpid())
		(void)ldap_unbind_ext(t->ld, NULL, NULL);
	t->ld = NULL;
}

static void
table_close(struct map *m)
{
	struct ldap_table *t = m->state;

	disconnect(t);
	query_close(&t->query);
	for (int i = 0; i < KINDS; i++)
		vec_free(&t->kinds[i]);
	vec_free(&t->wanted);
	arena_free(&t->mem);
	free(t);
}

static bool
table_open(struct map *m, struct err *e)
{
	struct ldap_table *t = calloc(1, sizeof *t);

	if (t == NULL)
		log_out_of_memory();
	m->state = t;
	t->mem = arena_new();
	return table_conf_read(m, t->mem, ldap_table_configure, e);
}

/* --- connection */

static int
answer_sasl(LDAP *ld, unsigned flags, void *defaults, void *questions)
{
	const struct ldap_table *t = defaults;

	(void)ld;
	(void)flags;
	for (sasl_interact_t *q = questions; q->id != SASL_CB_LIST_END; q++) {
		const char *text = "";

		switch (q->id) {
		case SASL_CB_USER: text = t->authz_id; break;
		case SASL_CB_AUTHNAME: text = t->bind_dn; break;
		case SASL_CB_PASS: text = t->bind_pw; break;
		case SASL_CB_GETREALM: text = t->realm; break;
		default: break;
		}
		q->result = text;
		q->len = (unsigned)strlen(text);
	}
	return LDAP_SUCCESS;
}

static int
bind_simple(struct ldap_table *t)
{
	struct berval password = { .bv_len = strlen(t->bind_pw), .bv_val = (char *)(uintptr_t)t->bind_pw };
	struct timeval limit = { .tv_sec = t->timeout };
	LDAPMessage *answer = NULL;
	int id, rc = ldap_sasl_bind(t->ld, t->bind_dn, LDAP_SASL_SIMPLE, &password, NULL, NULL, &id), code = LDAP_OTHER;

	if (rc != LDAP_SUCCESS)
		return rc;
	rc = ldap_result(t->ld, id, LDAP_MSG_ALL, &limit, &answer);
	if (rc == 0)
		return LDAP_TIMEOUT;
	if (rc < 0)
		return ldap_get_option(t->ld, LDAP_OPT_RESULT_CODE, &rc) == LDAP_OPT_SUCCESS && rc != LDAP_SUCCESS ? rc : LDAP_SERVER_DOWN;
	rc = ldap_parse_result(t->ld, answer, &code, NULL, NULL, NULL, NULL, 1);
	return rc == LDAP_SUCCESS ? code : rc;
}

static int
bind_sasl(struct ldap_table *t)
{
	if (ldap_set_option(t->ld, LDAP_OPT_X_SASL_SECPROPS, t->min_ssf) != LDAP_OPT_SUCCESS)
		return LDAP_LOCAL_ERROR;
	return ldap_sasl_interactive_bind_s(t->ld, *t->bind_dn != '\0' && *t->mechs == '\0' ? t->bind_dn : NULL,
	    *t->mechs != '\0' ? t->mechs : NULL, NULL, NULL, LDAP_SASL_QUIET, answer_sasl, t);
}

static void
set_tls(struct ldap_table *t)
{
	const int need = t->require_cert ? LDAP_OPT_X_TLS_DEMAND : LDAP_OPT_X_TLS_NEVER, client = 0;
	const struct { int option; const char *value; } texts[] = {
		{ LDAP_OPT_X_TLS_CACERTDIR, t->ca_dir }, { LDAP_OPT_X_TLS_CACERTFILE, t->ca_file }, { LDAP_OPT_X_TLS_CERTFILE, t->cert },
		{ LDAP_OPT_X_TLS_KEYFILE, t->key }, { LDAP_OPT_X_TLS_CIPHER_SUITE, t->ciphers },
	};

	(void)ldap_set_option(t->ld, LDAP_OPT_X_TLS_REQUIRE_CERT, &need);
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (*texts[i].value != '\0')
			(void)ldap_set_option(t->ld, texts[i].option, texts[i].value);
	(void)ldap_set_option(t->ld, LDAP_OPT_X_TLS_NEWCTX, &client);
}

static void
set_options(struct ldap_table *t)
{
	struct timeval limit = { .tv_sec = t->timeout };

	(void)ldap_set_option(t->ld, LDAP_OPT_PROTOCOL_VERSION, &t->version);
	(void)ldap_set_option(t->ld, LDAP_OPT_NETWORK_TIMEOUT, &limit);
	(void)ldap_set_option(t->ld, LDAP_OPT_TIMEOUT, &limit);
	(void)ldap_set_option(t->ld, LDAP_OPT_DEREF, &t->dereference);
	(void)ldap_set_option(t->ld, LDAP_OPT_REFERRALS, t->referrals ? LDAP_OPT_ON : LDAP_OPT_OFF);
	set_tls(t);
}

/* True: connected and, when asked for, known there. Else it was logged. */
static bool
connected(struct ldap_table *t)
{
	int rc = LDAP_SUCCESS;

	if (t->ld != NULL && t->owner == getpid())
		return true;
	disconnect(t);
	if (ldap_initialize(&t->ld, t->uri) != LDAP_SUCCESS || t->ld == NULL) {
		log_warning("dict_ldap_connect: Unable to init LDAP server %s", t->uri);
		t->ld = NULL;
		return false;
	}
	t->owner = getpid();
	set_options(t);
	if (t->start_tls && (rc = ldap_start_tls_s(t->ld, NULL, NULL)) != LDAP_SUCCESS) {
		log_error("dict_ldap_connect: Unable to set STARTTLS: %d: %s", rc, ldap_err2string(rc));
		disconnect(t);
		return false;
	}
	if (t->bind != BIND_NONE)
		rc = t->bind == BIND_SIMPLE ? bind_simple(t) : bind_sasl(t);
	if (rc != LDAP_SUCCESS) {
		log_warning("dict_ldap_connect: Unable to bind to server %s with dn %s: %d (%s)", t->uri,
		    *t->bind_dn != '\0' ? t->bind_dn : "empty or implicit", rc, ldap_err2string(rc));
		disconnect(t);
		return false;
	}
	return true;
}

/* --- keys */

static bool
quote_filter(struct span text, struct buf *out, void *arg)
{
	(void)arg;
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '\0' || strchr("*()\\", text.p[i]) != NULL)
			buf_printf(out, "\\%02X", (unsigned char)text.p[i]);
		else
			buf_byte(out, text.p[i]);
	}
	return true;
}

/* RFC 4514 2.4: specials anywhere, '#' and blanks where they would not be read as part of the value. */
static bool
quote_name(struct span text, struct buf *out, void *arg)
{
	(void)arg;
	for (size_t i = 0; i < text.n; i++) {
		const char c = text.p[i];
		const bool edge = (i == 0 && (c == ' ' || c == '#')) || (i == text.n - 1 && c == ' ');

		if (c == '\0') {
			buf_str(out, "\\00");
			continue;
		}
		if (edge || strchr(",+\"\\<>;=", c) != NULL)
			buf_byte(out, '\\');
		buf_byte(out, c);
	}
	return true;
}

/* --- results */

static bool collect(struct search *s, LDAPMessage *answer, int depth);

static bool
is_kind(const struct ldap_table *t, enum ldap_kind kind, const char *attribute)
{
	for (size_t i = 0; i < t->kinds[kind].n; i++)
		if (strcasecmp(*VEC_AT(&t->kinds[kind], const char *, i), attribute) == 0)
			return true;
	return false;
}

static bool
fail(struct search *s)
{
	return err_temp(s->e, "Application error");
}

/* Search from a name or what a URL says. The answer is the caller's, NULL or not. */
static int
run(struct ldap_table *t, const char *base, int scope, const char *filter, char **attributes, LDAPMessage **answer)
{
	struct timeval limit = { .tv_sec = t->timeout };

	*answer = NULL;
	return ldap_search_ext_s(t->ld, base, scope, filter, attributes, 0, NULL, NULL, &limit, t->size_limit, answer);
}

/* Of the attributes that a URL names those that the table wants; all of them when it names none. */
static char **
url_attributes(struct ldap_table *t, const LDAPURLDesc *url, struct vec *own)
{
	*own = VEC_INIT(char *);
	if (url->lud_attrs == NULL || url->lud_attrs[0] == NULL)
		return t->wanted.p;
	for (size_t i = 0; url->lud_attrs[i] != NULL; i++) {
		bool wanted = false;

		for (int k = 0; k < KINDS; k++)
			wanted = wanted || is_kind(t, (enum ldap_kind)k, url->lud_attrs[i]);
		if (wanted)
			*(char **)vec_add(own) = url->lud_attrs[i];
	}
	if (own->n == 0)
		return NULL;
	(void)vec_add(own);
	return own->p;
}

static int
run_url(struct ldap_table *t, const char *text, LDAPMessage **answer)
{
	LDAPURLDesc *url = NULL;
	struct vec own;
	char **attributes;
	int rc = ldap_url_parse(text, &url);

	*answer = NULL;
	if (rc != LDAP_URL_SUCCESS)
		return LDAP_INVALID_DN_SYNTAX;
	attributes = url_attributes(t, url, &own);
	if (attributes != NULL)
		rc = run(t, url->lud_dn, url->lud_scope == LDAP_SCOPE_DEFAULT ? LDAP_SCOPE_BASE : url->lud_scope,
		    url->lud_filter != NULL ? url->lud_filter : ANY_ENTRY, attributes, answer);
	vec_free(&own);
	ldap_free_urldesc(url);
	return rc;
}

/* The entries that one value of a special attribute refers to. */
static bool
follow(struct search *s, const char *attribute, const char *value, int depth)
{
	struct ldap_table *t = s->t;
	LDAPMessage *answer;
	bool ok = true;
	int rc;

	if (depth >= t->recursion_limit) {
		log_warning("dict_ldap_get_values[%d]: %s: Recursion limit exceeded for special attribute %s=%s", depth, t->query.map->name,
		    attribute, value);
		return fail(s);
	}
	rc = ldap_is_ldap_url(value) ? run_url(t, value, &answer) : run(t, value, LDAP_SCOPE_BASE, ANY_ENTRY, t->wanted.p, &answer);
	if (rc == LDAP_SUCCESS) {
		ok = answer == NULL || collect(s, answer, depth + 1);
	} else if (rc == LDAP_NO_SUCH_OBJECT) {
		log_warning("dict_ldap_get_values[%d]: DN %s not found, skipping ", depth, value);
	} else {
		if (rc == LDAP_SIZELIMIT_EXCEEDED)
			log_warning("dict_ldap_get_values[%d]: %s: Query size limit (%d) exceeded", depth, t->query.map->name, t->size_limit);
		else
			log_warning("dict_ldap_get_values[%d]: search error %d: %s ", depth, rc, ldap_err2string(rc));
		s->trouble = rc;
		ok = fail(s);
	}
	(void)ldap_msgfree(answer);
	return ok;
}

static bool
take_values(struct search *s, LDAPMessage *entry, const char *attribute, bool special, int depth)
{
	struct berval **values = ldap_get_values_len(s->t->ld, entry, attribute);
	bool ok = true;

	for (size_t i = 0; ok && values != NULL && values[i] != NULL; i++) {
		const struct span value = span(values[i]->bv_val, values[i]->bv_len);

		if (special) {
			ok = span_has(value, '\0') ? fail(s) : follow(s, attribute, value.p, depth);
			continue;
		}
		(void)snprintf(s->t->function, sizeof s->t->function, "dict_ldap_get_values[%d]", depth);
		ok = query_add(&s->t->query, &s->result, s->key, value, s->e);
	}
	ldap_value_free_len(values);
	return ok;
}

static bool
has_kind(const struct search *s, LDAPMessage *entry, enum ldap_kind kind)
{
	const struct vec *names = &s->t->kinds[kind];
	bool found = false;

	for (size_t i = 0; i < names->n && !found; i++) {
		struct berval **values = ldap_get_values_len(s->t->ld, entry, *VEC_AT(names, const char *, i));

		found = values != NULL && values[0] != NULL;
		ldap_value_free_len(values);
	}
	return found;
}

/* Attribute by attribute as the server has sent them. */
static bool
take_entry(struct search *s, LDAPMessage *entry, int depth)
{
	const bool terminal = has_kind(s, entry, KIND_TERMINAL), special = !terminal && has_kind(s, entry, KIND_SPECIAL);
	BerElement *position = NULL;
	bool ok = true;

	for (char *a = ldap_first_attribute(s->t->ld, entry, &position); a != NULL; a = ldap_next_attribute(s->t->ld, entry, position)) {
		if (ok && terminal)
			ok = !is_kind(s->t, KIND_TERMINAL, a) || take_values(s, entry, a, false, depth);
		else if (ok && is_kind(s->t, KIND_SPECIAL, a))
			ok = take_values(s, entry, a, true, depth);
		else if (ok && (is_kind(s->t, KIND_RESULT, a) || (!special && is_kind(s->t, KIND_LEAF, a))))
			ok = take_values(s, entry, a, false, depth);
		ldap_memfree(a);
	}
	ber_free(position, 0);
	return ok;
}

/* False: stop, *s->e says why. depth counts from 1 and is limited by follow(). */
static bool
collect(struct search *s, LDAPMessage *answer, int depth)
{
	bool ok = true;

	for (LDAPMessage *entry = ldap_first_entry(s->t->ld, answer); ok && entry != NULL; entry = ldap_next_entry(s->t->ld, entry))
		ok = take_entry(s, entry, depth);
	return ok;
}

static enum map_status
judge(struct search *s, int rc, const char *base, LDAPMessage *answer)
{
	struct ldap_table *t = s->t;

	if (rc == LDAP_SUCCESS) {
		if (collect(s, answer, 1))
			return MAP_FOUND;
		if (s->trouble != 0)
			log_warning("dict_ldap_lookup: Had some trouble with entries returned by search: %s", ldap_err2string(s->trouble));
		return MAP_FAILED;
	}
	if (rc == LDAP_NO_SUCH_OBJECT && strcmp(base, t->base) != 0)
		return MAP_NOT_FOUND;		/* a base made of the key */
	if (rc == LDAP_NO_SUCH_OBJECT)
		log_warning("dict_ldap_lookup: %s: Search base '%s' not found: %d: %s", t->query.map->name, base, rc, ldap_err2string(rc));
	else
		log_warning("dict_ldap_lookup: Search error %d: %s ", rc, ldap_err2string(rc));
	return MAP_TEMPORARY(s->e, "Application error");
}

/* A connection that was idle may be gone: then a new one is tried, once. */
static enum map_status
search(struct search *s, const char *base, const char *filter)
{
	struct ldap_table *t = s->t;
	LDAPMessage *answer = NULL;
	enum map_status status;
	int rc = LDAP_SERVER_DOWN;

	for (bool fresh = false; rc == LDAP_SERVER_DOWN && !fresh; ) {
		fresh = t->ld == NULL || t->owner != getpid();
		if (!connected(t))
			return MAP_TEMPORARY(s->e, "Application error");
		rc = run(t, base, t->scope, filter, t->wanted.p, &answer);
		if (rc == LDAP_SERVER_DOWN && !fresh) {
			(void)ldap_msgfree(answer);
			answer = NULL;
			disconnect(t);
		}
	}
	status = judge(s, rc, base, answer);
	(void)ldap_msgfree(answer);
	/* Whatever else went wrong: what the server still says on this connection belongs to nobody. */
	if (rc < 0 || rc == LDAP_BUSY || rc == LDAP_UNAVAILABLE || rc == LDAP_PROTOCOL_ERROR || s->trouble < 0)
		disconnect(t);
	return status;
}

static enum map_status
table_get(struct map *m, struct span key, struct arena *mem, struct span *value, struct err *e)
{
	struct ldap_table *t = m->state;
	struct search s = { .t = t, .e = e };
	struct buf base = {0}, filter = {0};
	enum map_status status;

	s.key = query_key(&t->query, key, mem);
	status = span_valid_utf8(s.key) ? query_wanted(&t->query, s.key, e) : MAP_NOT_FOUND;
	if (status == MAP_FOUND && (!query_fill(t->base, s.key, NULL, quote_name, NULL, &base) ||
	    !query_fill(t->query.text, s.key, NULL, quote_filter, NULL, &filter)))
		status = MAP_NOT_FOUND;
	if (status == MAP_FOUND)
		status = search(&s, buf_cstr(&base), buf_cstr(&filter));
	buf_free(&base);
	buf_free(&filter);
	if (status == MAP_FOUND)
		return query_done(&s.result, mem, value);
	(void)query_done(&s.result, mem, value);
	return status;
}

static const struct map_type type = {
	.name = "ldap",
	.properties = MAP_TYPE_FIXED,
	.open = table_open,
	.close = table_close,
	.get = table_get,
};

const struct map_module posthaste_map_module_1 = { MAP_MODULE_ABI, MAP_MODULE_SIZE, &type };
