/*
 * span.h - a view of bytes: pointer and length. Owns nothing, is copied freely, may hold NUL bytes.
 * Bytes from a peer, a file or a table are spans until they have been checked.
 * span_take_*() consume from the front and move *in only on success.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct arena;

struct span {
	const char *p;
	size_t n;
};

#define SPAN(literal)	((struct span){ (literal), sizeof(literal) - 1 })	/* of a string literal */
#define SPAN_NULL	((struct span){ NULL, 0 })
#define SPAN_ARG(s)	(int)(s).n, (s).p				/* for "%.*s"; n must fit an int */

struct span span(const char *p, size_t n);
struct span span_str(const char *cstr);			/* NULL gives SPAN_NULL */

bool	span_eq(struct span a, struct span b);
bool	span_ieq(struct span a, struct span b);		/* ASCII case-insensitive */
inline bool
span_is(struct span a, const char *cstr)	/* here, so that a literal's length is known when a caller is compiled */
{
	const size_t n = strlen(cstr);

	return a.n == n && (n == 0 || memcmp(a.p, cstr, n) == 0);
}

bool	span_iis(struct span a, const char *cstr);
int	span_cmp(struct span a, struct span b);		/* like memcmp, then by length */
int	span_icmp(struct span a, struct span b);

bool	span_starts(struct span s, struct span prefix);
bool	span_istarts(struct span s, struct span prefix);
bool	span_ends(struct span s, struct span suffix);
bool	span_iends(struct span s, struct span suffix);

/* Index of the first (last) byte c, or s.n when there is none. */
size_t	span_find(struct span s, char c);
size_t	span_rfind(struct span s, char c);
size_t	span_find_any(struct span s, const char *set);	/* first byte that is in set */
size_t	span_find_span(struct span s, struct span needle);	/* first occurrence */
bool	span_has(struct span s, char c);

struct span span_from(struct span s, size_t i);		/* s without its first i bytes (i is cut to n) */
struct span span_to(struct span s, size_t i);		/* first i bytes */
struct span span_trim(struct span s);			/* without leading and trailing ASCII white space */
struct span span_rtrim(struct span s);
struct span span_chomp(struct span s);			/* without one trailing LF or CR LF */

bool	span_take_byte(struct span *in, char c);	/* consume that byte */
bool	span_take(struct span *in, struct span prefix);
bool	span_itake(struct span *in, struct span prefix);
/* Consume up to and including the first sep; *out is what stood before. False when there is no sep. */
bool	span_take_until(struct span *in, char sep, struct span *out);
/* Consume one line; *out without its LF or CR LF. The last line needs no LF. False at the end. */
bool	span_take_line(struct span *in, struct span *out);
/* Consume the next word, bytes not in seps; leading seps are skipped. False when nothing is left. */
bool	span_take_word(struct span *in, const char *seps, struct span *out);
/* As span_take_word, but "{ ... }" with balanced braces counts as one word (braces included). */
bool	span_take_word_braced(struct span *in, const char *seps, struct span *out);
/* One of the words of a list as main.cf has them, with blanks, commas and line ends between; span_ilists in any case. */
bool	span_lists(struct span list, const char *word);
bool	span_ilists(struct span list, const char *word);

/* Decimal digits to a number. Overflow or no digit: false. */
bool	span_take_u64(struct span *in, uint64_t *out);
/* All of s is an optionally signed decimal number that fits. */
bool	span_to_i64(struct span s, int64_t *out);
bool	span_to_u64(struct span s, uint64_t *out);

/* The number as decimal text, in room. */
#define SPAN_I64_ROOM	21u
struct span span_i64(int64_t, char room[SPAN_I64_ROOM]);

/* NUL-terminated copy. span_cstr: arena memory; never fails. span_strdup: heap, caller frees. */
char	*span_cstr(struct span s, struct arena *mem);
char	*span_strdup(struct span s);
/* Copy of the bytes in the arena (a NUL follows them, not counted). */
struct span span_copy(struct span s, struct arena *mem);
struct span span_lower(struct span s, struct arena *mem);	/* ASCII lower case copy */
/* Copy with bytes below 32, 127, and (unless utf8 is valid) above 126 replaced by '?'. */
struct span span_printable(struct span s, struct arena *mem);
bool	span_valid_utf8(struct span s);			/* RFC 3629: no overlong form, no surrogate */
bool	span_is_ascii(struct span s);
uint64_t span_hash(struct span s);			/* seeded once a process; not for storage */

/* ASCII classes, independent of the locale. */
bool	ascii_space(char c);		/* space \t \n \v \f \r */
bool	ascii_digit(char c);
bool	ascii_alpha(char c);
bool	ascii_alnum(char c);
bool	ascii_print(char c);		/* 32..126 */
char	ascii_lower(char c);
char	ascii_upper(char c);
int	ascii_hex(char c);		/* 0..15, or -1 */

#endif
