/*
 * address_list.c - the mailboxes and groups of a header field such as To:. Lenient as mail must be: every input
 * gives some list. Bounded by the token limit.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "smtp/address.h"

#define FOLD_COLUMN	70

/* What a token is in its list, found from the right: brackets and groups are known by their ends. */
enum role {
	ROLE_BARE,		/* of an address without brackets; comments, too */
	ROLE_PHRASE,		/* of a display name, or the name of a group */
	ROLE_OPEN, ROLE_CLOSE, ROLE_INSIDE,
	ROLE_COMMA, ROLE_GROUP, ROLE_COLON, ROLE_GROUP_END,
};

struct parse {
	struct arena *mem;
	struct address_list list;
	size_t cap;
	const struct address_token *t;
	unsigned char *role;		/* of t[i] */
	size_t n, at;
	struct address_tokens words;	/* room for all tokens */
	bool after_comma;		/* what separated the element at hand from the one before */
	bool empty_counts;		/* an element with nothing in it would be one all the same */
	struct buf text;
};

static struct address_item *
add_item(struct parse *p, enum address_item_kind kind)
{
	struct address_item *grown;

	if (p->list.n == p->cap) {
		p->cap = p->cap == 0 ? 8 : p->cap * 2;
		grown = ARENA_ARRAY(p->mem, struct address_item, p->cap);
		if (p->list.n > 0)
			memcpy(grown, p->list.p, p->list.n * sizeof *grown);
		p->list.p = grown;
	}
	p->list.p[p->list.n].kind = kind;
	return &p->list.p[p->list.n++];
}

static bool
is_special(const struct address_token *t, char c)
{
	return t->kind == ADDRESS_SPECIAL && t->text.p[0] == c;
}

/* A blank stands between words, around comments, before "<" and behind a comma. */
static bool
apart(const struct address_token *a, const struct address_token *b, bool atoms)
{
	if (is_special(a, ','))
		return true;
	if (a->kind == ADDRESS_COMMENT || b->kind == ADDRESS_COMMENT)
		return true;
	if (a->kind == ADDRESS_ATOM && b->kind == ADDRESS_ATOM)
		return atoms;
	return a->kind != ADDRESS_SPECIAL && (b->kind != ADDRESS_SPECIAL || is_special(b, '<'));
}

/* Tokens in external form. atoms: a blank between atoms, too. */
static struct span
tokens_text(struct parse *p, const struct address_token *t, size_t n, bool atoms)
{
	buf_reset(&p->text);
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && apart(&t[i - 1], &t[i], atoms))
			buf_byte(&p->text, ' ');
		buf_span(&p->text, t[i].kind == ADDRESS_QUOTED ? address_tokens_text(&t[i], 1, p->mem) : t[i].text);
	}
	return span_copy(buf_view(&p->text), p->mem);
}

static void
add_comment(struct parse *p, struct span *comment, struct span text)
{
	buf_reset(&p->text);
	buf_span(&p->text, *comment);
	if (comment->n > 0)
		buf_byte(&p->text, ' ');
	buf_span(&p->text, text);
	*comment = span_copy(buf_view(&p->text), p->mem);
}

/* External form of the address that the tokens spell: the local part gets quotes where it needs them. */
static void
set_address(struct parse *p, struct address_item *item)
{
	const struct address_token *t = p->words.p;
	size_t n = p->words.n;

	item->address = item->spelled = tokens_text(p, t, n, false);
	p->words.n = 0;
	if (n > 0 && is_special(&t[0], '@'))
		return;			/* source route: left to rewriting */
	for (size_t i = 0; i < n; i++)
		if (t[i].kind == ADDRESS_QUOTED && (t[i].text.n == 0 || span_has(t[i].text, '@')))
			return;		/* unquoting would lose what is what */
	item->address = address_quote(address_unquote(item->spelled, p->mem), p->mem);
}

/* --- roles --- */

static size_t
find_open(const struct parse *p, size_t close)
{
	for (size_t i = close; i-- > 0;)
		if (is_special(&p->t[i], '<'))
			return i;
	return p->n;
}

/* The ">" at i, with all that it encloses. The result is where to go on leftwards. */
static size_t
mark_bracket(struct parse *p, size_t i)
{
	size_t open = find_open(p, i), first = open < p->n ? open + 1 : 0;

	p->role[i] = ROLE_CLOSE;
	memset(p->role + first, ROLE_INSIDE, i - first);
	if (open < p->n)
		p->role[open] = ROLE_OPEN;
	return open < p->n ? open : 0;
}

