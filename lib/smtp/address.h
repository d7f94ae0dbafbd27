/*
 * address.h - mail addresses: RFC 5322 tokens, quoting, lists in headers. No I/O; input may be any bytes.
 *
 * Two forms. External: as in headers and SMTP, local part quoted when it is not a dot-atom ("two words"@example.com).
 * Internal: as in the queue file, nothing quoted (two words@example.com); the domain starts behind the last '@'.
 * Bytes above 127 count as atom characters.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef SMTP_ADDRESS_H
#define SMTP_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/span.h"

/* --- both forms, one address --- */
struct span address_quote(struct span internal, struct arena *mem);	/* to external form; may return its argument */
struct span address_unquote(struct span external, struct arena *mem);	/* comments and outer white space go */
void	address_quote_to(struct buf *out, struct span internal);
bool	address_is_dot_atom(struct span local);			/* no quotes needed; false for "" */

/* Internal form: local part and domain, apart at the last '@'. False: no '@'; then *local is all, *domain empty. */
bool	address_split(struct span internal, struct span *local, struct span *domain);

/* --- tokens of an address in external form --- */
enum address_token_kind {
	ADDRESS_ATOM,		/* may hold quoted pairs: "a\\ b" */
	ADDRESS_QUOTED,		/* text is the content: quotes and backslashes removed */
	ADDRESS_LITERAL,	/* "[...]", with the brackets */
	ADDRESS_COMMENT,	/* "(...)", with the parentheses; nested ones are inside */
	ADDRESS_SPECIAL,	/* one byte: @ . , ; : < > % ! are those with a meaning; also stray ) ] \ */
};

struct address_token {
	enum address_token_kind kind;
	struct span text;
	bool space;		/* white space or a comment stood before it */
};

struct address_tokens {
	struct address_token *p;
	size_t n;
	bool cut;		/* limit reached: the rest of the text was dropped */
};

/* Split text into at most limit tokens; '.', '%' and '!' are specials here, so that rewriting can look for them.
 * Unbalanced quotes, comments and literals end with the text; a literal gets its bracket. Linear in time. Tokens live in
 * mem. */
struct address_tokens address_tokenize(struct span text, size_t limit, struct arena *mem);

/* The text of tokens, in external form again: quoted strings get quotes, words that followed each other one space. */
struct span address_tokens_text(const struct address_token *, size_t n, struct arena *mem);

/* --- lists, as in To: --- */
enum address_item_kind {
	ADDRESS_MAILBOX,
	ADDRESS_GROUP,		/* phrase is the name: "name:", and a ";" follows somewhere */
	ADDRESS_GROUP_END,	/* ";" */
	ADDRESS_COLON,		/* a ":" that belongs to neither */
	ADDRESS_EMPTY,		/* nothing between two commas, or a comment only */
};

struct address_item {
	enum address_item_kind kind;
	struct span address;	/* external form without <>; a source route is kept; "" for "<>". The caller may replace it */
	struct span spelled;	/* the same as it stood there: quoted as it was */
	struct span phrase;	/* display name as it is to be printed */
	struct span inner_comment;	/* "(...)" pieces inside the brackets, joined with a space */
	struct span comment;	/* the same behind the address */
	bool bracketed;		/* stood between < and > */
	bool unopened;		/* only the ">" was there */
	bool first;		/* a comma, or nothing, stood before it */
};

struct address_list {
	struct address_item *p;
	size_t n;
	bool cut;		/* token limit reached: the rest of the header was dropped */
};

/* token_limit: header_address_token_limit. Everything lives in mem. */
struct address_list address_list_parse(struct span header_value, size_t token_limit, struct arena *mem);

/*
 * Print behind out, which ends with "Name:" (or nothing): items joined with ", ", a newline and a tab before an item that would make
 * the line reach 70 columns. No newline at the end.
 */
void	address_list_print(const struct address_list *, struct buf *out);

/* --- host names and literals --- */
/* RFC 1123 name: labels of letters, digits, '-' and '_', up to 63 bytes, 255 in all, no hyphen at either end of a
 * label, not all numeric. One trailing dot is not allowed. */
bool	address_hostname_ok(struct span name);
/* "192.0.2.1"; "2001:db8::1" (no prefix, no brackets). */
bool	address_ipv4_ok(struct span);
bool	address_ipv6_ok(struct span);
/* "[192.0.2.1]" or "[IPv6:2001:db8::1]"; *host is the bare address. */
bool	address_literal_take(struct span literal, struct span *host);

#endif
