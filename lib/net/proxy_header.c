/*
 * proxy_header.c - headers of HAProxy's PROXY protocol. Whoever connects can send one: it is data until the caller
 * decides that this peer may.
 *
 * SPDX-License-Identifier: ISC
 */
#include <netinet/in.h>
#include <string.h>

#include "net/proxy_header.h"

#define V1_MIN		15u		/* "PROXY UNKNOWN\r\n" */
#define V2_FIXED	16u		/* signature, version and command, family, length */

static const char signature[] = "\r\n\r\n\0\r\nQUIT\n";
static const char word[] = "PROXY ";

static enum proxy_header_status
bad(struct proxy_header *h, const char *why)
{
	h->error = why;
	return PROXY_HEADER_BAD;
}

/* Does in begin as the text does, as far as it goes? */
static bool
may_be(struct span in, const char *text, size_t n)
{
	return memcmp(in.p, text, in.n < n ? in.n : n) == 0;
}

static bool
take_address(struct span *in, bool v6, struct span *out)
{
	struct sock_addr a;

	return span_take_word(in, " \r\n", out) && span_has(*out, ':') == v6 && sock_addr_parse(*out, 0, &a);
}

static bool
take_port(struct span *in, uint16_t *out)
{
	struct span text;
	uint64_t n;

	if (!span_take_word(in, " \r\n", &text) || (text.n > 1 && text.p[0] == '0') || !span_to_u64(text, &n) || n > 65535)
		return false;
	*out = (uint16_t)n;
	return true;
}

/* "PROXY TCP4 client server client-port server-port" */
static enum proxy_header_status
parse_line(struct span line, bool ipv4, bool ipv6, struct proxy_header *out)
{
	struct span in = span_from(line, sizeof word - 1), type = SPAN_NULL, client, server;
	uint16_t client_port, server_port;
	bool v6;

	(void)span_take_word(&in, " \r\n", &type);
	v6 = span_iis(type, "TCP6");
	if (v6 ? !ipv6 : !(span_iis(type, "TCP4") && ipv4))
		return bad(out, "bad or missing protocol type");
	if (!take_address(&in, v6, &client))
		return bad(out, "bad or missing client address");
	if (!take_address(&in, v6, &server))
		return bad(out, "bad or missing server address");
	if (!take_port(&in, &client_port))
		return bad(out, "bad or missing client port");
	if (!take_port(&in, &server_port))
		return bad(out, "bad or missing server port");
	(void)sock_addr_parse(client, client_port, &out->client);
	(void)sock_addr_parse(server, server_port, &out->server);
	return PROXY_HEADER_OK;
}

static enum proxy_header_status
parse_v1(struct span in, bool ipv4, bool ipv6, struct proxy_header *out)
{
	size_t lf = span_find(in, '\n');

	if (lf == in.n || lf >= PROXY_HEADER_MAX) {
		out->error = "missing protocol header terminator";
		return in.n < PROXY_HEADER_MAX ? PROXY_HEADER_MORE : PROXY_HEADER_BAD;
	}
	out->length = lf + 1;
	return parse_line(span_to(in, lf), ipv4, ipv6, out);
}

static void
set_address(struct sock_addr *to, bool v6, const char *address, const char *port)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
	struct sockaddr_in four = { .sin_family = AF_INET };

	if (v6) {
		memcpy(&six.sin6_addr, address, sizeof six.sin6_addr);
		memcpy(&six.sin6_port, port, sizeof six.sin6_port);
		sock_addr_set(to, (const struct sockaddr *)&six, sizeof six);
	} else {
		memcpy(&four.sin_addr, address, sizeof four.sin_addr);
		memcpy(&four.sin_port, port, sizeof four.sin_port);
		sock_addr_set(to, (const struct sockaddr *)&four, sizeof four);
	}
}

static enum proxy_header_status
parse_v2_addresses(struct span body, unsigned family, bool ipv4, bool ipv6, struct proxy_header *out)
{
	const bool v6 = family == 0x21;
	const size_t size = v6 ? 16 : 4;

	if (!v6 && family != 0x11)
		return bad(out, "unsupported network protocol");
	if (v6 ? !ipv6 : !ipv4)
		return bad(out, v6 ? "Postfix IPv6 support is disabled" : "Postfix IPv4 support is disabled");
	if (body.n < 2 * size + 4)
		return bad(out, "short address field");
	set_address(&out->client, v6, body.p, body.p + 2 * size);
	set_address(&out->server, v6, body.p + size, body.p + 2 * size + 2);
	return PROXY_HEADER_OK;
}

static enum proxy_header_status
parse_v2(struct span in, bool ipv4, bool ipv6, struct proxy_header *out)
{
	const unsigned char *p = (const unsigned char *)in.p;
	const size_t body = (size_t)p[14] << 8 | p[15];

	if (p[12] >> 4 != 2)
		return bad(out, "unrecognized protocol version");
	if (V2_FIXED + body > in.n) {
		out->error = "short version 2 protocol header";
		return V2_FIXED + body <= PROXY_HEADER_MAX ? PROXY_HEADER_MORE : PROXY_HEADER_BAD;
	}
	if (V2_FIXED + body > PROXY_HEADER_MAX)
		return bad(out, "short version 2 protocol header");
	out->length = V2_FIXED + body;
	if ((p[12] & 15) == 0) {
		out->local = true;
		return PROXY_HEADER_OK;
	}
	if ((p[12] & 15) != 1)
		return bad(out, "bad command in proxy header");
	return parse_v2_addresses(span(in.p + V2_FIXED, body), p[13], ipv4, ipv6, out);
}

enum proxy_header_status
proxy_header_parse(struct span in, bool ipv4, bool ipv6, struct proxy_header *out)
{
	*out = (struct proxy_header){ .error = "short protocol header" };
	if (in.n == 0)
		return PROXY_HEADER_MORE;
	if (!may_be(in, word, sizeof word - 1) && !may_be(in, signature, sizeof signature - 1))
		return bad(out, in.n < V1_MIN ? "short protocol header" : "unrecognized protocol header");
	if (in.p[0] == 'P' && in.n < V1_MIN)
		return span_has(in, '\n') ? PROXY_HEADER_BAD : PROXY_HEADER_MORE;
	if (in.p[0] == 'P')
		return parse_v1(in, ipv4, ipv6, out);
	return in.n < V2_FIXED ? PROXY_HEADER_MORE : parse_v2(in, ipv4, ipv6, out);
}
