/*
 * span.c - views of bytes. Trusts nobody; never allocates except where the name says so.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/span.h"

bool ascii_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool ascii_digit(char c) { return c >= '0' && c <= '9'; }
bool ascii_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool ascii_alnum(char c) { return ascii_alpha(c) || ascii_digit(c); }
bool ascii_print(char c) { return c >= 32 && c < 127; }
char ascii_lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }
char ascii_upper(char c) { return c >= 'a' && c <= 'z' ? (char)(c - 32) : c; }

int
ascii_hex(char c)
{
	if (ascii_digit(c))
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

struct span span(const char *p, size_t n) { return (struct span){ p, n }; }
struct span span_str(const char *s) { return (struct span){ s, s == NULL ? 0 : strlen(s) }; }

bool
span_eq(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool
span_ieq(struct span a, struct span b)
{
	return a.n == b.n && span_icmp(a, b) == 0;
}

extern inline bool span_is(struct span a, const char *cstr);
bool span_iis(struct span a, const char *s) { return span_ieq(a, span_str(s)); }

int
span_cmp(struct span a, struct span b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int diff = n == 0 ? 0 : memcmp(a.p, b.p, n);

	return diff != 0 ? diff : (a.n > b.n) - (a.n < b.n);
}

int
span_icmp(struct span a, struct span b)
{
	for (size_t i = 0; i < a.n && i < b.n; i++) {
		unsigned char x = (unsigned char)ascii_lower(a.p[i]);
		unsigned char y = (unsigned char)ascii_lower(b.p[i]);

		if (x != y)
			return x < y ? -1 : 1;
	}
	return (a.n > b.n) - (a.n < b.n);
}

bool span_starts(struct span s, struct span x) { return s.n >= x.n && span_eq(span_to(s, x.n), x); }
bool span_istarts(struct span s, struct span x) { return s.n >= x.n && span_ieq(span_to(s, x.n), x); }
bool span_ends(struct span s, struct span x) { return s.n >= x.n && span_eq(span_from(s, s.n - x.n), x); }
bool span_iends(struct span s, struct span x) { return s.n >= x.n && span_ieq(span_from(s, s.n - x.n), x); }

size_t
span_find(struct span s, char c)
{
	const char *at = s.n == 0 ? NULL : memchr(s.p, c, s.n);

	return at == NULL ? s.n : (size_t)(at - s.p);
}

size_t
span_rfind(struct span s, char c)
{
	for (size_t i = s.n; i > 0; i--)
		if (s.p[i - 1] == c)
			return i - 1;
	return s.n;
}

/* A set of bytes, one bit each. */
struct bytes {
	uint64_t has[4];
};

static struct bytes
bytes_of(const char *set)
{
	struct bytes b = {0};

	for (; *set != '\0'; set++)
		b.has[(unsigned char)*set / 64] |= UINT64_C(1) << ((unsigned char)*set % 64);
	return b;
}

static bool
in_set(const struct bytes *b, char c)
{
	return (b->has[(unsigned char)c / 64] >> ((unsigned char)c % 64) & 1) != 0;
}

size_t
span_find_any(struct span s, const char *set)
{
	const struct bytes wanted = bytes_of(set);

	for (size_t i = 0; i < s.n; i++)
		if (in_set(&wanted, s.p[i]))
			return i;
	return s.n;
}

size_t
span_find_span(struct span s, struct span needle)
{
	const char *at = s.n == 0 ? NULL : memmem(s.p, s.n, needle.p, needle.n);

	return at == NULL ? s.n : (size_t)(at - s.p);
}

bool span_has(struct span s, char c) { return span_find(s, c) < s.n; }

struct span
span_from(struct span s, size_t i)
{
	if (i > s.n)
		i = s.n;
	return (struct span){ s.p == NULL ? NULL : s.p + i, s.n - i };
}

struct span span_to(struct span s, size_t i) { return (struct span){ s.p, i < s.n ? i : s.n }; }

struct span
span_rtrim(struct span s)
{
	while (s.n > 0 && ascii_space(s.p[s.n - 1]))
		s.n--;
	return s;
}

struct span
span_trim(struct span s)
{
	while (s.n > 0 && ascii_space(s.p[0]))
		s = span_from(s, 1);
	return span_rtrim(s);
}

struct span
span_chomp(struct span s)
{
	if (s.n > 0 && s.p[s.n - 1] == '\n')
		s.n--;
	if (s.n > 0 && s.p[s.n - 1] == '\r')
		s.n--;
	return s;
}

bool
span_take_byte(struct span *in, char c)
{
	if (in->n == 0 || in->p[0] != c)
		return false;
	*in = span_from(*in, 1);
	return true;
}

bool
span_take(struct span *in, struct span prefix)
{
	if (!span_starts(*in, prefix))
		return false;
	*in = span_from(*in, prefix.n);
	return true;
}

bool
span_itake(struct span *in, struct span prefix)
{
	if (!span_istarts(*in, prefix))
		return false;
	*in = span_from(*in, prefix.n);
	return true;
}

bool
span_take_until(struct span *in, char sep, struct span *out)
{
	size_t i = span_find(*in, sep);

	if (i == in->n)
		return false;
	*out = span_to(*in, i);
	*in = span_from(*in, i + 1);
	return true;
}

