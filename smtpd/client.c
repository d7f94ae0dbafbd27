/*
 * client.c - who the client is: address, reverse name, and the name when it leads back to the address.
 * Names from DNS are not trusted: they must look like host names. Found names are remembered for a moment.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "smtp/address.h"
#include "smtpd/smtpd.h"

#define CACHE_MS	5000		/* a client that comes back at once is not looked up again */
#define CACHE_SIZE	8u

struct known {
	char address[64], name[256], reverse[256];
	enum dns_status name_status, reverse_status;
	int64_t until;
};

static struct known cache[CACHE_SIZE];

static void
look_up(struct smtpd_client *c, const struct sock_addr *addr, struct arena *mem)
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
recall(struct smtpd_client *c, struct arena *mem)
{
	int64_t now = clock_ms();

	for (size_t i = 0; i < CACHE_SIZE; i++) {
		const struct known *k = &cache[i];

		if (k->until < now || strcmp(k->address, c->address) != 0)
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
remember(const struct smtpd_client *c)
{
	static size_t next;
	struct known *k = &cache[next++ % CACHE_SIZE];

	if (c->name_status != DNS_OK)
		return;
	(void)snprintf(k->address, sizeof k->address, "%s", c->address);
	(void)snprintf(k->name, sizeof k->name, "%s", c->name);
	(void)snprintf(k->reverse, sizeof k->reverse, "%s", c->reverse_name);
	k->name_status = c->name_status;
	k->reverse_status = c->reverse_status;
	k->until = clock_ms() + CACHE_MS;
}

void
smtpd_client_set_id(struct smtpd *s)
{
	struct smtpd_client *c = &s->client;

	c->id = conf.smtpd_client_port_logging ? arena_printf(s->mem, "%s[%s]:%s", c->name, c->address, c->port) :
	    arena_printf(s->mem, "%s[%s]", c->name, c->address);
}

void
smtpd_client_find(struct smtpd *s, const struct session *session)
{
	struct smtpd_client *c = &s->client;
	const struct sock_addr *addr = session->client;

	*c = (struct smtpd_client){ .name = "unknown", .reverse_name = "unknown", .address = "unknown", .port = "unknown",
	    .name_status = DNS_NOT_FOUND, .reverse_status = DNS_NOT_FOUND };
	s->server_address = s->server_port = "";
	if (session->server != NULL && session->server->len > 0) {
		s->server_address = session->server->host;
		s->server_port = session->server->port;
	}
	if (addr == NULL || addr->len == 0) {
		if (service_env.transport == NULL || strcmp(service_env.transport, "inet") != 0) {
			c->name = c->reverse_name = "localhost";
			c->address = "127.0.0.1";
			c->port = "0";
			c->name_status = c->reverse_status = DNS_OK;
		}
	} else {
		c->address = addr->host;
		c->port = addr->port;
		if (conf.smtpd_peername_lookup && !recall(c, s->mem)) {
			look_up(c, addr, s->mem);
			remember(c);
		}
	}
	c->peer = c->address;
	smtpd_client_set_id(s);
}
