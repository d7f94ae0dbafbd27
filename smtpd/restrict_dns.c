/*
 * restrict_dns.c - restrictions that ask the DNS about others: address, MX and name servers of a domain, DNS lists,
 * backup MX. Answers are strangers' data; at most SERVER_ADDRESSES_MAX addresses are looked at in one check.
 *
 * SPDX-License-Identifier: ISC
 */
#include <arpa/inet.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "conf/conf.h"
#include "conf/own_address.h"
#include "mail/rewrite.h"
#include "map/match.h"
#include "smtp/address.h"
#include "smtpd/restrict.h"

#define SERVER_ADDRESSES_MAX	100

/* What a restriction looks at: the text for replies, its class, and the domain in it. */
struct target {
	const char *text, *class, *domain;
};

static bool
target_of(struct check *c, unsigned flags, struct target *t)
{
	const struct smtpd *s = c->s;
	struct span local, domain;

	if ((flags & (FOR_SENDER | FOR_RCPT)) != 0) {
		bool sender = (flags & FOR_SENDER) != 0;

		t->text = sender ? s->sender_text : s->recipient;
		t->class = sender ? "Sender address" : "Recipient address";
		if (!address_split(sender ? s->sender : s->recipient_internal, &local, &domain))
			return false;
		t->domain = span_cstr(domain, s->work);
	} else if ((flags & FOR_HELO) != 0) {
		*t = (struct target){ s->helo, "Helo command", s->helo };
	} else if ((flags & FOR_REVERSE) != 0) {
		*t = (struct target){ s->client.reverse_name, "Unverified Client host", s->client.reverse_name };
	} else {
		*t = (struct target){ s->client.id, "Client host", s->client.name };
	}
	return t->domain[0] != '\0' && strcmp(t->domain, "unknown") != 0;
}

static unsigned
families(void)
{
	bool v4 = true, v6 = true;

	(void)inet_protocols_parse(conf.inet_protocols, &v4, &v6, NULL);
	return (v4 ? DNS_IPV4 : 0u) | (v6 ? DNS_IPV6 : 0u);
}

/* The hosts that serve a domain. False: nothing to check. */
static bool
find_servers(struct check *c, unsigned kind, const char *domain, struct dns_answer *out)
{
	struct arena *mem = c->s->work;
	enum dns_type type = (kind & KIND_NS) != 0 ? DNS_NS : DNS_MX;
	enum dns_status status;

	if ((kind & KIND_A) != 0) {
		*out = (struct dns_answer){ .status = DNS_OK, .n = 1, .p = ARENA_NEW(mem, struct dns_record) };
		out->p->name = domain;
		return true;
	}
	status = dns_lookup(domain, type, mem, out);
	while ((status == DNS_NOT_FOUND || status == DNS_NO_DATA) && type == DNS_NS && (domain = strchr(domain, '.')) != NULL)
		status = dns_lookup(++domain, type, mem, out);
	if (status == DNS_NULL_MX)
		return false;
	if ((status == DNS_NOT_FOUND || status == DNS_NO_DATA) && type == DNS_MX) {
		out->p = ARENA_NEW(mem, struct dns_record);
		out->p->name = domain;
		out->n = 1;
		return true;
	}
	if (status != DNS_OK)
		log_warning("Unable to look up %s host for %s: %s", dns_type_name(type), domain,
		    status == DNS_RETRY ? "Host not found, try again" : "Host not found");
	return status == DNS_OK;
}

static enum verdict
check_host(struct check *c, const struct rule *r, const struct target *t, const char *host, size_t *left, bool *found)
{
	struct dns_answer addresses;
	enum verdict v = DUNNO;

	if ((r->r->flags & KIND_A) == 0) {
		v = access_host(c, r->maps, host, t->text, t->class, found);
		if (*found)
			return v;
	}
	if (dns_addresses(host, families() | DNS_USE_DNS | DNS_USE_NATIVE | DNS_UNFILTERED, c->s->work, &addresses) != DNS_OK) {
		log_warning("Unable to look up %s host %s for %s %s: %s", (r->r->flags & KIND_NS) != 0 ? "NS" : "MX", host, t->class, t->text,
		    addresses.why);
		return DUNNO;
	}
	for (size_t i = 0; i < addresses.n && !*found; i++) {
		if ((*left)-- == 0) {
			log_warning("server address count limit (%d) exceeded", SERVER_ADDRESSES_MAX);
			*left = 0;
			return DUNNO;
		}
		v = access_address(c, r->maps, addresses.p[i].address.host, t->text, t->class, found);
	}
	return v;
}

