/*
 * target.c - from a next hop ("example.com", "[host]:587", "unix:/path") to server addresses in the order to try.
 * DNS answers are strangers' data; at most DNS_RECORDS_MAX records of each are used.
 *
 * SPDX-License-Identifier: ISC
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/log.h"
#include "base/vec.h"
#include "conf/conf.h"
#include "conf/own_address.h"
#include "conf/tcp_port.h"
#include "map/match.h"
#include "smtp/address.h"
#include "smtp/smtp.h"

#define SMTP_PORT	25

struct hop {
	const char *host;
	uint16_t port;
	bool no_mx;
};

/* "[host]:port", "host:port", "[::1]", "host". */
static bool
take_hop(const char *nexthop, struct arena *mem, struct hop *out)
{
	struct span in = span_str(nexthop), host, port = span_str(conf.smtp_tcp_port);

	if (smtp_is_lmtp)
		(void)span_take(&in, SPAN("inet:"));
	out->no_mx = smtp_is_lmtp;
	if (span_take_byte(&in, '[')) {
		if (!span_take_until(&in, ']', &host))
			return false;
		(void)span_itake(&host, SPAN("ipv6:"));
		out->no_mx = true;
		if (span_take_byte(&in, ':'))
			port = in;
		else if (in.n > 0)
			return false;
	} else {
		size_t colon = span_rfind(in, ':');

		host = span_to(in, colon);
		if (colon < in.n)
			port = span_from(in, colon + 1);
	}
	out->host = span_cstr(host, mem);
	out->port = tcp_port(port);
	return host.n > 0 && out->port != 0;
}

/* Without a level of its own the old parameter counts. */
static bool
dns_wanted(void)
{
	const char *level = conf.smtp_dns_support_level;

	return *level == '\0' ? !conf.disable_dns_lookups : strcmp(level, "disabled") != 0;
}

static unsigned
address_flags(void)
{
	struct span in = span_str(conf.smtp_host_lookup), word;
	bool v4 = true, v6 = true;
	unsigned flags = 0;

	(void)inet_protocols_parse(conf.inet_protocols, &v4, &v6, NULL);
	while (span_take_word(&in, ", \t", &word))
		flags |= span_iis(word, "native") ? DNS_USE_NATIVE : DNS_USE_DNS;
	if (!dns_wanted())
		flags = DNS_USE_NATIVE;
	return flags | (v4 ? DNS_IPV4 : 0u) | (v6 ? DNS_IPV6 : 0u);
}

static struct dsn_text
dns_trouble(const struct dns_answer *a, struct arena *mem)
{
	struct dsn code = { 5, 4, 4 };

	if (a->status == DNS_FILTERED)
		code = (struct dsn){ 4, 7, 0 };
	else if (a->status == DNS_RETRY)
		code = (struct dsn){ 4, 4, 3 };
	else if (a->status == DNS_NULL_MX)
		code = (struct dsn){ 5, 1, 0 };
	return dsn_printf(mem, code, "%s", a->why);
}

static bool
add_addresses(struct vec *v, const char *host, unsigned preference, uint16_t port, struct arena *mem, struct dns_answer *a)
{
	if (dns_addresses(host, address_flags(), mem, a) != DNS_OK)
		return false;
	if (conf.smtp_cname_overrides_servername && a->canonical != NULL) {
		struct span name = span_str(a->canonical);

		host = span_cstr(span_to(name, name.n - span_ends(name, SPAN("."))), mem);
	}
	for (size_t i = 0; i < a->n; i++) {
		struct smtp_target *t = vec_add(v);

		t->host = host;
		t->preference = preference;
		(void)sock_addr_parse(span_str(a->p[i].address.host), port, &t->address);
	}
	return true;
}

static uint32_t
random_below(uint32_t n)
{
	uint32_t r = 0;

	if (getrandom(&r, sizeof r, 0) != (ssize_t)sizeof r)
		r = 0;
	return r % n;
}

static void
shuffle(struct vec *v)
{
	struct smtp_target *t = v->p, tmp;

	for (size_t i = v->n; conf.smtp_randomize_addresses && i > 1; i--) {
		size_t k = random_below((uint32_t)i);

		tmp = t[i - 1];
		t[i - 1] = t[k];
		t[k] = tmp;
	}
}

static int
family_rank(const struct smtp_target *t)
{
	bool v6 = t->address.sa.ss_family == AF_INET6;

	if (strcmp(conf.smtp_address_preference, "ipv4") == 0)
		return v6;
	if (strcmp(conf.smtp_address_preference, "ipv6") == 0)
		return !v6;
	return 0;
}

/* Insertion sort: stable, so that the shuffled order of equals stays. */
static void
sort_targets(struct vec *v)
{
	struct smtp_target *t = v->p, tmp;

	for (size_t i = 1; i < v->n; i++) {
		size_t k = i;

		tmp = t[i];
		while (k > 0 && (t[k - 1].preference > tmp.preference ||
		    (t[k - 1].preference == tmp.preference && family_rank(&t[k - 1]) > family_rank(&tmp)))) {
			t[k] = t[k - 1];
			k--;
		}
		t[k] = tmp;
	}
}

/*
 * smtp_balance_inet_protocols: among the first smtp_mx_address_limit, half are of each family where there are so many;
 * within each family the order stays.
 */
