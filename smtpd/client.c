/*
 * client.c - who the client is: address, reverse name, and the name when it leads back to the address.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "conf/conf.h"
#include "net/client_name.h"
#include "smtpd/smtpd.h"

static void
take_name(struct smtpd_client *c, const struct sock_addr *addr, struct arena *mem)
{
	struct client_name n;

	client_name_find(addr, mem, &n);
	c->name = n.name;
	c->reverse_name = n.reverse_name;
	c->name_status = n.name_status;
	c->reverse_status = n.reverse_status;
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
		if (conf.smtpd_peername_lookup)
			take_name(c, addr, s->mem);
	}
	c->peer = c->address;
	smtpd_client_set_id(s);
}