enum verdict
restrict_server_access(struct check *c, const struct rule *r)
{
	struct target t;
	struct dns_answer servers = {0};
	struct span host;
	size_t left = SERVER_ADDRESSES_MAX;
	bool found = false;
	enum verdict v = DUNNO;

	if (!target_of(c, r->r->flags, &t))
		return DUNNO;
	if (t.domain[0] == '[') {
		if ((r->r->flags & KIND_NS) != 0 || !address_literal_take(span_str(t.domain), &host))
			return DUNNO;
		v = access_address(c, r->maps, span_cstr(host, c->s->work), t.text, t.class, &found);
	} else if (find_servers(c, r->r->flags, t.domain, &servers)) {
		for (size_t i = 0; i < servers.n && !found && left > 0; i++)
			v = check_host(c, r, &t, servers.p[i].name, &left, &found);
	}
	if (v != OK || c->s->actions.discard)
		return v;
	log_warning("restriction %s returns OK for %s", r->word, t.text);
	log_warning("this is not allowed for security reasons");
	log_warning("use DUNNO instead of OK if you want to make an exception");
	return check_config_error(c);
}

/* --- DNS lists --- */

/* One of four fields of a pattern: "127", "[1..4;7]". */
static bool
take_field(struct span *in, unsigned value, bool *match)
{
	uint64_t low, high;
	bool set = span_take_byte(in, '[');

	*match = false;
	do {
		if (!span_take_u64(in, &low))
			return false;
		high = low;
		if (set && span_take(in, SPAN("..")) && !span_take_u64(in, &high))
			return false;
		if (value >= low && value <= high)
			*match = true;
	} while (set && span_take_byte(in, ';'));
	return !set || span_take_byte(in, ']');
}

static bool
pattern_matches(struct span pattern, const struct sock_addr *addr)
{
	unsigned char b[16];
	int family;
	bool all = true, one;

	if (pattern.n == 0)
		return true;
	if (!address_parse(span_str(addr->host), &family, b) || family != AF_INET)
		return false;
	for (size_t i = 0; i < 4; i++) {
		if ((i > 0 && !span_take_byte(&pattern, '.')) || !take_field(&pattern, b[i], &one))
			return false;
		all = all && one;
	}
	return all && pattern.n == 0;
}

/* "2.0.0.127" or nibbles; NULL when the address is unknown. */
static const char *
reversed(const char *address, struct arena *mem)
{
	unsigned char b[16];
	int family;
	struct buf out = {0};
	const char *result;

	if (!address_parse(span_str(address), &family, b))
		return NULL;
	if (family == AF_INET)
		return arena_printf(mem, "%u.%u.%u.%u", b[3], b[2], b[1], b[0]);
	for (size_t i = 16; i-- > 0;)
		buf_printf(&out, "%x.%x%s", b[i] & 15, b[i] >> 4, i > 0 ? "." : "");
	result = span_cstr(buf_view(&out), mem);
	buf_free(&out);
	return result;
}

static bool
is_listed(struct check *c, const char *query, struct span pattern, struct rbl *rbl)
{
	const char *name = arena_printf(c->s->work, "%s.%s", query, rbl->zone);
	struct dns_answer a, txt;
	enum dns_status status = dns_lookup(name, DNS_A, c->s->work, &a);
	struct buf text = {0};
	bool listed = false;

	if (status == DNS_RETRY || status == DNS_INVALID || status == DNS_FILTERED) {
		log_warning("%s: RBL lookup error: %s", name, a.why);
		rbl->trouble = true;
	}
	for (size_t i = 0; i < a.n; i++)
		listed = listed || pattern_matches(pattern, &a.p[i].address);
	if (!listed)
		return false;
	status = dns_lookup(name, DNS_TXT, c->s->work, &txt);
	if (status == DNS_FILTERED)
		log_warning("%s: TXT lookup error: " DNS_FILTERED_TEXT, name);
	if (status != DNS_OK)
		return true;
	for (size_t i = 0; i < txt.n && text.n < 500; i++)
		buf_printf(&text, "%s%s", i > 0 ? " / " : "", txt.p[i].name);
	buf_cut(&text, text.n < 500 ? text.n : 500);
	rbl->text = span_cstr(buf_view(&text), c->s->work);
	buf_free(&text);
	return true;
}

/* Allow lists count only for destinations that we would take mail for anyway. */
static bool
allow_list_applies(struct check *c)
{
	struct resolved to;

	return c->s->recipient == NULL ||
	    (smtpd_resolve(c->s, c->s->recipient_internal, &to) && destination_is_ours(&to));
}

