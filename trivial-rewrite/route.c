/*
 * route.c - class, transport and next hop of a recipient; overrides by sender, transport table, moved users.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "mail/rewrite.h"
#include "map/address_map.h"
#include "map/match.h"
#include "trivial-rewrite/rewrite.h"

/* Everything that differs between mail and address verification probes. */
static struct route_set {
	const char *local_transport, *virtual_transport, *relay_transport, *default_transport, *relayhost;
	struct maps *transport_maps, *sender_transport_maps, *sender_relayhost_maps;
} sets[2];

static struct maps *relocated;

static void
open_set(struct route_set *s, const char *transport_maps, const char *by_sender, const char *relayhosts)
{
	s->transport_maps = maps_open("transport_maps", transport_maps, MAP_FOLD | MAP_UTF8 | MAP_NO_SUBSTITUTE);
	s->sender_transport_maps = maps_open("sender_dependent_default_transport_maps", by_sender, MAP_FOLD | MAP_UTF8);
	s->sender_relayhost_maps = maps_open("sender_dependent_relayhost_maps", relayhosts, MAP_FOLD | MAP_UTF8);
}

void
routes_open(void)
{
	sets[0] = (struct route_set){ .local_transport = conf.local_transport, .virtual_transport = conf.virtual_transport,
	    .relay_transport = conf.relay_transport, .default_transport = conf.default_transport, .relayhost = conf.relayhost };
	open_set(&sets[0], conf.transport_maps, conf.sender_dependent_default_transport_maps,
	    conf.sender_dependent_relayhost_maps);
	sets[1] = (struct route_set){ .local_transport = conf.address_verify_local_transport,
	    .virtual_transport = conf.address_verify_virtual_transport,
	    .relay_transport = conf.address_verify_relay_transport,
	    .default_transport = conf.address_verify_default_transport, .relayhost = conf.address_verify_relayhost };
	open_set(&sets[1], conf.address_verify_transport_maps, conf.address_verify_sender_dependent_default_transport_maps,
	    conf.address_verify_sender_dependent_relayhost_maps);
	relocated = maps_open("relocated_maps", conf.relocated_maps, MAP_FOLD | MAP_UTF8);
}

static bool
domain_is_ours(struct span domain, void *arg)
{
	(void)arg;
	return span_iis(domain, conf.myorigin) || class_local(domain) == CLASS_YES;
}

static struct address_keys
default_keys(void)
{
	return (struct address_keys){ .keys = ADDRESS_DEFAULT, .delimiters = conf.recipient_delimiter, .is_local = domain_is_ours };
}

/* "transport:nexthop"; a part that is missing leaves what was there. */
static void
apply(struct route *r, struct span value, struct arena *mem)
{
	struct span rest = span_copy(value, mem), transport;

	if (!span_take_until(&rest, ':', &transport)) {
		transport = rest;
		rest = SPAN_NULL;
	}
	transport = span_trim(transport);
	if (transport.n > 0)
		r->transport = transport;
	if (rest.n > 0)
		r->nexthop = span_trim(rest);
}

/* A parameter such as local_transport. */
static void
apply_parameter(struct route *r, const char *name, const char *value, struct arena *mem)
{
	if (value[0] == '\0' || value[0] == ':') {
		log_warning("file %s/main.cf: parameter %s: null transport is not allowed", conf.config_directory, name);
		r->failed = true;
		return;
	}
	apply(r, span_str(value), mem);
}

/* Result of a sender-keyed table. False: no override. */
static bool
by_sender(struct route *r, struct maps *maps, struct span sender, const char *null_key, struct arena *mem, struct span *out)
{
	struct address_keys keys = default_keys();
	struct err e = {0};
	struct span key = sender.n > 0 ? address_quote(sender, mem) : span_str(null_key);

	if (maps_count(maps) == 0 || r->failed)
		return false;
	enum map_status st = sender.n > 0 ? address_map_get(maps, &keys, key, SPAN_NULL, mem, out, NULL, &e) :
	    maps_get(maps, key, 0, mem, out, &e);

	if (st == MAP_FAILED) {
		log_warning("%s lookup failure", maps_title(maps));
		r->failed = true;
	}
	return st == MAP_FOUND && !span_iis(*out, "DUNNO");
}

/* Next hop of relay and default class: relayhost of the sender, relayhost, or the domain. */
static void
relay_nexthop(struct route *r, const struct route_set *s, struct span sender, struct span domain, struct arena *mem)
{
	struct span value;

	if (by_sender(r, s->sender_relayhost_maps, sender, conf.empty_address_relayhost_maps_lookup_key, mem, &value))
		r->nexthop = value;
	else
		r->nexthop = s->relayhost[0] != '\0' ? span_str(s->relayhost) : domain;
}