static void
balance(struct vec *v)
{
	const size_t limit = (size_t)conf.smtp_mx_address_limit;
	struct smtp_target *t = v->p, tmp;
	size_t n[2] = { 0, 0 }, room[2];

	if (!conf.smtp_balance_inet_protocols || limit < 2 || v->n <= limit)
		return;
	for (size_t i = 0; i < v->n; i++)
		n[t[i].address.sa.ss_family == AF_INET6]++;
	for (size_t f = 0; f < 2; f++)
		room[f] = n[!f] < limit / 2 ? limit - n[!f] : n[f] < limit / 2 ? n[f] : limit / 2;
	if (room[0] + room[1] < limit)
		room[t[0].address.sa.ss_family == AF_INET6] += limit - room[0] - room[1];
	for (size_t i = 0, taken = 0; i < v->n && taken < limit; i++) {
		size_t f = t[i].address.sa.ss_family == AF_INET6;

		if (room[f] == 0)
			continue;
		room[f]--;
		tmp = t[i];
		memmove(&t[taken + 1], &t[taken], (i - taken) * sizeof *t);
		t[taken++] = tmp;
	}
}

static bool
is_own_address(const struct sock_addr *addr)
{
	static struct match *proxies;
	const struct own_address *own;
	size_t n;
	unsigned char b[16];
	int family;

	if (!address_parse(span_str(addr->host), &family, b))
		return false;
	if (proxies == NULL)
		proxies = match_open(MATCH_ADDRESS, "proxy_interfaces", conf.proxy_interfaces, NULL);
	if (match_host(proxies, SPAN_NULL, span_str(addr->host)) == MATCH_YES)
		return true;
	if (!own_addresses(conf.inet_interfaces, conf.inet_protocols, &own, &n, NULL))
		return false;
	for (size_t i = 0; i < n; i++)
		if (own[i].family == family && memcmp(own[i].bytes, b, family == AF_INET ? 4 : 16) == 0)
			return true;
	return false;
}

/* We are one of the MX hosts: only better ones may be tried. */
static bool
cut_at_self(struct vec *v, const char *domain, struct arena *mem, struct dsn_text *why)
{
	struct smtp_target *t = v->p;
	size_t self = 0;

	while (self < v->n && !is_own_address(&t[self].address))
		self++;
	if (self == v->n)
		return true;
	if (t[self].preference == t[0].preference) {
		*why = dsn_printf(mem, (struct dsn){ 5, 4, 6 }, "mail for %s loops back to myself", domain);
		return false;
	}
	while (v->n > 0 && t[v->n - 1].preference >= t[self].preference)
		v->n--;
	return true;
}

/* MX hosts of a domain. *none: it has no MX record, its own address counts. */
static bool
find_mx(const struct hop *hop, struct vec *v, struct arena *mem, struct dsn_text *why, bool *none)
{
	struct dns_answer mx, a = {0};

	*none = false;
	switch (dns_lookup(hop->host, DNS_MX, mem, &mx)) {
	case DNS_OK:
		break;
	case DNS_NOT_FOUND:
	case DNS_NO_DATA:
		*none = true;
		return false;
	case DNS_RETRY:
		*none = conf.ignore_mx_lookup_error;
		/* FALLTHROUGH */
	default:
		*why = dns_trouble(&mx, mem);
		return false;
	}
	for (size_t i = 0; i < mx.n; i++) {
		if (address_ipv4_ok(span_str(mx.p[i].name)))
			log_warning("numeric domain name in resource data of MX record for %s: %s", hop->host, mx.p[i].name);
		(void)add_addresses(v, mx.p[i].name, mx.p[i].preference, hop->port, mem, &a);
	}
	if (v->n > 0)
		return true;
	log_warning("no MX host for %s has a valid address record", hop->host);
	*why = dns_trouble(&a, mem);
	if (conf.smtp_defer_if_no_mx_address_found)
		why->code = (struct dsn){ 4, 4, 4 };
	return false;
}

static bool
find_inet(const struct hop *hop, struct vec *v, struct arena *mem, struct dsn_text *why)
{
	struct dns_answer a;
	bool none = true, numeric = address_ipv4_ok(span_str(hop->host)) || address_ipv6_ok(span_str(hop->host));

	if (!hop->no_mx && !numeric && dns_wanted()) {
		if (find_mx(hop, v, mem, why, &none)) {
			shuffle(v);
			sort_targets(v);
			return hop->port != SMTP_PORT || cut_at_self(v, hop->host, mem, why);
		}
		if (!none)
			return false;
	}
	if (!add_addresses(v, hop->host, 0, hop->port, mem, &a)) {
		*why = dns_trouble(&a, mem);
		return false;
	}
	shuffle(v);
	sort_targets(v);
	return hop->no_mx || hop->port != SMTP_PORT || cut_at_self(v, hop->host, mem, why);
}

bool
smtp_find_targets(const char *nexthop, struct arena *mem, struct smtp_targets *out, struct dsn_text *why)
{
	struct span in = span_str(nexthop);
	struct vec v = VEC_INIT(struct smtp_target);
	struct hop hop;
	bool ok;

	*out = (struct smtp_targets){0};
	if (smtp_is_lmtp && span_take(&in, SPAN("unix:"))) {
		out->p = ARENA_NEW(mem, struct smtp_target);
		out->p->host = conf.myhostname;
		out->p->unix_path = span_cstr(in, mem);
		out->n = 1;
		return true;
	}
	if (!take_hop(nexthop, mem, &hop)) {
		*why = dsn_printf(mem, (struct dsn){ 4, 3, 5 }, "bad next hop or port: %s", nexthop);
		return false;
	}
	ok = find_inet(&hop, &v, mem, why);
	balance(&v);
	if (ok && v.n > 0) {
		out->n = v.n;
		out->p = ARENA_ARRAY(mem, struct smtp_target, v.n);
		memcpy(out->p, v.p, v.n * sizeof *out->p);
	} else if (ok) {
		*why = dsn_printf(mem, (struct dsn){ 4, 4, 4 }, "unable to find primary relay for %s", hop.host);
	}
	vec_free(&v);
	return out->n > 0;
}
