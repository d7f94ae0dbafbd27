/*
 * command.c - words, paths and xtext of SMTP command lines. Input is what a peer sent; nothing is trusted.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "smtp/address.h"
#include "smtp/command.h"

#define PATH_TOKENS	1024	/* of one path; a line holds line_length_limit bytes */

bool
smtp_take_word(struct span *in, struct span *word)
{
	size_t i = 0, start;
	bool quoted = false, bracketed = false;

	while (i < in->n && ascii_space(in->p[i]))
		i++;
	if (i == in->n)
		return false;
	for (start = i; i < in->n; i++) {
		char c = in->p[i];

		if (c == '\\' && i + 1 < in->n)
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (quoted)
			continue;
		else if (c == '<')
			bracketed = true;
		else if (c == '>')
			bracketed = false;
		else if (ascii_space(c) && !bracketed)
			break;
	}
	*word = span(in->p + start, i - start);
	*in = span_from(*in, i);
	return true;
}

bool
smtp_take_path(struct span *in, const char *keyword, struct span *path)
{
	struct span rest = span_trim(*in);

	if (!span_itake(&rest, span_str(keyword)) || !span_take_byte(&rest, ':') || !smtp_take_word(&rest, path))
		return false;
	*in = rest;
	return true;
}

bool
smtp_path_whole(struct span word)
{
	size_t depth = 0, i;
	bool quoted = false;

	for (i = 0; i < word.n; i++) {
		if (word.p[i] == '\\')
			i++;
		else if (word.p[i] == '"')
			quoted = !quoted;
		else if (!quoted && word.p[i] == '<')
			depth++;
		else if (!quoted && word.p[i] == '>' && depth > 0)
			depth--;
	}
	return depth == 0 && !quoted && i == word.n;
}

/* name<address> */
static struct span
without_name(struct span word)
{
	bool quoted = false;

	for (size_t i = 0; i < word.n; i++) {
		if (word.p[i] == '\\')
			i++;
		else if (word.p[i] == '"')
			quoted = !quoted;
		else if (!quoted && word.p[i] == '<')
			return span_from(word, i);
	}
	return word;
}

/* A name, comments, any number of '<', and "@a,@b:" at the start. */
static struct span
without_route(struct span word, bool strict, bool *bracketed, struct span *given)
{
	struct span rest = word, comment;
	size_t colon;

	while (!strict && rest.n > 0 && rest.p[0] == '(' && span_take_until(&rest, ')', &comment))
		;
	if (!strict)
		rest = without_name(rest);
	*bracketed = span_take_byte(&rest, '<');
	while (!strict && *bracketed && span_take_byte(&rest, '<'))
		;
	*given = rest;
	if (rest.n > 0 && rest.p[0] == '@' && (colon = span_find(rest, ':')) < rest.n)
		rest = span_from(rest, colon + 1);
	return rest;
}

static bool
is_special(const struct address_token *t, char c)
{
	return t->kind == ADDRESS_SPECIAL && t->text.p[0] == c;
}

/* Take '>' from the end (more than one when lenient). False: there was none. */
static bool
take_closing(struct address_tokens *tokens, bool strict)
{
	size_t n = tokens->n, end;

	while (!strict && n > 0 && tokens->p[n - 1].kind == ADDRESS_COMMENT)
		n--;
	end = n;
	while (n > 0 && is_special(&tokens->p[n - 1], '>') && (!strict || n == end))
		n--;
	if (n < end)
		tokens->n = n;
	return n < end;
}

static bool
is_word(const struct address_token *t)
{
	return t->kind == ADDRESS_ATOM || t->kind == ADDRESS_QUOTED || t->kind == ADDRESS_LITERAL;
}

/* "group: address;" counts as that address. */
static void
open_group(struct address_tokens *tokens)
{
	size_t n = tokens->n, start;

	while (n > 0 && is_special(&tokens->p[n - 1], ';'))
		n--;
	if (n == tokens->n)
		return;
	start = n;
	while (start > 0 && !is_special(&tokens->p[start - 1], ':'))
		start--;
	tokens->p += start;
	tokens->n = n - start;
}

