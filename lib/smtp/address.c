/*
 * address.c - quoting and tokens of mail addresses. Trusts nothing: input is any bytes of a peer; time and
 * memory are linear in the input, which the caller has bounded (line_length_limit, header_size_limit).
 *
 * SPDX-License-Identifier: ISC
 */
#include <arpa/inet.h>
#include <string.h>

#include "smtp/address.h"

/* A bit for each byte from 32 to 127 that no atom may hold: blank, ()<>@,;:\".[] and DEL. */
#define BIT(c)		(1u << ((c) & 31))
static const uint32_t not_in_atom[3] = {
	BIT(' ') | BIT('"') | BIT('(') | BIT(')') | BIT(',') | BIT('.') | BIT(':') | BIT(';') | BIT('<') | BIT('>'),
	BIT('@') | BIT('[') | BIT('\\') | BIT(']'),
	BIT(127),
};

static bool
is_atom_byte(char c)
{
	const unsigned char u = (unsigned char)c;

	return u >= 128 || (u >= 32 && (not_in_atom[u / 32 - 1] >> (u & 31) & 1) == 0);
}

bool
address_is_dot_atom(struct span s)
{
	char last = '.';

	for (size_t i = 0; i < s.n; last = s.p[i++])
		if (s.p[i] == '.' ? last == '.' : !is_atom_byte(s.p[i]))
			return false;
	return s.n > 0 && last != '.';
}

bool
address_split(struct span internal, struct span *local, struct span *domain)
{
	size_t at = span_rfind(internal, '@');

	*local = span_to(internal, at);
	*domain = span_from(internal, at + 1);
	return at < internal.n;
}

static void
quote_word(struct buf *out, struct span text)
{
	buf_byte(out, '"');
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '"' || text.p[i] == '\\' || text.p[i] == '\r' || text.p[i] == '\n')
			buf_byte(out, '\\');
		buf_byte(out, text.p[i]);
	}
	buf_byte(out, '"');
}

void
address_quote_to(struct buf *out, struct span internal)
{
	struct span local, domain;
	bool has_domain = address_split(internal, &local, &domain);

	if ((local.n == 0 && !has_domain) || address_is_dot_atom(local))
		buf_span(out, local);
	else
		quote_word(out, local);
	if (has_domain) {
		buf_byte(out, '@');
		buf_span(out, domain);
	}
}

struct span
address_quote(struct span internal, struct arena *mem)
{
	struct span local, domain, result;
	struct buf out = {0};

	if ((!address_split(internal, &local, &domain) && local.n == 0) || address_is_dot_atom(local))
		return internal;
	address_quote_to(&out, internal);
	result = span_copy(buf_view(&out), mem);
	buf_free(&out);
	return result;
}

/* Length of the comment at the start of s, nested ones and quoted pairs included. */
static size_t
comment_length(struct span s)
{
	size_t depth = 0, i = 0;

	for (; i < s.n; i++) {
		if (s.p[i] == '\\' && i + 1 < s.n)
			i++;
		else if (s.p[i] == '(')
			depth++;
		else if (s.p[i] == ')' && --depth == 0)
			return i + 1;
	}
	return s.n;
}

/* Length of "..." or [...] at the start of s, up to and with the closing byte. */
static size_t
quoted_length(struct span s, char close)
{
	for (size_t i = 1; i < s.n; i++) {
		if (s.p[i] == '\\')
			i++;
		else if (s.p[i] == close)
			return i + 1;
	}
	return s.n;
}

/* Content of a quoted string: *n bytes at out, which has room for s.n. */
static struct span
unescape(struct span s, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\\' && i + 1 < s.n)
			i++;
		out[n++] = s.p[i];
	}
	return span(out, n);
}

/* Without the opening quote, and without the closing one when there is one. */
static struct span
quoted_content(struct span s)
{
	size_t escapes = 0;

	s = span_from(s, 1);
	if (s.n == 0 || s.p[s.n - 1] != '"')
		return s;
	while (escapes + 1 < s.n && s.p[s.n - 2 - escapes] == '\\')
		escapes++;
	return escapes % 2 == 0 ? span_to(s, s.n - 1) : s;
}

struct span
address_unquote(struct span external, struct arena *mem)
{
	struct span s = span_trim(external), part;
	char *out;
	size_t n = 0, len, fixed = 0;	/* fixed: what was quoted ends there */

	if (span_find_any(s, "\"\\(") == s.n)
		return s;
	out = arena_alloc(mem, s.n + 1);
	for (size_t i = 0; i < s.n; i += len) {
		struct span rest = span_from(s, i);

		len = 1;
		if (rest.p[0] == '(') {
			len = comment_length(rest);
			while (len < rest.n && ascii_space(rest.p[len]))
				len++;
			while (n > fixed && ascii_space(out[n - 1]))
				n--;
		} else if (rest.p[0] == '"') {
			len = quoted_length(rest, '"');
			part = unescape(quoted_content(span_to(rest, len)), out + n);
			fixed = n += part.n;
		} else if (rest.p[0] == '\\' && rest.n > 1) {
			out[n++] = rest.p[1];
			fixed = n;
			len = 2;
		} else {
			out[n++] = rest.p[0];
		}
	}
	return span(out, n);
}

