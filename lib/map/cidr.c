/*
 * cidr.c - address patterns: "192.0.2.1", "192.0.2.0/24", "[2001:db8::]/32".
 *
 * SPDX-License-Identifier: ISC
 */
#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

#include "map/match.h"

#define ADDRESS_TEXT_MAX	64

static unsigned
family_bits(int family)
{
	return family == AF_INET ? 32 : 128;
}

static bool
parse_plain(struct span text, int *family, unsigned char bytes[16])
{
	char copy[ADDRESS_TEXT_MAX];

	if (text.n == 0 || text.n >= sizeof copy || span_has(text, '\0'))
		return false;
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	memset(bytes, 0, 16);
	*family = span_has(text, ':') ? AF_INET6 : AF_INET;
	return inet_pton(*family, copy, bytes) == 1;
}

bool
address_parse(struct span text, int *family, unsigned char bytes[16])
{
	static const unsigned char mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

	if (!parse_plain(text, family, bytes))
		return false;
	if (*family == AF_INET6 && memcmp(bytes, mapped, sizeof mapped) == 0) {
		*family = AF_INET;
		memmove(bytes, bytes + 12, 4);
		memset(bytes + 4, 0, 12);
	}
	return true;
}

static void
mask(unsigned char bytes[16], unsigned prefix)
{
	for (unsigned i = 0; i < 16; i++) {
		const unsigned bit = i * 8;

		if (prefix <= bit)
			bytes[i] = 0;
		else if (prefix < bit + 8)
			bytes[i] &= (unsigned char)(0xff00u >> (prefix - bit));
	}
}

/* "[addr]/24" and "[addr/24]" to "addr/24"; anything else stays. */
static bool
strip_brackets(struct span *pattern, char *copy, size_t size, struct err *e)
{
	const struct span whole = *pattern;
	const size_t close = span_find(whole, ']');
	struct span inside, after;

	if (whole.n == 0 || *whole.p != '[')
		return true;
	if (close == whole.n)
		return err_perm(e, "missing ']' character after \"%.*s\"", SPAN_ARG(whole));
	inside = span(whole.p + 1, close - 1);
	after = span_from(whole, close + 1);
	if (after.n > 0 && *after.p != '/')
		return err_perm(e, "garbage after \"%.*s\"", SPAN_ARG(span_to(whole, close + 1)));
	if (inside.n + after.n >= size)
		return err_perm(e, "bad address pattern: \"%.*s\"", SPAN_ARG(whole));
	memcpy(copy, inside.p, inside.n);
	if (after.n > 0)
		memcpy(copy + inside.n, after.p, after.n);
	*pattern = span(copy, inside.n + after.n);
	return true;
}

bool
cidr_parse(struct span pattern, struct cidr *out, struct err *e)
{
	char copy[ADDRESS_TEXT_MAX * 2], shown[INET6_ADDRSTRLEN];
	unsigned char net[16];
	struct span address, length;
	uint64_t prefix;
	size_t slash;

	if (!strip_brackets(&pattern, copy, sizeof copy, e))
		return false;
	slash = span_find(pattern, '/');
	if (slash == pattern.n) {
		if (!parse_plain(pattern, &out->family, out->net))
			return err_perm(e, "bad address pattern: \"%.*s\"", SPAN_ARG(pattern));
		out->prefix = family_bits(out->family);
		return true;
	}
	address = span_to(pattern, slash);
	length = span_from(pattern, slash + 1);
	if (!span_to_u64(length, &prefix) || length.p[0] == '+')
		return err_perm(e, "bad mask value in \"%.*s\"", SPAN_ARG(pattern));
	if (!parse_plain(address, &out->family, net))
		return err_perm(e, "bad network value in \"%.*s\"", SPAN_ARG(pattern));
	if (prefix > family_bits(out->family))
		return err_perm(e, "bad mask length in \"%.*s\"", SPAN_ARG(pattern));
	out->prefix = (unsigned)prefix;
	memcpy(out->net, net, sizeof net);
	mask(out->net, out->prefix);
	if (memcmp(out->net, net, sizeof net) == 0)
		return true;
	(void)inet_ntop(out->family, out->net, shown, sizeof shown);
	return err_perm(e, "non-null host address bits in \"%.*s\", perhaps you should use \"%s/%u\" instead",
	    SPAN_ARG(pattern), shown, out->prefix);
}

bool
cidr_match(const struct cidr *c, int family, const unsigned char *bytes)
{
	const unsigned whole = c->prefix / 8, rest = c->prefix % 8;

	if (family != c->family || memcmp(c->net, bytes, whole) != 0)
		return false;
	return rest == 0 || ((c->net[whole] ^ bytes[whole]) & (0xff00u >> rest) & 0xffu) == 0;
}
