/*
 * dns.c - DNS lookups through libunbound. Answers come from strangers: every record is parsed with its length, host
 * names must look like host names, the number of records is limited. Never validates by itself.
 *
 * SPDX-License-Identifier: ISC
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <unbound.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/vec.h"
#include "io/file.h"
#include "net/dns.h"
#include "smtp/address.h"

#define RESOLV_CONF_MAX	65536u

static struct ub_ctx *context;
static char **servers;
static size_t nservers;
static dns_filter_fn filter;

static const struct {
	enum dns_type type;
	const char *name;
} types[] = {
	{ DNS_A, "A" }, { DNS_AAAA, "AAAA" }, { DNS_MX, "MX" }, { DNS_NS, "NS" }, { DNS_PTR, "PTR" }, { DNS_TXT, "TXT" },
};

const char *
dns_type_name(enum dns_type type)
{
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
		if (types[i].type == type)
			return types[i].name;
	return "unknown";
}

dns_filter_fn
dns_set_filter(dns_filter_fn fn)
{
	const dns_filter_fn before = filter;

	filter = fn;
	return before;
}

void
dns_prepare(void)
{
	const char *path = getenv("POSTHASTE_RESOLV_CONF");
	struct buf text = {0};
	struct span in, line, word;

	if (servers != NULL || !file_read_all(path != NULL ? path : "/etc/resolv.conf", RESOLV_CONF_MAX, &text, NULL)) {
		buf_free(&text);
		return;
	}
	in = buf_view(&text);
	while (span_take_line(&in, &line)) {
		if (!span_take_word(&line, " \t", &word) || !span_is(word, "nameserver") || !span_take_word(&line, " \t", &word))
			continue;
		servers = realloc(servers, (nservers + 1) * sizeof *servers);
		if (servers == NULL)
			log_out_of_memory();
		servers[nservers++] = span_strdup(word);
	}
	buf_free(&text);
}

static struct ub_ctx *
make_context(void)
{
	static const char *const options[][2] = {
		{ "module-config:", "iterator" }, { "do-not-query-localhost:", "no" }, { "unblock-lan-zones:", "yes" },
		{ "msg-cache-size:", "64k" }, { "rrset-cache-size:", "128k" }, { "key-cache-size:", "16k" },
		{ "msg-cache-slabs:", "1" }, { "rrset-cache-slabs:", "1" }, { "infra-cache-slabs:", "1" }, { "key-cache-slabs:", "1" },
		{ "infra-cache-numhosts:", "100" }, { "num-queries-per-thread:", "16" }, { "outgoing-range:", "16" },
		{ "minimal-responses:", "no" },
	};
	static const char *const builtin[] = { "test.", "invalid.", "localhost.", "127.in-addr.arpa." };
	struct ub_ctx *ctx = ub_ctx_create();

	if (ctx == NULL)
		log_out_of_memory();
	for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
		(void)ub_ctx_set_option(ctx, options[i][0], options[i][1]);
	dns_prepare();
	for (size_t i = 0; i < nservers; i++)
		if (ub_ctx_set_fwd(ctx, servers[i]) != 0)
			log_warning("ignoring name server %s", servers[i]);
	/* What libunbound answers by itself is the configured server's to answer. */
	for (size_t i = 0; i < sizeof builtin / sizeof builtin[0]; i++)
		(void)ub_ctx_zone_remove(ctx, builtin[i]);
	return ctx;
}

/* Uncompressed name (libunbound expands them) to text. False: it runs over the end or is no host name. */
static bool
take_name(struct span *in, struct arena *mem, const char **out, bool *root)
{
	char text[256];
	size_t n = 0;

	for (;;) {
		size_t len;

		if (in->n == 0)
			return false;
		len = (unsigned char)in->p[0];
		*in = span_from(*in, 1);
		if (len == 0)
			break;
		if (len > 63 || len > in->n || n + len + 1 > sizeof text)
			return false;
		if (n > 0)
			text[n++] = '.';
		memcpy(text + n, in->p, len);
		n += len;
		*in = span_from(*in, len);
	}
	*root = n == 0;
	*out = span_cstr(span(text, n), mem);
	return n == 0 || address_hostname_ok(span(text, n)) || address_ipv4_ok(span(text, n));
}

/* Character strings of a TXT record, one behind the other. */
static const char *
take_text(struct span in, struct arena *mem)
{
	struct buf text = {0};
	const char *result;

	while (in.n > 0) {
		size_t len = (unsigned char)in.p[0];

		buf_span(&text, span_to(span_from(in, 1), len));
		in = span_from(in, len + 1);
	}
	result = span_cstr(span_printable(buf_view(&text), mem), mem);
	buf_free(&text);
	return result;
}

static bool
take_address(struct span in, enum dns_type type, struct sock_addr *out)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

	if (type == DNS_A) {
		if (in.n != sizeof v4.sin_addr)
			return false;
		memcpy(&v4.sin_addr, in.p, in.n);
		sock_addr_set(out, (const struct sockaddr *)&v4, sizeof v4);
		return true;
	}
	if (in.n != sizeof v6.sin6_addr)
		return false;
	memcpy(&v6.sin6_addr, in.p, in.n);
	sock_addr_set(out, (const struct sockaddr *)&v6, sizeof v6);
	return true;
}