static enum verdict
ask_list(struct check *c, const struct rule *r, const char *query, const char *what, const char *class)
{
	struct span arg = span_str(r->arg);
	size_t eq = span_find(arg, '=');
	struct rbl rbl = { .arg = r->arg, .zone = span_cstr(span_to(arg, eq), c->s->work), .what = what, .class = class };
	bool permit = (r->r->flags & IS_PERMIT) != 0;

	if (permit && !allow_list_applies(c))
		return DUNNO;
	if (is_listed(c, query, span_from(arg, eq + 1), &rbl))
		return permit ? check_permit(c, r, class, what) : rbl_reject(c, &rbl);
	if (permit && rbl.trouble)
		return check_defer_reject(c, 450, "4.7.1", "<%s>: %s rejected: Service unavailable", what, class);
	return DUNNO;
}

enum verdict
restrict_rbl(struct check *c, const struct rule *r)
{
	const char *query = reversed(c->s->client.address, c->s->work);

	return query == NULL ? DUNNO : ask_list(c, r, query, c->s->client.address, "Client host");
}

enum verdict
restrict_rhsbl(struct check *c, const struct rule *r)
{
	struct target t;
	struct span name;
	size_t dot, i;
	bool of_client = (r->r->flags & (FOR_CLIENT | FOR_REVERSE)) != 0;

	if (!target_of(c, r->r->flags, &t) || t.domain[0] == '[')
		return DUNNO;
	name = span_str(t.domain);
	dot = span_rfind(name, '.');
	i = dot < name.n ? dot + 1 : 0;
	while (i < name.n && ascii_digit(name.p[i]))
		i++;
	if (i == name.n || !address_hostname_ok(name))
		return DUNNO;
	return ask_list(c, r, t.domain, of_client ? t.domain : t.text, t.class);
}

/* --- backup MX --- */

static bool
host_is_ours(const char *host, const struct dns_answer *addresses)
{
	static struct match *mine;
	const struct own_address *own;
	size_t n;

	if (mine == NULL)
		mine = match_open(MATCH_STRING, "mydestination", conf.mydestination, NULL);
	if (match_name(mine, span_str(host)) == MATCH_YES)
		return true;
	if (!own_addresses(conf.inet_interfaces, conf.inet_protocols, &own, &n, NULL))
		return false;
	for (size_t i = 0; i < addresses->n; i++) {
		unsigned char b[16];
		int family;

		if (!address_parse(span_str(addresses->p[i].address.host), &family, b))
			continue;
		for (size_t k = 0; k < n; k++)
			if (own[k].family == family && memcmp(own[k].bytes, b, family == AF_INET ? 4 : 16) == 0)
				return true;
	}
	return false;
}

/* Are we in the list, but not among the best, and are the best in permit_mx_backup_networks? */
static bool
is_backup(struct check *c, const struct dns_answer *mx)
{
	static struct match *networks;
	unsigned best = mx->p[0].preference;
	bool ours = false;

	if (networks == NULL)
		networks = match_open(MATCH_ADDRESS, "permit_mx_backup_networks", conf.permit_mx_backup_networks, NULL);
	for (size_t i = 0; i < mx->n; i++)
		best = mx->p[i].preference < best ? mx->p[i].preference : best;
	for (size_t i = 0; i < mx->n; i++) {
		struct dns_answer a = {0};

		(void)dns_addresses(mx->p[i].name, families() | DNS_USE_DNS | DNS_USE_NATIVE | DNS_UNFILTERED, c->s->work, &a);
		if (host_is_ours(mx->p[i].name, &a)) {
			if (mx->p[i].preference == best)
				return false;
			ours = true;
		}
		for (size_t k = 0; mx->p[i].preference == best && *conf.permit_mx_backup_networks != '\0' && k < a.n; k++)
			if (match_host(networks, SPAN_NULL, span_str(a.p[k].address.host)) != MATCH_YES)
				return false;
	}
	return ours;
}

enum verdict
restrict_mx_backup(struct check *c, const struct rule *r)
{
	static bool warned;
	struct resolved to;
	struct span local, domain;
	struct dns_answer mx;

	if (!warned)
		log_warning("support for restriction \"permit_mx_backup\" will be removed from Postfix; instead, specify \"relay_domains\"");
	warned = true;
	if (!smtpd_resolve(c->s, c->s->recipient_internal, &to))
		return check_lookup_failed(c, c->s->recipient);
	if (destination_is_ours(&to))
		return OK;
	if ((to.flags & RESOLVE_ROUTED) != 0 || !address_split(to.recipient, &local, &domain) || domain.n == 0 || domain.p[0] == '[')
		return DUNNO;
	switch (dns_lookup(span_cstr(domain, c->s->work), DNS_MX, c->s->work, &mx)) {
	case DNS_OK:
		return is_backup(c, &mx) ? check_permit(c, r, "Recipient address", c->s->recipient) : DUNNO;
	case DNS_RETRY:
	case DNS_INVALID:
		return check_defer_reject(c, 450, "4.4.4", "<%s>: Recipient address rejected: Unable to look up mail exchanger information: %s",
		    c->s->recipient, mx.why);
	default:
		return DUNNO;
	}
}
