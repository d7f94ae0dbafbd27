/*
 * alias.c - a line of an alias file: "name: value, value". The name is stored without quotes, the value as it is
 * printed from its tokens.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "base/vec.h"
#include "postmap/postmap.h"
#include "smtp/address.h"

#define TOKENS_MAX	100000

static bool
is_special(const struct address_token *t, char c)
{
	return t->kind == ADDRESS_SPECIAL && t->text.n == 1 && *t->text.p == c;
}

static void
add(struct vec *out, enum address_token_kind kind, struct span text)
{
	*(struct address_token *)vec_add(out) = (struct address_token){ .kind = kind, .text = text };
}

/* Up to the next "|" that no backslash hides; backslashes go. What then holds more than atom characters is quoted. */
static void
add_atom(struct vec *out, struct span *in, struct arena *mem)
{
	char *text = arena_alloc(mem, in->n + 1);
	size_t n = 0, i = 0;
	bool plain = true;

	for (; i < in->n && in->p[i] != '|'; i++) {
		if (in->p[i] == '\\' && ++i == in->n)
			break;
		text[n] = in->p[i];
		plain &= ascii_print(text[n]) || (unsigned char)text[n] >= 128;
		plain &= strchr(" ()<>@,;:\\\".[]|!%", text[n]) == NULL;
		n++;
	}
	*in = span_from(*in, i);
	add(out, plain ? ADDRESS_ATOM : ADDRESS_QUOTED, span(text, n));
}

/* As address_tokenize(), but "|" is a token of its own, and nothing holds backslashes. */
static void
tokenize(struct span line, struct arena *mem, struct vec *out)
{
	const struct address_tokens all = address_tokenize(line, TOKENS_MAX, mem);

	for (size_t i = 0; i < all.n; i++) {
		struct span rest = all.p[i].text;

		if (all.p[i].kind != ADDRESS_ATOM)
			add(out, all.p[i].kind, rest);
		while (all.p[i].kind == ADDRESS_ATOM && rest.n > 0) {
			if (*rest.p != '|')
				add_atom(out, &rest, mem);
			if (rest.n > 0) {
				add(out, ADDRESS_SPECIAL, span_to(rest, 1));
				rest = span_from(rest, 1);
			}
		}
	}
}

/* Words next to each other get a blank in between; so does what follows a comma, and "<" behind a name. */
static bool
needs_blank(const struct address_token *t, size_t i)
{
	if (i == 0)
		return false;
	if (is_special(&t[i - 1], ','))
		return true;
	return t[i - 1].kind != ADDRESS_SPECIAL && (t[i].kind != ADDRESS_SPECIAL || is_special(&t[i], '<'));
}

static struct span
one_line(struct span text, struct arena *mem)
{
	char *out = arena_alloc(mem, text.n + 1);

	for (size_t i = 0; i < text.n; i++)
		out[i] = text.p[i];
	for (size_t i = 0; i < text.n; i++)
		if (ascii_space(out[i]))
			out[i] = ' ';
	return span(out, text.n);
}

/* Tokens as text; quoted: in external form, else the quotes of quoted strings go. */
static struct span
token_text(const struct address_token *t, size_t n, bool quoted, struct arena *mem)
{
	struct buf out = {0};
	struct span text;

	for (size_t i = 0; i < n; i++) {
		struct address_token one = t[i];

		if (needs_blank(t, i))
			buf_byte(&out, ' ');
		if (one.kind == ADDRESS_QUOTED && quoted) {
			one.text = one_line(one.text, mem);
			buf_span(&out, address_tokens_text(&one, 1, mem));
		} else {
			buf_span(&out, one.text);
		}
	}
	if (n > 0 && is_special(&t[n - 1], ','))
		buf_byte(&out, ' ');
	text = span_copy(buf_view(&out), mem);
	buf_free(&out);
	return text;
}

static bool
split(const struct address_token *t, size_t n, struct arena *mem, struct span *name, struct span *value, const char **why)
{
	size_t colon = 0;

	*why = "need name:value pair";
	while (colon < n && !is_special(&t[colon], ':'))
		if (is_special(&t[colon++], ','))
			return false;
	if (colon == 0 || colon + 1 >= n)
		return false;
	*name = token_text(t, colon, false, mem);
	*value = token_text(t + colon + 1, n - colon - 1, true, mem);
	*why = "name must be local and have no domain";
	for (size_t i = 0; i < colon; i++)
		if (is_special(&t[i], '@') || is_special(&t[i], '%'))
			return false;
	return true;
}

bool
alias_split(struct span line, struct arena *mem, struct span *name, struct span *value, const char **why)
{
	struct vec tokens = VEC_INIT(struct address_token);
	bool ok;

	tokenize(line, mem, &tokens);
	ok = split(tokens.p, tokens.n, mem, name, value, why);
	vec_free(&tokens);
	return ok;
}
