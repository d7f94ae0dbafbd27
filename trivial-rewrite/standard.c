/*
 * standard.c - an address in standard form: source route removed, bang path and percent hack turned into user@domain,
 * missing domain completed. Works on tokens, so that quoted text is never taken for structure.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "base/buf.h"
#include "conf/conf.h"
#include "trivial-rewrite/rewrite.h"

#define TOKEN_LIMIT	10240u

static bool
is_special(const struct address_token *t, char c)
{
	return t->kind == ADDRESS_SPECIAL && t->text.n == 1 && t->text.p[0] == c;
}

/* Index of the first (last) such special, or n. */
static size_t
find_special(const struct address_tokens *t, char c, bool last)
{
	size_t found = t->n;

	for (size_t i = 0; i < t->n; i++) {
		if (!is_special(&t->p[i], c))
			continue;
		found = i;
		if (!last)
			break;
	}
	return found;
}

/* "@a,@b:user@host" without its route; a route with nothing behind it stays. */
static void
drop_route(struct address_tokens *t)
{
	size_t colon = find_special(t, ':', false);

	if (t->n == 0 || !is_special(&t->p[0], '@') || colon + 1 >= t->n)
		return;
	t->p += colon + 1;
	t->n -= colon + 1;
}

/* A blank stays between words that were apart, behind a comma, and before "<". */
static bool
apart(const struct address_token *a, const struct address_token *b)
{
	if (is_special(a, ','))
		return true;
	if (a->kind == ADDRESS_SPECIAL)
		return false;
	return b->kind != ADDRESS_SPECIAL ? b->space : is_special(b, '<');
}

/* Text of tokens as it means: quotes gone. */
static struct span
meaning(const struct address_token *t, size_t n, struct arena *mem)
{
	struct buf out = {0};

	for (size_t i = 0; i < n; i++) {
		if (i > 0 && apart(&t[i - 1], &t[i]))
			buf_byte(&out, ' ');
		buf_span(&out, t[i].text);
	}
	struct span text = span_copy(buf_view(&out), mem);

	buf_free(&out);
	return text;
}

struct parts {
	struct span local, domain;
	bool has_domain;		/* there is an '@', the domain may be empty all the same */
};

static struct parts
take_apart(const struct address_tokens *t, struct arena *mem)
{
	size_t at = find_special(t, '@', true), bang = find_special(t, '!', false), percent = find_special(t, '%', true);
	struct parts p = {0};

	p.has_domain = true;
	if (at < t->n) {
		p.local = meaning(t->p, at, mem);
		p.domain = meaning(t->p + at + 1, t->n - at - 1, mem);
	} else if (conf.swap_bangpath && bang < t->n) {
		p.domain = meaning(t->p, bang, mem);
		p.local = meaning(t->p + bang + 1, t->n - bang - 1, mem);
	} else if (conf.allow_percent_hack && percent < t->n) {
		p.local = meaning(t->p, percent, mem);
		p.domain = meaning(t->p + percent + 1, t->n - percent - 1, mem);
	} else {
		p.local = meaning(t->p, t->n, mem);
		p.has_domain = false;
	}
	return p;
}

static const char *
completion(bool local_rule, bool origin)
{
	if (!local_rule)
		return conf.remote_header_rewrite_domain;
	return origin ? conf.myorigin : conf.mydomain;
}

struct span
standard_tokens(bool local_rule, struct address_tokens *t, struct arena *mem)
{
	drop_route(t);
	struct parts p = take_apart(t, mem);

	if (!p.has_domain && conf.append_at_myorigin && completion(local_rule, true)[0] != '\0') {
		p.domain = span_str(completion(local_rule, true));
		p.has_domain = true;
	}
	bool bare = p.domain.n > 0 && p.domain.p[0] != '[' && !span_has(p.domain, '.');

	if (bare && conf.append_dot_mydomain && completion(local_rule, false)[0] != '\0')
		p.domain = span_str(arena_printf(mem, "%.*s.%s", SPAN_ARG(p.domain), completion(local_rule, false)));
	size_t n = p.domain.n;

	if (n >= 2 && p.domain.p[n - 1] == '.' && p.domain.p[n - 2] != '.')
		p.domain.n--;
	if (!p.has_domain)
		return p.local;
	return span_str(arena_printf(mem, "%.*s@%.*s", SPAN_ARG(p.local), SPAN_ARG(p.domain)));
}

struct span
standard_form(struct span rule, struct span external, struct arena *mem)
{
	struct address_tokens t = address_tokenize(external, TOKEN_LIMIT, mem);

	if (t.n == 0 || (t.n == 1 && (is_special(&t.p[0], '@') || (t.p[0].kind == ADDRESS_QUOTED && t.p[0].text.n == 0))))
		return SPAN("\"\"");
	struct span internal = standard_tokens(!span_is(rule, "remote"), &t, mem);

	if (internal.n > 0 && internal.p[0] == '@' && span_rfind(internal, '@') == 0)
		return span_str(arena_printf(mem, "\"\"%.*s", SPAN_ARG(internal)));
	return address_quote(internal, mem);
}
