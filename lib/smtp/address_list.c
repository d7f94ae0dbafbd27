/*
 * address_list.c - the mailboxes and groups of a header field such as To:. Lenient as mail must be: every input
 * gives some list. Bounded by the token limit.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "smtp/address.h"

#define FOLD_COLUMN	70

struct parse {
	struct arena *mem;
	struct address_list list;
	size_t cap;
	const struct address_token *t;
	size_t n, at;
	struct address_tokens words;	/* of the element at hand; room for all tokens */
	struct buf comment;
	bool in_group;
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

static void
add_comment(struct parse *p, struct span text)
{
	if (p->comment.n > 0)
		buf_byte(&p->comment, ' ');
	buf_span(&p->comment, text);
}

static struct span
take_comment(struct parse *p)
{
	struct span s = span_copy(buf_view(&p->comment), p->mem);

	buf_reset(&p->comment);
	return s;
}

static bool
is_special(const struct address_token *t, char c)
{
	return t->kind == ADDRESS_SPECIAL && t->text.p[0] == c;
}

/* External form of the address that the tokens spell: the local part gets quotes where it needs them. */
static void
set_address(struct address_item *item, const struct address_token *t, size_t n, struct arena *mem)
{
	struct span text = address_tokens_text(t, n, mem);

	item->address = text;
	if (n > 0 && is_special(&t[0], '@'))
		return;			/* source route: left to rewriting */
	for (size_t i = 0; i < n; i++)
		if (t[i].kind == ADDRESS_QUOTED && (t[i].text.n == 0 || span_has(t[i].text, '@')))
			return;		/* unquoting would lose what is what */
	item->address = address_quote(address_unquote(text, mem), mem);
	item->respelled = !span_eq(item->address, text);
}

static bool
joins(const struct address_token *a, const struct address_token *b)
{
	return a->kind == ADDRESS_SPECIAL || b->kind == ADDRESS_SPECIAL || !b->space;
}

/* End of an element without brackets: words that only white space separates are addresses of their own. */
static void
end_bare(struct parse *p)
{
	struct address_token *t = p->words.p;
	size_t n = p->words.n, start = 0;
	struct address_item *item = NULL;

	for (size_t i = 1; i <= n; i++) {
		if (i < n && joins(&t[i - 1], &t[i]))
			continue;
		item = add_item(p, ADDRESS_MAILBOX);
		set_address(item, t + start, i - start, p->mem);
		start = i;
	}
	if (item != NULL)
		item->comment = take_comment(p);
	p->words.n = 0;
}

/* "<" stands at p->at: the words so far are the phrase. */
static void
take_bracketed(struct parse *p)
{
	struct address_item *item = add_item(p, ADDRESS_MAILBOX);
	size_t n = 0;

	item->bracketed = true;
	item->phrase = address_tokens_text(p->words.p, p->words.n, p->mem);
	for (p->at++; p->at < p->n && !is_special(&p->t[p->at], '>'); p->at++) {
		if (p->t[p->at].kind == ADDRESS_COMMENT)
			add_comment(p, p->t[p->at].text);
		else
			p->words.p[n++] = p->t[p->at];
	}
	set_address(item, p->words.p, n, p->mem);
	p->words.n = 0;
	while (p->at + 1 < p->n && p->t[p->at + 1].kind == ADDRESS_COMMENT)
		add_comment(p, p->t[++p->at].text);
	item->comment = take_comment(p);
}

static void
take_colon(struct parse *p, const struct address_token *t)
{
	if (p->words.n == 0 || is_special(&p->words.p[0], '@')) {
		p->words.p[p->words.n++] = *t;
		return;
	}
	add_item(p, ADDRESS_GROUP)->phrase = address_tokens_text(p->words.p, p->words.n, p->mem);
	p->words.n = 0;
	p->in_group = true;
}

struct address_list
address_list_parse(struct span value, size_t token_limit, struct arena *mem)
{
	struct address_tokens tokens = address_tokenize(value, token_limit, mem);
	struct parse p = { .mem = mem, .t = tokens.p, .n = tokens.n };

	p.words.p = ARENA_ARRAY(mem, struct address_token, tokens.n + 1);
	for (; p.at < p.n; p.at++) {
		const struct address_token *t = &p.t[p.at];

		if (t->kind == ADDRESS_COMMENT) {
			add_comment(&p, t->text);
		} else if (is_special(t, ',') && !(p.words.n > 0 && is_special(&p.words.p[0], '@') && p.at + 1 < p.n &&
		    is_special(&p.t[p.at + 1], '@'))) {
			end_bare(&p);
		} else if (is_special(t, ';')) {
			end_bare(&p);
			if (p.in_group)
				add_item(&p, ADDRESS_GROUP_END);
			p.in_group = false;
		} else if (is_special(t, '<')) {
			take_bracketed(&p);
		} else if (is_special(t, ':')) {
			take_colon(&p, t);
		} else {
			p.words.p[p.words.n++] = *t;
		}
	}
	end_bare(&p);
	if (p.list.n > 0 && p.comment.n > 0 && p.list.p[p.list.n - 1].comment.n == 0)
		p.list.p[p.list.n - 1].comment = take_comment(&p);
	buf_free(&p.comment);
	p.list.cut = tokens.cut;
	return p.list;
}

static void
print_item(struct buf *out, const struct address_item *item)
{
	if (item->kind == ADDRESS_GROUP_END) {
		buf_byte(out, ';');
		return;
	}
	buf_span(out, item->phrase);
	if (item->kind == ADDRESS_GROUP) {
		buf_byte(out, ':');
		return;
	}
	if (item->bracketed) {
		if (item->phrase.n > 0)
			buf_byte(out, ' ');
		buf_byte(out, '<');
		buf_span(out, item->address);
		buf_byte(out, '>');
		buf_span(out, item->comment);
		return;
	}
	buf_span(out, item->address);
	if (item->comment.n > 0) {
		buf_byte(out, ' ');
		buf_span(out, item->comment);
	}
}

static size_t
column(const struct buf *out)
{
	size_t lf = span_rfind(buf_view(out), '\n');

	return lf < out->n ? out->n - lf - 1 : out->n;
}

void
address_list_print(const struct address_list *list, struct buf *out)
{
	struct buf text = {0};

	for (size_t i = 0; i < list->n; i++) {
		const struct address_item *item = &list->p[i];
		bool after_group = i > 0 && list->p[i - 1].kind == ADDRESS_GROUP;

		buf_reset(&text);
		print_item(&text, item);
		if (i > 0 && item->kind != ADDRESS_GROUP_END && !after_group)
			buf_byte(out, ',');
		if (item->kind != ADDRESS_GROUP_END && out->n > 0) {
			bool fold = i > 0 && !after_group && column(out) + 1 + text.n >= FOLD_COLUMN;

			buf_str(out, fold ? "\n\t" : " ");
		}
		buf_span(out, buf_view(&text));
	}
	buf_free(&text);
}