/* Words and the specials . @ % ! : only; no two words next to each other. Comments are removed. */
static bool
clean_tokens(struct address_tokens *tokens, bool strict)
{
	size_t n = 0;

	for (size_t i = 0; i < tokens->n; i++) {
		const struct address_token *t = &tokens->p[i];

		if (t->kind == ADDRESS_COMMENT) {
			if (strict)
				return false;
			continue;
		}
		if (t->kind == ADDRESS_SPECIAL ? strchr(".@%!:", t->text.p[0]) == NULL :
		    n > 0 && is_word(&tokens->p[n - 1]))
			return false;
		tokens->p[n++] = *t;
	}
	tokens->n = n;
	return true;
}

static bool
domain_ok(struct span internal, unsigned flags)
{
	struct span local, domain, host;

	if ((flags & SMTP_PATH_ANY_DOMAIN) != 0 || !address_split(internal, &local, &domain))
		return true;
	if (domain.n > 0 && domain.p[0] == '[')
		return address_literal_take(domain, &host);
	if (domain.n > 1 && domain.p[domain.n - 1] == '.')
		domain.n--;
	if ((flags & SMTP_PATH_RESOLVED) != 0 && (domain.n == 0 || address_ipv4_ok(domain) || address_ipv6_ok(domain)))
		return true;
	return address_hostname_ok(domain) && ((flags & SMTP_PATH_UTF8) != 0 || span_is_ascii(domain));
}

/* The last byte stands inside quotes, or behind a backslash. */
static bool
ends_quoted(struct span s)
{
	bool quoted = false;

	for (size_t i = 0; i + 1 < s.n; i++) {
		if (s.p[i] == '\\' && ++i + 1 >= s.n)
			return true;
		if (s.p[i] == '"')
			quoted = !quoted;
	}
	return quoted;
}

bool
smtp_path_parse(struct span word, unsigned flags, struct arena *mem, struct smtp_path *out)
{
	bool bracketed, strict = (flags & SMTP_PATH_STRICT) != 0;
	struct span text = without_route(word, strict, &bracketed, &out->given);
	bool closed = bracketed && text.n > 0 && text.p[text.n - 1] == '>' && !ends_quoted(text);
	struct address_tokens tokens;

	/* Taken off here: an unclosed '[' would swallow it. */
	if (closed)
		text.n--;
	tokens = address_tokenize(text, PATH_TOKENS, mem);
	if (tokens.cut || (strict && !bracketed))
		return false;
	if (!(closed && strict) && !take_closing(&tokens, strict) && bracketed && !closed)
		return false;
	open_group(&tokens);
	if (!clean_tokens(&tokens, strict))
		return false;
	if (tokens.n == 0 && (!bracketed || (flags & SMTP_PATH_NULL) == 0))
		return false;
	out->bracketed = bracketed;
	while (out->given.n > 0 && out->given.p[out->given.n - 1] == '>')
		out->given.n--;
	out->internal = address_unquote(address_tokens_text(tokens.p, tokens.n, mem), mem);
	out->external = address_quote(out->internal, mem);
	if (tokens.n > 0 && out->internal.n == 0 && (strict || (flags & SMTP_PATH_NULL) == 0))
		return false;		/* <""> */
	if (strict && out->internal.n > 0 && out->internal.p[0] == '@')
		return false;
	return domain_ok(out->internal, flags);
}

bool
smtp_xtext_decode(struct span s, struct arena *mem, struct span *out)
{
	char *to = arena_alloc(mem, s.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '+') {
			if (i + 2 >= s.n || ascii_hex(s.p[i + 1]) < 0 || ascii_hex(s.p[i + 2]) < 0)
				return false;
			to[n++] = (char)(ascii_hex(s.p[i + 1]) * 16 + ascii_hex(s.p[i + 2]));
			i += 2;
		} else if (s.p[i] < 33 || s.p[i] > 126 || s.p[i] == '=') {
			return false;
		} else {
			to[n++] = s.p[i];
		}
	}
	*out = span(to, n);
	return true;
}

struct span
smtp_xtext_encode(struct span s, struct arena *mem)
{
	static const char hex[] = "0123456789ABCDEF";
	char *to = arena_alloc(mem, s.n * 3 + 1);
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c < 33 || c > 126 || c == '+' || c == '=') {
			to[n++] = '+';
			to[n++] = hex[c >> 4];
			to[n++] = hex[c & 15];
		} else {
			to[n++] = s.p[i];
		}
	}
	return span(to, n);
}