/* Atom bytes and quoted pairs (obsolete, but seen). */
static size_t
atom_length(struct span s)
{
	size_t n = 0;

	while (n < s.n) {
		if (s.p[n] == '\\' && n + 1 < s.n)
			n += 2;
		else if (is_atom_byte(s.p[n]) && s.p[n] != '%' && s.p[n] != '!')
			n++;
		else
			break;
	}
	return n;
}

/* "[text" with the bracket that it lacks. */
static struct span
closed_literal(struct span s, struct arena *mem)
{
	char *out = arena_alloc(mem, s.n + 1);

	memcpy(out, s.p, s.n);
	out[s.n] = ']';
	return span(out, s.n + 1);
}

/* The token at the start of s, which is not white space; its length is the result. */
static size_t
take_token(struct span s, struct address_token *t, struct arena *mem)
{
	size_t len = 1;

	switch (s.p[0]) {
	case '(':
		len = comment_length(s);
		t->kind = ADDRESS_COMMENT;
		break;
	case '"':
		len = quoted_length(s, '"');
		t->kind = ADDRESS_QUOTED;
		t->text = quoted_content(span_to(s, len));
		t->text = unescape(t->text, arena_alloc(mem, t->text.n + 1));
		return len;
	case '[':
		len = quoted_length(s, ']');
		t->kind = ADDRESS_LITERAL;
		t->text = span_to(s, len);
		if (s.p[len - 1] != ']' || len == 1)
			t->text = closed_literal(t->text, mem);
		return len;
	default:
		len = atom_length(s);
		t->kind = len > 0 ? ADDRESS_ATOM : ADDRESS_SPECIAL;
		len += len == 0;
	}
	t->text = span_to(s, len);
	return len;
}

struct address_tokens
address_tokenize(struct span text, size_t limit, struct arena *mem)
{
	struct address_tokens tokens = {0};
	struct address_token *grown;
	size_t cap = 0;
	bool space = false;

	for (size_t i = 0; i < text.n;) {
		if (ascii_space(text.p[i])) {
			space = true;
			i++;
			continue;
		}
		if (tokens.n == limit) {
			tokens.cut = true;
			break;
		}
		if (tokens.n == cap) {
			cap = cap == 0 ? 16 : cap * 2;
			grown = ARENA_ARRAY(mem, struct address_token, cap);
			if (tokens.n > 0)
				memcpy(grown, tokens.p, tokens.n * sizeof *grown);
			tokens.p = grown;
		}
		struct address_token *t = &tokens.p[tokens.n++];

		t->space = space;
		i += take_token(span_from(text, i), t, mem);
		space = t->kind == ADDRESS_COMMENT;
	}
	return tokens;
}

static bool
is_word(const struct address_token *t)
{
	return t->kind == ADDRESS_ATOM || t->kind == ADDRESS_QUOTED || t->kind == ADDRESS_LITERAL;
}

struct span
address_tokens_text(const struct address_token *t, size_t n, struct arena *mem)
{
	struct buf out = {0};
	struct span result;

	for (size_t i = 0; i < n; i++) {
		if (i > 0 && is_word(&t[i]) && is_word(&t[i - 1]))
			buf_byte(&out, ' ');
		if (t[i].kind == ADDRESS_QUOTED)
			quote_word(&out, t[i].text);
		else
			buf_span(&out, t[i].text);
	}
	result = span_copy(buf_view(&out), mem);
	buf_free(&out);
	return result;
}

bool
address_hostname_ok(struct span name)
{
	size_t label = 0;
	bool digits_only = true;

	if (name.n == 0 || name.n > 255)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];

		if (c == '.') {
			if (label == 0 || name.p[i - 1] == '-' || i + 1 == name.n)
				return false;
			label = 0;
			continue;
		}
		if (!ascii_alnum(c) && c != '-' && c != '_' && (unsigned char)c < 128)
			return false;
		if (c == '-' && label == 0)
			return false;
		if (++label > 63)
			return false;
		digits_only = digits_only && ascii_digit(c);
	}
	return name.p[name.n - 1] != '-' && !digits_only;
}

static bool
numeric_ok(int family, struct span s)
{
	unsigned char bytes[16];
	char text[64];

	if (s.n == 0 || s.n >= sizeof text || memchr(s.p, '\0', s.n) != NULL)
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	return inet_pton(family, text, bytes) == 1;
}

bool address_ipv4_ok(struct span s) { return numeric_ok(AF_INET, s); }
bool address_ipv6_ok(struct span s) { return numeric_ok(AF_INET6, s); }

bool
address_literal_take(struct span literal, struct span *host)
{
	struct span s = literal;

	if (!span_take_byte(&s, '[') || s.n == 0 || s.p[s.n - 1] != ']')
		return false;
	s.n--;
	if (span_itake(&s, SPAN("ipv6:"))) {
		if (!address_ipv6_ok(s))
			return false;
	} else if (!address_ipv4_ok(s)) {
		return false;
	}
	*host = s;
	return true;
}
