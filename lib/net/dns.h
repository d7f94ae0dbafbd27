/*
 * dns.h - names and addresses, through libunbound as a stub of the servers in resolv.conf, or through the system's
 * resolver (hosts file) where asked.
 *
 * Servers are read once by dns_prepare(), before a jail is entered: "nameserver ADDRESS" lines of /etc/resolv.conf, or of
 * the file that the environment variable POSTHASTE_RESOLV_CONF names (tests; see import_environment). There an address
 * may have a port: "nameserver 127.0.0.1@5353". Answers are untrusted and checked.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef NET_DNS_H
#define NET_DNS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/span.h"
#include "io/sock.h"

enum dns_type { DNS_A = 1, DNS_NS = 2, DNS_PTR = 12, DNS_MX = 15, DNS_TXT = 16, DNS_AAAA = 28 };

enum dns_status {
	DNS_OK,
	DNS_NOT_FOUND,		/* no such name */
	DNS_NO_DATA,		/* the name exists, no record of this type */
	DNS_NULL_MX,		/* RFC 7505 */
	DNS_RETRY,		/* server failure, timeout */
	DNS_INVALID,		/* malformed name or answer */
	DNS_FILTERED,		/* there were records, and the filter took them all */
};

struct dns_record {
	unsigned preference;		/* MX */
	const char *name;		/* MX, NS, PTR: host name without trailing dot; TXT: text; A, AAAA: the owner */
	struct sock_addr address;	/* A, AAAA; port 0 */
};

struct dns_answer {
	enum dns_status status;
	struct dns_record *p;
	size_t n;
	uint32_t ttl;
	const char *canonical;		/* end of a CNAME chain, or NULL */
	const char *why;		/* "Host or domain name not found. Name service error for name=... "; "" when OK */
};

#define DNS_FILTERED_TEXT "DNS reply filter drops all results"
#define DNS_RECORDS_MAX	500		/* of one answer; the rest is ignored */

void	dns_prepare(void);
const char *dns_type_name(enum dns_type);

/*
 * A filter sees each A, AAAA, MX and TXT record: "name. ttl IN MX 10 host.". It keeps it, drops it (which is logged), or has
 * failed: then the lookup has, too. NULL: none.
 */
enum dns_filter_result { DNS_FILTER_KEEP, DNS_FILTER_DROP, DNS_FILTER_FAILED };
typedef enum dns_filter_result (*dns_filter_fn)(const char *record, struct arena *);
dns_filter_fn dns_set_filter(dns_filter_fn);	/* the one before */

/* Look up one name and type. Everything in *out lives in mem. */
enum dns_status dns_lookup(const char *name, enum dns_type, struct arena *mem, struct dns_answer *out);

enum {				/* dns_addresses() */
	DNS_USE_DNS = 1,
	DNS_USE_NATIVE = 2,	/* getaddrinfo; after DNS, when that did not find the name */
	DNS_IPV4 = 4,
	DNS_IPV6 = 8,
	DNS_UNFILTERED = 16,
};

/* All addresses of a host name or a numeric address. DNS_OK when there is at least one. */
enum dns_status dns_addresses(const char *host, unsigned flags, struct arena *mem, struct dns_answer *out);

/*
 * Name of a client by the system's resolver. *name is NULL when there is none; *why is the gai_strerror text.
 * DNS_OK, DNS_NOT_FOUND, DNS_RETRY.
 */
enum dns_status dns_name_of(const struct sock_addr *, struct arena *mem, const char **name, const char **why);
/* Does the name have this address, by the system's resolver? DNS_OK, DNS_NO_DATA (it has others), DNS_NOT_FOUND, DNS_RETRY. */
enum dns_status dns_name_has(const char *name, const struct sock_addr *, const char **why);

#endif
