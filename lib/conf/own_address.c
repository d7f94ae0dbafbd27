/*
 * own_address.c - inet_interfaces to addresses: from the kernel's list of interfaces, or by name.
 *
 * SPDX-License-Identifier: ISC
 */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <string.h>

#include "base/buf.h"
#include "base/vec.h"
#include "conf/own_address.h"

static struct vec found = { .size = sizeof(struct own_address) };

struct wanted {
	bool ipv4, ipv6;
};

static void
get_bytes(const struct sockaddr *sa, unsigned char bytes[16])
{
	memset(bytes, 0, 16);
	if (sa->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, sa, sizeof in);
		memcpy(bytes, &in.sin_addr, 4);
	} else {
		struct sockaddr_in6 in6;

		memcpy(&in6, sa, sizeof in6);
		memcpy(bytes, &in6.sin6_addr, 16);
	}
}

static bool
family_wanted(const struct wanted *w, int family)
{
	return family == AF_INET ? w->ipv4 : family == AF_INET6 && w->ipv6;
}

static unsigned
count_bits(const unsigned char mask[16])
{
	unsigned n = 0;

	for (size_t i = 0; i < 16; i++)
		n += (unsigned)__builtin_popcount(mask[i]);
	return n;
}

static const struct own_address *
find(int family, const unsigned char bytes[16])
{
	for (size_t i = 0; i < found.n; i++) {
		const struct own_address *a = VEC_AT(&found, struct own_address, i);

		if (a->family == family && memcmp(a->bytes, bytes, 16) == 0)
			return a;
	}
	return NULL;
}

static void
add(const struct sockaddr *sa, const struct sockaddr *mask)
{
	unsigned char bytes[16], bits[16];
	struct own_address *a;

	get_bytes(sa, bytes);
	if (find(sa->sa_family, bytes) != NULL)
		return;
	a = vec_add(&found);
	a->family = sa->sa_family;
	memcpy(a->bytes, bytes, 16);
	a->prefix = sa->sa_family == AF_INET ? 32 : 128;
	if (mask != NULL && mask->sa_family == sa->sa_family) {
		get_bytes(mask, bits);
		a->prefix = count_bits(bits);
	}
}

static void
add_interfaces(const struct ifaddrs *all, const struct wanted *w, bool loopback_only)
{
	const int families[] = { AF_INET, AF_INET6 };

	for (size_t f = 0; f < 2; f++) {
		for (const struct ifaddrs *i = all; i != NULL; i = i->ifa_next) {
			if (i->ifa_addr == NULL || i->ifa_addr->sa_family != families[f] || (i->ifa_flags & IFF_UP) == 0)
				continue;
			if (family_wanted(w, families[f]) && (!loopback_only || (i->ifa_flags & IFF_LOOPBACK)))
				add(i->ifa_addr, i->ifa_netmask);
		}
	}
}

static const struct ifaddrs *
has_interface(const struct ifaddrs *all, int family, const unsigned char want[16])
{
	unsigned char have[16];

	for (const struct ifaddrs *i = all; i != NULL; i = i->ifa_next) {
		if (i->ifa_addr == NULL || i->ifa_addr->sa_family != family)
			continue;
		get_bytes(i->ifa_addr, have);
		if (memcmp(want, have, 16) == 0)
			return i;
	}
	return NULL;
}

/* The mask of a named address is that of the interface which has it. */
static const struct sockaddr *
mask_of(const struct ifaddrs *all, const struct sockaddr *sa)
{
	unsigned char bytes[16];
	const struct ifaddrs *i;

	get_bytes(sa, bytes);
	i = has_interface(all, sa->sa_family, bytes);
	return i == NULL ? NULL : i->ifa_netmask;
}

static bool
add_host(const struct ifaddrs *all, const struct wanted *w, struct span name, struct err *e)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;
	struct buf host = {0};
	const struct span bare = name.n > 2 && *name.p == '[' && name.p[name.n - 1] == ']' ? span(name.p + 1, name.n - 2) : name;
	const size_t before = found.n;
	bool ok = true;

	buf_span(&host, bare);
	if (getaddrinfo(buf_cstr(&host), NULL, &hints, &list) == 0)
		for (const struct addrinfo *a = list; a != NULL; a = a->ai_next)
			if (family_wanted(w, a->ai_family))
				add(a->ai_addr, mask_of(all, a->ai_addr));
	if (list != NULL)
		freeaddrinfo(list);
	else
		ok = false;
	if (!ok || (found.n == before && before == 0))
		ok = err_perm(e, "config variable inet_interfaces: host not found: %.*s", SPAN_ARG(name));
	buf_free(&host);
	return ok;
}

bool
inet_protocols_parse(const char *value, bool *ipv4, bool *ipv6, struct err *e)
{
	struct span rest = span_str(value), word;

	*ipv4 = *ipv6 = false;
	while (span_take_word(&rest, ", \t\r\n", &word)) {
		const bool all = span_is(word, "all");

		if (!all && !span_is(word, "ipv4") && !span_is(word, "ipv6"))
			return err_perm(e, "unknown inet_protocols value \"%.*s\" in \"%s\"", SPAN_ARG(word), value);
		*ipv4 |= all || span_is(word, "ipv4");
		*ipv6 |= all || span_is(word, "ipv6");
	}
	return true;
}

bool
own_addresses(const char *interfaces, const char *protocols, const struct own_address **list, size_t *n, struct err *e)
{
	struct wanted w;
	struct span rest = span_str(interfaces), word;
	struct ifaddrs *all = NULL;
	bool ok = true;

	if (!inet_protocols_parse(protocols, &w.ipv4, &w.ipv6, e))
		return false;
	vec_free(&found);
	if (getifaddrs(&all) != 0)
		all = NULL;
	/* In a list these two are host names. */
	if (strcmp(interfaces, "all") == 0 || strcmp(interfaces, "loopback-only") == 0) {
		add_interfaces(all, &w, *interfaces == 'l');
		rest = SPAN_NULL;
	}
	while (ok && span_take_word(&rest, ", \t\r\n", &word))
		ok = add_host(all, &w, word, e);
	if (all != NULL)
		freeifaddrs(all);
	*list = found.p;
	*n = found.n;
	return ok;
}

bool
own_addresses_are_local(const char *interfaces, const char *protocols, struct err *e)
{
	const struct own_address *list;
	struct ifaddrs *all = NULL;
	char text[INET6_ADDRSTRLEN];
	bool ok = true;
	size_t n;

	if (!own_addresses(interfaces, protocols, &list, &n, e))
		return false;
	if (getifaddrs(&all) != 0)
		return true;		/* nothing to compare with */
	for (size_t i = 0; ok && i < n; i++) {
		if (has_interface(all, list[i].family, list[i].bytes))
			continue;
		(void)inet_ntop(list[i].family, list[i].bytes, text, sizeof text);
		ok = err_perm(e, "parameter inet_interfaces: no local interface found for %s", text);
	}
	freeifaddrs(all);
	return ok;
}
