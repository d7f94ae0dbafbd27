/*
 * tcp_port.c - "lmtp=24, smtps=submissions=465": names, and the port behind the last '='.
 *
 * SPDX-License-Identifier: ISC
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/tcp_port.h"

static uint16_t
number(struct span text)
{
	uint64_t n;

	return span_to_u64(text, &n) && n > 0 && n < 65536 ? (uint16_t)n : 0;
}

/* "name=name=port" */
static uint16_t
entry(struct span item, struct span name)
{
	struct span rest = item, word;
	bool found = false;

	while (span_take_until(&rest, '=', &word))
		found = found || span_eq(span_trim(word), name);
	return found ? number(span_trim(rest)) : 0;
}

static uint16_t
known(struct span name)
{
	struct span list = conf.known_tcp_ports != NULL ? span_str(conf.known_tcp_ports) : SPAN_NULL, item;
	uint16_t port = 0;

	while (port == 0 && list.n > 0) {
		if (!span_take_until(&list, ',', &item)) {
			item = list;
			list = SPAN_NULL;
		}
		port = entry(item, name);
	}
	return port;
}

uint16_t
tcp_port(struct span text)
{
	const struct servent *service;
	char name[64];
	uint16_t port = number(text);

	if (port == 0)
		port = known(text);
	if (port != 0 || text.n >= sizeof name)
		return port;
	memcpy(name, text.p, text.n);
	name[text.n] = '\0';
	service = getservbyname(name, "tcp");
	return service == NULL ? 0 : ntohs((uint16_t)service->s_port);
}