bool
span_take_line(struct span *in, struct span *out)
{
	if (in->n == 0)
		return false;
	size_t i = span_find(*in, '\n');
	size_t used = i < in->n ? i + 1 : i;

	*out = span_chomp(span_to(*in, used));
	*in = span_from(*in, used);
	return true;
}

bool
span_take_word(struct span *in, const char *seps, struct span *out)
{
	const struct bytes separators = bytes_of(seps);
	size_t a = 0, b;

	while (a < in->n && in_set(&separators, in->p[a]))
		a++;
	for (b = a; b < in->n && !in_set(&separators, in->p[b]); )
		b++;
	if (a == b)
		return false;
	*out = span(in->p + a, b - a);
	*in = span_from(*in, b);
	return true;
}

bool
span_take_word_braced(struct span *in, const char *seps, struct span *out)
{
	const struct bytes separators = bytes_of(seps);
	size_t a = 0, b, depth = 0;

	while (a < in->n && in_set(&separators, in->p[a]))
		a++;
	if (a == in->n)
		return false;
	for (b = a; b < in->n && (depth > 0 || !in_set(&separators, in->p[b])); b++) {
		if (in->p[b] == '{')
			depth++;
		else if (in->p[b] == '}' && depth > 0)
			depth--;
	}
	*out = span(in->p + a, b - a);
	*in = span_from(*in, b);
	return true;
}

bool
span_lists(struct span list, const char *word)
{
	struct span one;

	while (span_take_word(&list, ", \t\r\n", &one))
		if (span_is(one, word))
			return true;
	return false;
}

bool
span_ilists(struct span list, const char *word)
{
	struct span one;

	while (span_take_word(&list, ", \t\r\n", &one))
		if (span_iis(one, word))
			return true;
	return false;
}

bool
span_take_u64(struct span *in, uint64_t *out)
{
	uint64_t v = 0;
	size_t i = 0;

	for (; i < in->n && ascii_digit(in->p[i]); i++)
		if (__builtin_mul_overflow(v, 10u, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(in->p[i] - '0'), &v))
			return false;
	if (i == 0)
		return false;
	*out = v;
	*in = span_from(*in, i);
	return true;
}

bool
span_to_u64(struct span s, uint64_t *out)
{
	uint64_t v;

	if (!span_take_u64(&s, &v) || s.n != 0)
		return false;
	*out = v;
	return true;
}

bool
span_to_i64(struct span s, int64_t *out)
{
	bool negative = span_take_byte(&s, '-');
	uint64_t v;

	if (!negative)
		(void)span_take_byte(&s, '+');
	if (!span_to_u64(s, &v) || v > (uint64_t)INT64_MAX)
		return false;
	*out = negative ? -(int64_t)v : (int64_t)v;
	return true;
}

struct span
span_i64(int64_t v, char room[SPAN_I64_ROOM])
{
	uint64_t rest = v < 0 ? -(uint64_t)v : (uint64_t)v;
	size_t at = SPAN_I64_ROOM;

	do {
		room[--at] = (char)('0' + rest % 10);
	} while ((rest /= 10) > 0);
	if (v < 0)
		room[--at] = '-';
	return span(room + at, SPAN_I64_ROOM - at);
}

struct span
span_copy(struct span s, struct arena *mem)
{
	char *p = arena_alloc(mem, s.n + 1);

	if (s.n > 0)
		memcpy(p, s.p, s.n);
	return span(p, s.n);
}

char *
span_cstr(struct span s, struct arena *mem)
{
	char *p = arena_alloc(mem, s.n + 1);

	if (s.n > 0)
		memcpy(p, s.p, s.n);
	return p;
}

char *
span_strdup(struct span s)
{
	char *p = malloc(s.n + 1);

	if (p == NULL)
		log_out_of_memory();
	if (s.n > 0)
		memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	return p;
}

struct span
span_lower(struct span s, struct arena *mem)
{
	char *p = span_cstr(s, mem);

	for (size_t i = 0; i < s.n; i++)
		p[i] = ascii_lower(p[i]);
	return span(p, s.n);
}

struct span
span_printable(struct span s, struct arena *mem)
{
	char *p = span_cstr(s, mem);
	size_t i = 0;

	while (i < s.n && ascii_print(p[i]))
		i++;
	const bool utf8 = i < s.n && span_valid_utf8(s);

	for (; i < s.n; i++)
		if (!ascii_print(p[i]) && !(utf8 && ((unsigned char)p[i] & 0x80)))
			p[i] = '?';
	return span(p, s.n);
}

bool
span_is_ascii(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] & 0x80)
			return false;
	return true;
}

/* Length of the valid UTF-8 sequence at p (n bytes left), or 0. */
static size_t
utf8_sequence(const unsigned char *p, size_t n)
{
	size_t len = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;

	if (len == 0 || len > n)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return len;
}

bool
span_valid_utf8(struct span s)
{
	const unsigned char *p = (const unsigned char *)s.p;

	for (size_t i = 0; i < s.n; ) {
		size_t len = utf8_sequence(p + i, s.n - i);

		if (len == 0)
			return false;
		i += len;
	}
	return true;
}

uint64_t
span_hash(struct span s)
{
	static uint64_t seed;

	if (seed == 0) {
		if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed)
			seed = (uint64_t)(uintptr_t)&seed;
		seed |= 1;
	}
	uint64_t h = seed;

	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3u;
	return h ^ (h >> 29);
}