static void
default_route(struct route *r, const struct route_set *s, struct span sender, struct span domain, struct arena *mem)
{
	struct span value;

	r->flags |= RESOLVE_CLASS_DEFAULT;
	relay_nexthop(r, s, sender, domain, mem);
	if (by_sender(r, s->sender_transport_maps, sender, conf.empty_address_default_transport_maps_lookup_key, mem, &value))
		apply(r, value, mem);
	else
		apply_parameter(r, "default_transport", s->default_transport, mem);
}

static bool
in_class(struct route *r, const char *table, enum class_answer (*class)(struct span), struct span domain)
{
	enum class_answer a = r->failed ? CLASS_NO : class(domain);

	if (a == CLASS_UNKNOWN) {
		log_warning("%s lookup failure", table);
		r->failed = true;
	}
	return a == CLASS_YES;
}

static void
by_class(struct route *r, const struct route_set *s, struct span sender, struct span domain, bool is_local, struct arena *mem)
{
	if (is_local) {
		r->flags |= RESOLVE_CLASS_LOCAL;
		r->nexthop = domain;
		apply_parameter(r, "local_transport", s->local_transport, mem);
	} else if (in_class(r, "virtual_alias_domains", class_alias, domain)) {
		r->flags |= RESOLVE_CLASS_ALIAS;
		r->transport = span_str(conf.error_service_name);
		r->nexthop = conf.show_user_unknown_table_name ? SPAN("5.1.1 User unknown in virtual alias table") :
		    SPAN("5.1.1 User unknown");
	} else if (in_class(r, "virtual_mailbox_domains", class_virtual, domain)) {
		r->flags |= RESOLVE_CLASS_VIRTUAL;
		r->nexthop = domain;
		apply_parameter(r, "virtual_transport", s->virtual_transport, mem);
	} else if (in_class(r, "relay_domains", class_relay, domain)) {
		r->flags |= RESOLVE_CLASS_RELAY;
		relay_nexthop(r, s, sender, domain, mem);
		apply_parameter(r, "relay_transport", s->relay_transport, mem);
	} else if (!r->failed) {
		default_route(r, s, sender, domain, mem);
	}
}

static bool
no_nexthop(struct span value)
{
	size_t colon = span_find(value, ':');

	return colon + 1 >= value.n;
}

/* A transport(5) entry: "transport:" and "transport" mean the recipient's own domain. */
static void
apply_entry(struct route *r, struct span value, struct span domain, struct arena *mem)
{
	struct span transport = span_trim(span_to(value, span_find(value, ':')));

	apply(r, value, mem);
	if (transport.n == 0 || !no_nexthop(value))
		return;
	bool reports = span_is(transport, conf.error_service_name) || span_is(transport, "retry");

	r->nexthop = reports ? SPAN("Address is undeliverable") : domain;
}

static void
transport_table(struct route *r, struct maps *maps, struct span domain, struct arena *mem)
{
	struct address_keys keys = { .keys = ADDRESS_TRANSPORT, .how = MAPS_ALLOW_EMPTY, .internal_too = true,
	    .delimiters = conf.recipient_delimiter, .parents_match = match_parents("transport_maps") };
	struct err e = {0};
	struct span value;

	if (maps_count(maps) == 0 || r->failed || (r->flags & RESOLVE_CLASS_ALIAS))
		return;
	enum map_status st = address_map_get(maps, &keys, address_quote(r->recipient, mem), r->recipient, mem, &value, NULL, &e);

	if (st == MAP_NOT_FOUND)
		st = maps_get(maps, SPAN("*"), MAPS_ALLOW_EMPTY, mem, &value, &e);
	if (st == MAP_FAILED) {
		log_warning("transport_maps lookup failure");
		r->failed = true;
	} else if (st == MAP_FOUND) {
		apply_entry(r, value, domain, mem);
	}
}

static void
moved_users(struct route *r, struct arena *mem)
{
	struct address_keys keys = default_keys();
	struct err e = {0};
	struct span value;

	if (maps_count(relocated) == 0 || r->failed)
		return;
	enum map_status st = address_map_get(relocated, &keys, address_quote(r->recipient, mem), SPAN_NULL, mem, &value, NULL, &e);

	if (st == MAP_FAILED) {
		log_warning("relocated_maps lookup failure");
		r->failed = true;
	}
	if (st != MAP_FOUND)
		return;
	r->transport = span_str(conf.error_service_name);
	r->nexthop = conf.relocated_prefix_enable ? span_str(arena_printf(mem, "5.1.6 User has moved to %.*s", SPAN_ARG(value))) :
	    value;
}

void
route_find(struct route *r, struct span sender, struct span domain, bool is_local, bool probe, struct arena *mem)
{
	const struct route_set *s = &sets[probe ? 1 : 0];

	by_class(r, s, sender, domain, is_local, mem);
	transport_table(r, s->transport_maps, domain, mem);
	moved_users(r, mem);
}
