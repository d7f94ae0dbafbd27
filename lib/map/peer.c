/*
 * peer.c - connections to servers of lookup tables.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "conf/own_address.h"
#include "conf/tcp_port.h"
#include "io/sock.h"
#include "map/peer.h"

int peer_answer_seconds = 100;
int peer_pause_ms = 1000;

static struct peer *all_peers;

static struct peer *
peer_shared(const char *where, bool local)
{
	for (struct peer *p = all_peers; p != NULL; p = p->next) {
		if ((p->service == NULL) == local && strcmp(p->where, where) == 0) {
			p->uses++;
			return p;
		}
	}
	return NULL;
}

static struct peer *
peer_new(const char *where)
{
	struct peer *p = calloc(1, sizeof *p);

	if (p == NULL)
		log_out_of_memory();
	p->where = span_strdup(span_str(where));
	p->uses = 1;
	p->next = all_peers;
	all_peers = p;
	return p;
}

struct peer *
peer_open_unix(const char *path)
{
	struct peer *p = peer_shared(path, true);

	return p != NULL ? p : peer_new(path);
}

/* "[::1]:25", "host:25", "25": the service stands behind the last colon. */
static void
split(struct span where, struct span *host, struct span *service)
{
	const size_t colon = span_rfind(where, ':');

	*host = colon < where.n ? span_to(where, colon) : SPAN_NULL;
	*service = colon < where.n ? span_from(where, colon + 1) : where;
	if (host->n >= 2 && host->p[0] == '[' && host->p[host->n - 1] == ']')
		*host = span(host->p + 1, host->n - 2);
}

struct peer *
peer_open_inet(const char *where, struct err *e)
{
	struct peer *p = peer_shared(where, false);
	struct span host, service, rest;
	uint64_t number;

	if (p != NULL)
		return p;
	split(span_str(where), &host, &service);
	rest = service;
	if (service.n > 0 && ascii_digit(*service.p) && (!span_take_u64(&rest, &number) || rest.n > 0)) {
		(void)err_perm(e, "%.*s: garbage after numerical service", SPAN_ARG(service));
		return NULL;
	}
	p = peer_new(where);
	p->host = span_strdup(host);
	p->service = span_strdup(service);
	return p;
}

struct peer *
peer_open(const char *endpoint, struct err *e)
{
	struct span rest = span_str(endpoint), transport;

	if (!span_take_until(&rest, ':', &transport) || rest.n == 0) {
		(void)err_perm(e, "need service transport:endpoint instead of \"%s\"", endpoint);
		return NULL;
	}
	if (span_is(transport, "unix"))
		return peer_open_unix(rest.p);
	if (span_is(transport, "inet"))
		return peer_open_inet(rest.p, e);
	(void)err_perm(e, "invalid transport name: %.*s in service: %s", SPAN_ARG(transport), endpoint);
	return NULL;
}

void
peer_drop(struct peer *p)
{
	stream_free(&p->stream);
}

void
peer_close(struct peer **pp)
{
	struct peer *p = *pp;

	*pp = NULL;
	if (p == NULL || --p->uses > 0)
		return;
	for (struct peer **at = &all_peers; *at != NULL; at = &(*at)->next) {
		if (*at == p) {
			*at = p->next;
			break;
		}
	}
	peer_drop(p);
	free(p->host);
	free(p->service);
	free(p->where);
	free(p);
}

static int
family_wanted(void)
{
	bool ipv4 = false, ipv6 = false;

	if (conf.inet_protocols == NULL || !inet_protocols_parse(conf.inet_protocols, &ipv4, &ipv6, NULL) || ipv4 == ipv6)
		return AF_UNSPEC;
	return ipv4 ? AF_INET : AF_INET6;
}

/* Address after address until one answers. -1 and errno. */
static int
connect_inet(const struct peer *p, int64_t end)
{
	const struct addrinfo hints = { .ai_family = family_wanted(), .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;
	const uint16_t port = tcp_port(span_str(p->service));
	char service[16];
	int rc;
	int fd = -1, why = EADDRNOTAVAIL;

	(void)snprintf(service, sizeof service, "%u", port);
	rc = getaddrinfo(p->host[0] != '\0' ? p->host : NULL, port != 0 ? service : p->service, &hints, &list);
	if (rc != 0) {
		log_warning("host or service %s not found: %s", p->where, gai_strerror(rc));
		errno = why;
		return -1;
	}
	for (const struct addrinfo *a = list; a != NULL && fd < 0; a = a->ai_next) {
		const int64_t left = end - clock_ms();
		struct sock_addr to;

		if (left <= 0) {
			why = ETIMEDOUT;
			break;
		}
		sock_addr_set(&to, a->ai_addr, a->ai_addrlen);
		fd = sock_connect_inet(&to, NULL, left, NULL);
		if (fd < 0)
			why = errno == EINPROGRESS || errno == EAGAIN ? ETIMEDOUT : errno;
	}
	freeaddrinfo(list);
	errno = why;
	return fd;
}

int
peer_dial(const char *where, bool local, int64_t ms)
{
	struct span host, service;
	struct peer p;
	int fd, why;

	if (local)
		return sock_connect_unix(where, ms, NULL);
	split(span_str(where), &host, &service);
	p = (struct peer){ .where = (char *)(uintptr_t)where, .host = span_strdup(host), .service = span_strdup(service) };
	fd = connect_inet(&p, clock_ms() + ms);
	why = errno;
	free(p.host);
	free(p.service);
	errno = why;
	return fd;
}

bool
peer_connect(struct peer *p, const char *what, int64_t ms)
{
	const int64_t end = clock_ms() + ms;

	if (p->stream != NULL && p->owner != getpid())
		peer_drop(p);
	if (p->stream == NULL) {
		const int fd = p->service == NULL ? sock_connect_unix(p->where, ms, NULL) : connect_inet(p, end);

		if (fd < 0) {
			const int why = errno;

			log_warning("connect to %s%s: %s", what, p->where, strerror(why));
			errno = why;
			return false;
		}
		p->stream = stream_new(fd);
		p->owner = getpid();
		p->opened = clock_ms();
		p->requests = 0;
	}
	stream_set_timeout(p->stream, ms);
	stream_set_deadline(p->stream, end);
	p->used = clock_ms();
	return true;
}
