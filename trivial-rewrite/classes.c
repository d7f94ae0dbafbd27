/*
 * classes.c - the address classes: local, virtual alias, virtual mailbox, relay; everything else is default.
 *
 * SPDX-License-Identifier: ISC
 */
#include <arpa/inet.h>
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "conf/own_address.h"
#include "map/match.h"
#include "trivial-rewrite/rewrite.h"

static struct match *destination, *alias, *mailbox, *relay;

static struct match *
open_list(enum match_kind kind, const char *title, const char *value)
{
	struct err e = {0};
	struct match *m = match_open(kind, title, value, &e);

	if (e.kind != ERR_NONE)
		log_warning("%s: %s", title, e.text);
	return m;
}

void
classes_open(void)
{
	destination = open_list(MATCH_STRING, "mydestination", conf.mydestination);
	alias = open_list(MATCH_STRING, "virtual_alias_domains", conf.virtual_alias_domains);
	mailbox = open_list(MATCH_STRING, "virtual_mailbox_domains", conf.virtual_mailbox_domains);
	relay = open_list(match_parents("relay_domains") ? MATCH_DOMAIN : MATCH_STRING, "relay_domains", conf.relay_domains);
}

static enum class_answer
ask(struct match *m, struct span domain)
{
	switch (match_name(m, domain)) {
	case MATCH_YES:
		return CLASS_YES;
	case MATCH_NO:
		return CLASS_NO;
	default:
		return CLASS_UNKNOWN;
	}
}

/* "[192.0.2.1]" that is one of our own addresses, or of the proxy in front of us. */
static bool
is_own_literal(struct span literal)
{
	const char *lists[] = { conf.inet_interfaces, conf.proxy_interfaces };
	unsigned char bytes[16];
	const struct own_address *own;
	struct span host;
	int family;
	size_t n;

	if (!address_literal_take(literal, &host) || !address_parse(host, &family, bytes))
		return false;
	for (size_t k = 0; k < 2; k++) {
		if (lists[k][0] == '\0' || !own_addresses(lists[k], conf.inet_protocols, &own, &n, NULL))
			continue;
		for (size_t i = 0; i < n; i++)
			if (own[i].family == family && memcmp(own[i].bytes, bytes, family == AF_INET ? 4 : 16) == 0)
				return true;
	}
	return false;
}

enum class_answer
class_local(struct span domain)
{
	if (domain.n > 0 && domain.p[domain.n - 1] == '.')
		domain.n--;
	if (domain.n == 0 || domain.p[domain.n - 1] == '.')
		return CLASS_NO;
	if (domain.p[0] == '[')
		return is_own_literal(domain) ? CLASS_YES : CLASS_NO;
	return ask(destination, domain);
}

enum class_answer class_alias(struct span domain) { return ask(alias, domain); }
enum class_answer class_virtual(struct span domain) { return ask(mailbox, domain); }
enum class_answer class_relay(struct span domain) { return ask(relay, domain); }
