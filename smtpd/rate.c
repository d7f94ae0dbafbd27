/*
 * rate.c - how much one client may do in a while, counted by anvil(8). Without anvil there are no limits.
 *
 * SPDX-License-Identifier: ISC
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "ipc/ipc.h"
#include "mail/anvil_client.h"
#include "smtpd/smtpd.h"

static struct ipc_client anvil = { .path = "private/anvil", .timeout_ms = 10000 };

/* Client address, or its block: "2001:db8::/84". */
static const char *
block_of(const char *address, struct arena *mem)
{
	unsigned char bytes[16];
	char text[64];
	bool v6 = strchr(address, ':') != NULL;
	unsigned prefix = (unsigned)(v6 ? conf.smtpd_client_ipv6_prefix_length : conf.smtpd_client_ipv4_prefix_length);

	if (prefix >= (v6 ? 128u : 32u) || inet_pton(v6 ? AF_INET6 : AF_INET, address, bytes) != 1)
		return address;
	for (unsigned bit = prefix; bit < (v6 ? 128u : 32u); bit++)
		bytes[bit / 8] &= (unsigned char)~(0x80u >> bit % 8);
	if (inet_ntop(v6 ? AF_INET6 : AF_INET, bytes, text, sizeof text) == NULL)
		return address;
	return arena_printf(mem, "%s/%u", text, prefix);
}

static bool
over(struct smtpd *s, const char *what, uint32_t count, int limit)
{
	if (limit <= 0 || count <= (uint32_t)limit)
		return false;
	log_warning("%s limit exceeded: %u from %s for service %s", what, count, s->client.id, service_env.name);
	return true;
}

static bool
wanted(enum smtpd_event event)
{
	switch (event) {
	case SMTPD_EVENT_CONNECT:
	case SMTPD_EVENT_DISCONNECT:
		return conf.smtpd_client_connection_count_limit > 0 || conf.smtpd_client_connection_rate_limit > 0;
	case SMTPD_EVENT_MAIL:
		return conf.smtpd_client_message_rate_limit > 0;
	case SMTPD_EVENT_RCPT:
		return conf.smtpd_client_recipient_rate_limit > 0;
	case SMTPD_EVENT_AUTH:
		return conf.smtpd_client_auth_rate_limit > 0;
	}
	return false;
}

bool
smtpd_rate_exceeded(struct smtpd *s, enum smtpd_event event)
{
	static const uint32_t code[] = { ANVIL_CONNECT, ANVIL_DISCONNECT, ANVIL_MAIL, ANVIL_RCPT, ANVIL_AUTH };
	struct ipc_anvil ask = { .event = code[event] };
	struct ipc_anvil_counts counts = {0};

	if (s->trusted_events || !wanted(event) || strcmp(s->client.address, "unknown") == 0)
		return false;
	ask.ident = span_str(arena_printf(s->work, "%s:%s", service_env.name, block_of(s->client.address, s->work)));
	if (!ipc_call(&anvil, IPC_anvil, &ask, IPC_anvil_counts, s->work, &counts))
		return false;
	switch (event) {
	case SMTPD_EVENT_CONNECT:
		return over(s, "Connection concurrency", counts.connections, conf.smtpd_client_connection_count_limit) ||
		    over(s, "Connection rate", counts.connection_rate, conf.smtpd_client_connection_rate_limit);
	case SMTPD_EVENT_MAIL:
		return over(s, "Message delivery request rate", counts.message_rate, conf.smtpd_client_message_rate_limit);
	case SMTPD_EVENT_RCPT:
		return over(s, "Recipient address rate", counts.recipient_rate, conf.smtpd_client_recipient_rate_limit);
	case SMTPD_EVENT_AUTH:
		return over(s, "AUTH command rate", counts.auth_rate, conf.smtpd_client_auth_rate_limit);
	case SMTPD_EVENT_DISCONNECT:
		break;
	}
	return false;
}