static bool
take_record(struct span in, const char *owner, enum dns_type type, struct arena *mem, struct dns_record *out, bool *root)
{
	*root = false;
	switch (type) {
	case DNS_A:
	case DNS_AAAA:
		out->name = owner;
		return take_address(in, type, &out->address);
	case DNS_TXT:
		out->name = take_text(in, mem);
		return true;
	case DNS_MX:
		if (in.n < 3)
			return false;
		out->preference = (unsigned)(unsigned char)in.p[0] << 8 | (unsigned char)in.p[1];
		in = span_from(in, 2);
		break;
	case DNS_NS:
	case DNS_PTR:
		break;
	}
	return take_name(&in, mem, &out->name, root);
}

static enum dns_filter_result
ask_filter(const struct dns_record *rec, const char *owner, enum dns_type type, int ttl, struct arena *mem)
{
	const char *head, *text;
	enum dns_filter_result result;

	if (filter == NULL || type == DNS_NS || type == DNS_PTR)
		return DNS_FILTER_KEEP;
	head = arena_printf(mem, "%s. %d IN %s", owner, ttl, dns_type_name(type));
	if (type == DNS_MX)
		text = arena_printf(mem, "%s %u %s.", head, rec->preference, rec->name);
	else
		text = arena_printf(mem, "%s %s", head, type == DNS_TXT ? rec->name : rec->address.host);
	result = filter(text, mem);
	if (result == DNS_FILTER_DROP)
		log_info("ignoring DNS RR: %s", text);
	return result;
}

static void
take_records(const struct ub_result *r, enum dns_type type, struct arena *mem, struct dns_answer *out)
{
	struct span name = span_str(r->canonname != NULL ? r->canonname : r->qname);
	const char *owner;
	size_t total = 0;
	bool root = false, null_mx = false, dropped = false;

	if (name.n > 1 && name.p[name.n - 1] == '.')
		name.n--;
	owner = span_cstr(name, mem);
	while (total < DNS_RECORDS_MAX && r->data[total] != NULL)
		total++;
	out->p = ARENA_ARRAY(mem, struct dns_record, total + 1);
	for (size_t i = 0; i < total; i++) {
		struct span data = span(r->data[i], r->len[i] > 0 ? (size_t)r->len[i] : 0);

		if (!take_record(data, owner, type, mem, &out->p[out->n], &root)) {
			log_warning("ignoring malformed %s record for %s", dns_type_name(type), r->qname);
			continue;
		}
		switch (root ? DNS_FILTER_KEEP : ask_filter(&out->p[out->n], owner, type, r->ttl, mem)) {
		case DNS_FILTER_KEEP:
			break;
		case DNS_FILTER_DROP:
			dropped = true;
			continue;
		case DNS_FILTER_FAILED:
			*out = (struct dns_answer){ .status = DNS_RETRY };
			return;
		}
		if (type == DNS_MX && root)
			null_mx = true;
		else if (!root)
			out->n++;
	}
	out->ttl = r->ttl < 0 ? 0 : (uint32_t)r->ttl;
	out->canonical = r->canonname != NULL && !span_iis(span_str(r->qname), owner) ? owner : NULL;
	out->status = out->n > 0 ? DNS_OK : null_mx ? DNS_NULL_MX : dropped ? DNS_FILTERED : DNS_INVALID;
}

static const char *
explain(enum dns_status status, const char *name, enum dns_type type, struct arena *mem)
{
	static const char *const text[] = {
		[DNS_OK] = "", [DNS_NOT_FOUND] = "Host not found", [DNS_RETRY] = "Host not found, try again",
		[DNS_NO_DATA] = "Host found but no data record of requested type", [DNS_NULL_MX] = "",
		[DNS_INVALID] = "Malformed or unexpected name server reply",
	};
	const char *head = status == DNS_INVALID ? "" : "Host or domain name not found. ";

	if (status == DNS_OK)
		return "";
	if (status == DNS_FILTERED)
		return arena_printf(mem, "Error looking up name=%s type=%s: " DNS_FILTERED_TEXT, name, dns_type_name(type));
	if (status == DNS_NULL_MX)
		return arena_printf(mem, "Domain %s does not accept mail (nullMX)", name);
	return arena_printf(mem, "%sName service error for name=%s type=%s: %s", head, name, dns_type_name(type), text[status]);
}

enum dns_status
dns_lookup(const char *name, enum dns_type type, struct arena *mem, struct dns_answer *out)
{
	struct ub_result *r = NULL;
	size_t len = strlen(name);

	*out = (struct dns_answer){ .status = DNS_RETRY };
	if (len == 0 || len > 255 || span_has(span_str(name), '\\') || span_find_span(span_str(name), SPAN("..")) < len) {
		out->status = DNS_NOT_FOUND;
		out->why = explain(out->status, name, type, mem);
		return out->status;
	}
	if (context == NULL)
		context = make_context();
	if (ub_resolve(context, name, (int)type, 1, &r) == 0) {
		if (r->havedata)
			take_records(r, type, mem, out);
		else if (r->nxdomain)
			out->status = DNS_NOT_FOUND;
		else if (r->rcode == 0)
			out->status = DNS_NO_DATA;
	}
	ub_resolve_free(r);
	out->why = explain(out->status, name, type, mem);
	return out->status;
}
