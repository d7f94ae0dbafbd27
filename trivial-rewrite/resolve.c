/*
 * resolve.c - from a recipient to transport, next hop and the address that is left when our own domains are taken off.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "conf/conf.h"
#include "mail/rewrite.h"
#include "trivial-rewrite/rewrite.h"

#define ROUND_LIMIT	100	/* each round cuts off a domain or a routing character, so an address of N bytes needs < N */

struct state {
	struct arena *mem;
	struct span local, domain;	/* internal form, apart */
	struct span cut;		/* the last domain of ours that was cut off */
	bool is_local, failed;
};

static bool
has_routing(struct span local)
{
	return span_has(local, '@') || (conf.swap_bangpath && span_has(local, '!')) ||
	    (conf.allow_percent_hack && span_has(local, '%'));
}

/* Take the routing inside a local part at its word: "user%remote" (our domain was cut off) becomes user@remote. */
static struct span
reroute(struct state *s, struct span local)
{
	struct address_tokens t = address_tokenize(local, 10240, s->mem);

	return standard_tokens(true, &t, s->mem);
}

static void
split(struct state *s, struct span address)
{
	(void)address_split(address, &s->local, &s->domain);
	if (s->domain.n >= 2 && s->domain.p[s->domain.n - 1] == '.' && s->domain.p[s->domain.n - 2] != '.')
		s->domain.n--;
}

/*
 * One round. True: the address has changed, look again. The order of the cases is that of the standard: our own
 * domain goes first, then routing that was hidden behind it.
 */
static bool
one_round(struct state *s)
{
	if (s->domain.n == 0 && s->cut.n == 0 && !has_routing(s->local) && !s->is_local) {
		if (s->local.n == 0)
			s->local = span_str(conf.empty_address_recipient);
		s->domain = span_str(conf.myhostname);
		return true;
	}
	enum class_answer ours = s->domain.n > 0 ? class_local(s->domain) : CLASS_NO;

	if (ours == CLASS_UNKNOWN) {
		s->failed = true;
		return false;
	}
	if (ours == CLASS_NO && s->domain.n > 0) {
		s->is_local = false;
		return false;
	}
	if (ours == CLASS_YES)
		s->cut = s->domain;
	if (has_routing(s->local) && (conf.resolve_dequoted_address || !span_has(s->local, ' '))) {
		struct span inner = reroute(s, s->local);

		split(s, inner);
		s->is_local = false;
		/* "user@" was hidden there: it leads nowhere. */
		return s->domain.n > 0 || !span_has(inner, '@') || has_routing(s->local) || conf.resolve_null_domain;
	}
	if (s->local.n == 0)
		s->local = span_str(conf.empty_address_recipient);
	s->is_local = true;
	return false;
}

static bool
domain_is_valid(struct state *s)
{
	struct span host;

	if (s->domain.n == 0)
		return false;
	if (s->domain.p[0] == '[')
		return address_literal_take(s->domain, &host);
	if (address_ipv4_ok(s->domain) || address_ipv6_ok(s->domain)) {
		if (!conf.resolve_numeric_domain)
			return false;
		s->domain = span_str(arena_printf(s->mem, "[%.*s]", SPAN_ARG(s->domain)));
		return true;
	}
	if (!span_is_ascii(s->domain))
		return conf.smtputf8_enable && span_valid_utf8(s->domain) && span_find_any(s->domain, " \t\r\n@<>()\"\\") == s->domain.n;
	return address_hostname_ok(s->domain);
}

static bool
is_routed(struct span local)
{
	return span_find_any(local, "@%!") < local.n;
}

static void
answer(struct ipc_resolved *out, const struct route *r)
{
	out->flags = r->flags | (r->failed ? RESOLVE_FAIL : 0u) | (r->error ? RESOLVE_ERROR : 0u);
	out->transport = r->transport;
	out->nexthop = r->nexthop;
	out->recipient = r->recipient;
}

void
resolve(const struct ipc_resolve *in, struct ipc_resolved *out, struct arena *mem)
{
	struct state s = { .mem = mem };
	struct route r = {0};
	bool explicit_null = in->address.n > 0 && in->address.p[in->address.n - 1] == '@';

	split(&s, in->address);
	for (int round = 0; round < ROUND_LIMIT && one_round(&s); round++)
		continue;
	if (s.is_local)
		s.domain = s.cut;
	r.failed = s.failed;
	r.recipient = span_str(arena_printf(mem, "%.*s@%.*s", SPAN_ARG(s.local), SPAN_ARG(s.domain)));
	bool null_domain = explicit_null && !conf.resolve_null_domain && !is_routed(span_to(in->address, in->address.n - 1));

	if (null_domain)
		r.recipient = in->address;
	r.error = !r.failed && (!domain_is_valid(&s) || null_domain ||
	    (!conf.allow_min_user && s.local.n > 0 && s.local.p[0] == '-'));
	if (is_routed(s.local))
		r.flags |= RESOLVE_ROUTED;
	if (r.error) {
		r.transport = span_str(conf.error_service_name);
		r.nexthop = SPAN("5.1.3 bad address syntax");
	} else if (!r.failed) {
		route_find(&r, in->sender, s.domain, s.is_local, in->probe != 0, mem);
	}
	answer(out, &r);
}