static void
mark_roles(struct parse *p)
{
	enum { BARE, NAME, GROUP_NAME } state = BARE;
	bool in_group = false;

	for (size_t i = p->n; i-- > 0;) {
		const struct address_token *t = &p->t[i];

		p->role[i] = state == BARE ? ROLE_BARE : ROLE_PHRASE;
		if (is_special(t, '>')) {
			i = mark_bracket(p, i);
			state = NAME;
		} else if (is_special(t, ',')) {
			p->role[i] = ROLE_COMMA;
			state = BARE;
		} else if (is_special(t, ';') && state != GROUP_NAME) {
			p->role[i] = ROLE_GROUP_END;
			in_group = true;
			state = BARE;
		} else if (is_special(t, ':') && state != GROUP_NAME && in_group) {
			p->role[i] = ROLE_GROUP;
			in_group = false;
			state = GROUP_NAME;
		} else if (is_special(t, ':') && state == NAME) {
			p->role[i] = ROLE_COLON;
			state = BARE;
		}
	}
}

/* --- items --- */

static bool
joins(const struct address_token *a, const struct address_token *b)
{
	return a->kind == ADDRESS_SPECIAL || b->kind == ADDRESS_SPECIAL;
}

/* Only comments, or nothing: they belong to what stands before them, when there is something. */
static void
end_empty(struct parse *p, struct span comment)
{
	bool behind = !p->after_comma && p->list.n > 0 && p->list.p[p->list.n - 1].kind != ADDRESS_GROUP;

	if (comment.n > 0 && behind)
		add_comment(p, &p->list.p[p->list.n - 1].comment, comment);
	else if (comment.n > 0 || (p->empty_counts && p->after_comma))
		add_item(p, ADDRESS_EMPTY)->comment = comment;
}

/* Bare tokens from p->at on: words that nothing joins are addresses of their own. A comment goes behind the next word. */
static void
take_bare(struct parse *p)
{
	const struct address_token *last = NULL;
	struct address_item *item = NULL;
	struct span comment = SPAN_NULL;

	for (; p->at < p->n && p->role[p->at] == ROLE_BARE; p->at++) {
		const struct address_token *t = &p->t[p->at];

		if (t->kind == ADDRESS_COMMENT) {
			add_comment(p, &comment, t->text);
			continue;
		}
		if (item == NULL || !joins(last, t)) {
			if (item != NULL)
				set_address(p, item);
			item = add_item(p, ADDRESS_MAILBOX);
			item->first = p->after_comma;
		}
		p->words.p[p->words.n++] = *t;
		last = t;
		if (comment.n > 0)
			add_comment(p, &item->comment, comment);
		comment = SPAN_NULL;
	}
	if (item == NULL) {
		end_empty(p, comment);
	} else {
		set_address(p, item);
		if (comment.n > 0)
			add_comment(p, &item->comment, comment);
	}
	p->after_comma = p->empty_counts = false;
}

/* Inside brackets; p->at stands behind the ">" then. */
static void
take_inside(struct parse *p, struct span phrase, bool opened)
{
	struct address_item *item = add_item(p, ADDRESS_MAILBOX);

	item->bracketed = opened;
	item->unopened = !opened;
	item->first = p->after_comma || p->list.n == 1;
	item->phrase = phrase;
	for (; p->role[p->at] == ROLE_INSIDE; p->at++) {
		if (p->t[p->at].kind == ADDRESS_COMMENT)
			add_comment(p, &item->inner_comment, p->t[p->at].text);
		else
			p->words.p[p->words.n++] = p->t[p->at];
	}
	p->at++;
	set_address(p, item);
	p->after_comma = p->empty_counts = false;
}

static void
take_phrase(struct parse *p)
{
	size_t start = p->at;

	while (p->at < p->n && p->role[p->at] == ROLE_PHRASE)
		p->at++;
	struct span phrase = tokens_text(p, p->t + start, p->at - start, true);

	if (p->at < p->n && p->role[p->at] == ROLE_OPEN) {
		p->at++;
		take_inside(p, phrase, true);
	} else if (p->at < p->n && p->role[p->at] == ROLE_GROUP) {
		p->at++;
		add_item(p, ADDRESS_GROUP)->phrase = phrase;
		p->after_comma = true;
		p->empty_counts = false;
	}
}

static void
take_separator(struct parse *p, enum role role)
{
	if (role == ROLE_COMMA) {
		if (p->after_comma)
			add_item(p, ADDRESS_EMPTY);
		p->after_comma = p->empty_counts = true;
		return;
	}
	if (p->after_comma && p->empty_counts)
		add_item(p, ADDRESS_EMPTY);
	add_item(p, role == ROLE_COLON ? ADDRESS_COLON : ADDRESS_GROUP_END);
	p->after_comma = p->empty_counts = false;
}

