/*
 * alias.c - a line of an alias file: "name: value, value". The name is stored without quotes, the value as it is
 * printed from its tokens.
 *
 * SPDX-License-Identifier: ISC
 */
#include "postmap/postmap.h"
#include "smtp/address.h"

#define TOKENS_MAX	100000

static bool
is_special(const struct address_token *t, char c)
{
	return t->kind == ADDRESS_SPECIAL && t->text.n == 1 && *t->text.p == c;
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

/* The backslashes of quoted pairs go. */
static void
put_atom(struct buf *out, struct span atom)
{
	for (size_t i = 0; i < atom.n; i++) {
		if (atom.p[i] == '\\' && i + 1 < atom.n)
			i++;
		buf_byte(out, atom.p[i]);
	}
}

/* Tokens as text; quoted: in external form, else the quotes of quoted strings go. */
static struct span
token_text(const struct address_token *t, size_t n, bool quoted, struct arena *mem)
{
	struct buf out = {0};
	struct span text;

	for (size_t i = 0; i < n; i++) {
		if (needs_blank(t, i))
			buf_byte(&out, ' ');
		if (t[i].kind == ADDRESS_ATOM)
			put_atom(&out, t[i].text);
		else
			buf_span(&out, quoted ? address_tokens_text(&t[i], 1, mem) : t[i].text);
	}
	if (n > 0 && is_special(&t[n - 1], ','))
		buf_byte(&out, ' ');
	text = span_copy(buf_view(&out), mem);
	buf_free(&out);
	return text;
}

bool
alias_split(struct span line, struct arena *mem, struct span *name, struct span *value, const char **why)
{
	const struct address_tokens all = address_tokenize(line, TOKENS_MAX, mem);
	size_t colon = 0;

	*why = "need name:value pair";
	while (colon < all.n && !is_special(&all.p[colon], ':'))
		if (is_special(&all.p[colon++], ','))
			return false;
	if (colon == 0 || colon + 1 >= all.n)
		return false;
	*name = token_text(all.p, colon, false, mem);
	*value = token_text(all.p + colon + 1, all.n - colon - 1, true, mem);
	if (value->n == 0)
		return false;
	*why = "name must be local and have no domain";
	for (size_t i = 0; i < colon; i++)
		if (is_special(&all.p[i], '@') || is_special(&all.p[i], '%'))
			return false;
	return true;
}
