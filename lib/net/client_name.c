/*
 * client_name.c - names of a client. Names from DNS are not trusted: they must look like host names. Found names are
 * remembered for a moment.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/client_name.h"
#include "smtp/address.h"

#define CACHE_MS	5000		/* a client that comes back at once is not looked up again */
#define CACHE_SIZE	8u

struct known {
	char address[64], name[256], reverse[256];
	enum dns_status name_status, reverse_status;
	int64_t until;
};

static struct known cache[CACHE_SIZE];

static void
look_up(struct client_name *c, const struct sock_addr *addr, struct arena *mem)
{
	const char *name, *why;

	c->reverse_status = c->name_status = dns_name_of(addr, mem, &name, &why);
	if (c->reverse_status != DNS_OK)
		return;
	if (address_ipv4_ok(span_str(name)) || address_ipv6_ok(span_str(name))) {
		log_warning("numeric hostname: %s", name);
		c->reverse_status = c->name_status = DNS_NOT_FOUND;
		return;
	}
	if (!address_hostname_ok(span_str(name))) {
		c->reverse_status = c->name_status = DNS_NOT_FOUND;
		return;
	}
	c->reverse_name = name;
	c->name_status = dns_name_has(name, addr, &why);
	if (c->name_status == DNS_OK)
		c->name = name;
	else if (c->name_status == DNS_NO_DATA)
		log_warning("hostname %s does not resolve to address %s", name, addr->host);
	else
		log_warning("hostname %s does not resolve to address %s: %s", name, addr->host, why);
}

static bool
recall(struct client_name *c, const char *address, struct arena *mem)
{
	int64_t now = clock_ms();

	for (size_t i = 0; i < CACHE_SIZE; i++) {
		const struct known *k = &cache[i];

		if (k->until < now || strcmp(k->address, address) != 0)
			continue;
		c->name = span_cstr(span_str(k->name), mem);
		c->reverse_name = span_cstr(span_str(k->reverse), mem);
		c->name_status = k->name_status;
		c->reverse_status = k->reverse_status;
		return true;
	}
	return false;
}

static void
remember(const struct client_name *c, const char *address)
{
	static size_t next;
	struct known *k = &cache[next++ % CACHE_SIZE];

	if (c->name_status != DNS_OK)
		return;
	(void)snprintf(k->address, sizeof k->address, "%s", address);
	(void)snprintf(k->name, sizeof k->name, "%s", c->name);
	(void)snprintf(k->reverse, sizeof k->reverse, "%s", c->reverse_name);
	k->name_status = c->name_status;
	k->reverse_status = c->reverse_status;
	k->until = clock_ms() + CACHE_MS;
}

void
client_name_find(const struct sock_addr *addr, struct arena *mem, struct client_name *out)
{
	*out = (struct client_name){ .name = "unknown", .reverse_name = "unknown", .name_status = DNS_NOT_FOUND, .reverse_status = DNS_NOT_FOUND };
	if (recall(out, addr->host, mem))
		return;
	look_up(out, addr, mem);
	remember(out, addr->host);
}