/* Tokens of a header: one line, and a word that holds backslashes is what it means. */
static void
prepare(struct parse *p, struct address_token *t, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		bool escaped = t[i].kind == ADDRESS_ATOM && span_has(t[i].text, '\\');

		if (is_special(&t[i], '\\'))
			continue;
		if (escaped) {
			t[i].text = address_unquote(t[i].text, p->mem);
			if (span_find_any(t[i].text, " \t\r\n()<>@,;:\\\".[]%!") < t[i].text.n)
				t[i].kind = ADDRESS_QUOTED;
		}
		t[kept++] = t[i];
	}
	p->t = t;
	p->n = kept;
}

static struct span
one_line(struct span value, struct arena *mem)
{
	char *out = arena_alloc(mem, value.n + 1);

	for (size_t i = 0; i < value.n; i++)
		out[i] = value.p[i] == '\n' ? ' ' : value.p[i];
	return span(out, value.n);
}

struct address_list
address_list_parse(struct span value, size_t token_limit, struct arena *mem)
{
	struct address_tokens tokens = address_tokenize(one_line(value, mem), token_limit, mem);
	struct parse p = { .mem = mem, .after_comma = true };

	prepare(&p, tokens.p, tokens.n);
	p.words.p = ARENA_ARRAY(mem, struct address_token, p.n + 1);
	p.role = ARENA_ARRAY(mem, unsigned char, p.n + 1);
	mark_roles(&p);
	while (p.at < p.n) {
		enum role role = p.role[p.at];

		if (role == ROLE_BARE)
			take_bare(&p);
		else if (role == ROLE_PHRASE || role == ROLE_OPEN || role == ROLE_GROUP)
			take_phrase(&p);
		else if (role == ROLE_INSIDE || role == ROLE_CLOSE)
			take_inside(&p, SPAN_NULL, false);
		else
			take_separator(&p, p.role[p.at++]);
	}
	if (p.after_comma && p.empty_counts)
		add_item(&p, ADDRESS_EMPTY);
	buf_free(&p.text);
	p.list.cut = tokens.cut;
	return p.list;
}

/* --- printing --- */

static void
print_item(struct buf *out, const struct address_item *item)
{
	switch (item->kind) {
	case ADDRESS_GROUP_END:
		buf_byte(out, ';');
		break;
	case ADDRESS_COLON:
		buf_byte(out, ':');
		break;
	case ADDRESS_EMPTY:
		break;
	case ADDRESS_GROUP:
		buf_span(out, item->phrase);
		buf_byte(out, ':');
		break;
	case ADDRESS_MAILBOX:
		buf_span(out, item->phrase);
		if (item->phrase.n > 0)
			buf_byte(out, ' ');
		if (item->bracketed)
			buf_byte(out, '<');
		buf_span(out, item->address);
		if (item->inner_comment.n > 0) {
			buf_byte(out, ' ');
			buf_span(out, item->inner_comment);
		}
		if (item->bracketed || item->unopened)
			buf_byte(out, '>');
		else if (item->comment.n > 0)
			buf_byte(out, ' ');
		break;
	}
	buf_span(out, item->comment);
}

static size_t
column(const struct buf *out)
{
	size_t lf = span_rfind(buf_view(out), '\n');

	return lf < out->n ? out->n - lf - 1 : out->n;
}

enum gap { GAP_NONE, GAP_BLANK, GAP_COMMA };

static enum gap
gap_before(const struct address_item *item, const struct address_item *prev)
{
	if (prev == NULL || prev->kind == ADDRESS_GROUP)
		return GAP_BLANK;
	if (item->kind == ADDRESS_GROUP_END || item->kind == ADDRESS_COLON)
		return GAP_NONE;
	if (item->bracketed && !item->first)	/* behind another bracket or the end of a group, and no comma */
		return item->phrase.n > 0 ? GAP_NONE : GAP_BLANK;
	return GAP_COMMA;
}

void
address_list_print(const struct address_list *list, struct buf *out)
{
	struct buf text = {0};

	for (size_t i = 0; i < list->n; i++) {
		enum gap gap = gap_before(&list->p[i], i > 0 ? &list->p[i - 1] : NULL);

		buf_reset(&text);
		print_item(&text, &list->p[i]);
		if (gap == GAP_COMMA)
			buf_byte(out, ',');
		if (gap != GAP_NONE && out->n > 0)
			buf_str(out, gap == GAP_COMMA && column(out) + 1 + text.n >= FOLD_COLUMN ? "\n\t" : " ");
		buf_span(out, buf_view(&text));
	}
	buf_free(&text);
}
