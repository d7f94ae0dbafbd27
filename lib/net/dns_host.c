/*
 * dns_host.c - addresses of a host and names of a client, with the system's resolver where that is wanted.
 *
 * SPDX-License-Identifier: ISC
 */
#include <netdb.h>
#include <string.h>

#include "net/dns.h"
#include "smtp/address.h"

static void
add_answer(struct dns_answer *to, const struct dns_answer *from, struct arena *mem)
{
	struct dns_record *all;

	if (from->n == 0)
		return;
	all = ARENA_ARRAY(mem, struct dns_record, to->n + from->n);
	if (to->n > 0)
		memcpy(all, to->p, to->n * sizeof *all);
	memcpy(all + to->n, from->p, from->n * sizeof *all);
	to->p = all;
	to->n += from->n;
}

static enum dns_status
by_dns(const char *host, unsigned flags, struct arena *mem, struct dns_answer *out)
{
	struct dns_answer a = { .status = DNS_NO_DATA }, aaaa = { .status = DNS_NO_DATA };
	const dns_filter_fn filter = (flags & DNS_UNFILTERED) != 0 ? dns_set_filter(NULL) : NULL;

	if ((flags & DNS_IPV4) != 0)
		(void)dns_lookup(host, DNS_A, mem, &a);
	if ((flags & DNS_IPV6) != 0)
		(void)dns_lookup(host, DNS_AAAA, mem, &aaaa);
	if (filter != NULL)
		(void)dns_set_filter(filter);
	*out = (flags & DNS_IPV4) == 0 || (a.status != DNS_RETRY && (aaaa.status == DNS_RETRY ||
	    (aaaa.status == DNS_FILTERED && a.status != DNS_FILTERED))) ? aaaa : a;
	out->n = 0;
	add_answer(out, &a, mem);
	add_answer(out, &aaaa, mem);
	if (out->n > 0) {
		out->status = DNS_OK;
		out->why = "";
	}
	return out->status;
}

static enum dns_status
gai_status(int error)
{
	return error == 0 ? DNS_OK : error == EAI_AGAIN || error == EAI_SYSTEM || error == EAI_MEMORY ? DNS_RETRY : DNS_NOT_FOUND;
}

static enum dns_status
by_system(const char *host, unsigned flags, struct arena *mem, struct dns_answer *out)
{
	int family = (flags & DNS_IPV6) == 0 ? AF_INET : (flags & DNS_IPV4) == 0 ? AF_INET6 : AF_UNSPEC;
	struct addrinfo hints = { .ai_family = family, .ai_socktype = SOCK_STREAM }, *list = NULL;
	int error = getaddrinfo(host, NULL, &hints, &list);
	size_t n = 0;

	*out = (struct dns_answer){ .status = gai_status(error), .why = "" };
	if (error != 0) {
		out->why = arena_printf(mem, "unable to look up host %s: %s", host, gai_strerror(error));
		return out->status;
	}
	for (const struct addrinfo *ai = list; ai != NULL && n < DNS_RECORDS_MAX; ai = ai->ai_next)
		n++;
	out->p = ARENA_ARRAY(mem, struct dns_record, n + 1);
	for (const struct addrinfo *ai = list; ai != NULL && out->n < n; ai = ai->ai_next) {
		out->p[out->n].name = span_cstr(span_str(host), mem);
		sock_addr_set(&out->p[out->n++].address, ai->ai_addr, ai->ai_addrlen);
	}
	freeaddrinfo(list);
	return out->status;
}

enum dns_status
dns_addresses(const char *host, unsigned flags, struct arena *mem, struct dns_answer *out)
{
	struct sock_addr numeric;
	struct dns_answer second;

	if (sock_addr_parse(span_str(host), 0, &numeric)) {
		*out = (struct dns_answer){ .status = DNS_OK, .n = 1, .p = ARENA_NEW(mem, struct dns_record), .why = "" };
		out->p->name = span_cstr(span_str(host), mem);
		out->p->address = numeric;
		return DNS_OK;
	}
	if ((flags & DNS_USE_DNS) == 0)
		return by_system(host, flags, mem, out);
	if (by_dns(host, flags, mem, out) != DNS_OK && out->status != DNS_RETRY && (flags & DNS_USE_NATIVE) != 0 &&
	    by_system(host, flags, mem, &second) == DNS_OK)
		*out = second;
	return out->status;
}

enum dns_status
dns_name_of(const struct sock_addr *addr, struct arena *mem, const char **name, const char **why)
{
	char host[NI_MAXHOST];
	int error = getnameinfo((const struct sockaddr *)&addr->sa, addr->len, host, sizeof host, NULL, 0, NI_NAMEREQD);

	*name = NULL;
	*why = error == 0 ? "" : gai_strerror(error);
	if (error == 0)
		*name = span_cstr(span_str(host), mem);
	return gai_status(error);
}

enum dns_status
dns_name_has(const char *name, const struct sock_addr *addr, const char **why)
{
	struct addrinfo hints = { .ai_family = addr->sa.ss_family, .ai_socktype = SOCK_STREAM }, *list = NULL;
	int error = getaddrinfo(name, NULL, &hints, &list);
	struct sock_addr one;
	enum dns_status status = DNS_NO_DATA;

	*why = error == 0 ? "" : gai_strerror(error);
	if (error != 0)
		return gai_status(error);
	for (const struct addrinfo *ai = list; ai != NULL; ai = ai->ai_next) {
		sock_addr_set(&one, ai->ai_addr, ai->ai_addrlen);
		if (strcmp(one.host, addr->host) == 0)
			status = DNS_OK;
	}
	freeaddrinfo(list);
	return status;
}
