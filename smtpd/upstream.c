/*
 * upstream.c - smtpd_upstream_proxy_protocol: a load balancer says who the client is, before anything else is said.
 * With smtpd_proxy_trusted_networks only balancers in these networks are asked for it; others are clients themselves.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "conf/own_address.h"
#include "map/match.h"
#include "net/proxy_header.h"
#include "smtpd/smtpd.h"

static struct match *trusted;

void
smtpd_upstream_init(void)
{
	if (*conf.smtpd_upstream_proxy_protocol == '\0')
		return;
	if (strcmp(conf.smtpd_upstream_proxy_protocol, "haproxy") != 0)
		log_fatal("unsupported smtpd_upstream_proxy_protocol value: %s; specify \"haproxy\" or nothing",
		    conf.smtpd_upstream_proxy_protocol);
	if (*conf.smtpd_proxy_trusted_networks != '\0')
		trusted = match_open(MATCH_ADDRESS, "smtpd_proxy_trusted_networks", conf.smtpd_proxy_trusted_networks, NULL);
}

static bool
expected(const struct session *session)
{
	if (*conf.smtpd_upstream_proxy_protocol == '\0')
		return false;
	return trusted == NULL || (session->client != NULL && session->client->len > 0 &&
	    match_host(trusted, SPAN_NULL, span_str(session->client->host)) == MATCH_YES);
}

static bool
refuse(struct smtpd *s, const char *why, struct span header)
{
	if (header.n > 0)
		log_warning("haproxy read: %s: %s", why, smtpd_escaped(span_to(header, PROXY_HEADER_MAX), PROXY_HEADER_MAX, s->work));
	else
		log_warning("haproxy read: %s", why);
	return false;
}

static bool
read_header(struct smtpd *s, struct proxy_header *h)
{
	bool ipv4 = true, ipv6 = true;

	(void)inet_protocols_parse(conf.inet_protocols, &ipv4, &ipv6, NULL);
	for (;;) {
		const struct span in = stream_buffered(s->peer);

		switch (proxy_header_parse(in, ipv4, ipv6, h)) {
		case PROXY_HEADER_OK:
			stream_consume(s->peer, h->length);
			return true;
		case PROXY_HEADER_BAD:
			return refuse(s, h->error, in);
		case PROXY_HEADER_MORE:
			break;
		}
		if (stream_fill(s->peer))
			continue;
		if (in.n > 0)
			return refuse(s, h->error, stream_buffered(s->peer));
		return refuse(s, stream_state(s->peer) == STREAM_TIMEOUT ? "timeout error" : "EOF", SPAN_NULL);
	}
}

bool
smtpd_upstream(struct smtpd *s, struct session *session)
{
	struct proxy_header h;
	bool ok;

	if (!expected(session))
		return true;
	stream_set_deadline(s->peer, clock_ms() + conf.smtpd_upstream_proxy_timeout * INT64_C(1000));
	ok = read_header(s, &h);
	stream_set_deadline(s->peer, 0);
	if (stream_state(s->peer) == STREAM_TIMEOUT)
		stream_clear_timeout(s->peer);
	if (ok && !h.local) {
		struct sock_addr *both = ARENA_ARRAY(s->mem, struct sock_addr, 2);

		both[0] = h.client;
		both[1] = h.server;
		session->client = &both[0];
		session->server = &both[1];
	}
	return ok;
}
