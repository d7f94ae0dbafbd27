/*
 * encoded_word.c - RFC 2047 encoded words in the Q encoding. Every turn of the loop takes at least one byte of the text.
 *
 * SPDX-License-Identifier: ISC
 */
#include "smtp/encoded_word.h"

#define WORD_MAX	75u		/* RFC 2047 2. */
#define FRAME		7u		/* "=?", "?Q?", "?=" */
#define CHARACTER_MAX	12u		/* of four bytes, each "=XX" */

static bool
is_charset(struct span charset)
{
	for (size_t i = 0; i < charset.n; i++)
		if (!ascii_alnum(charset.p[i]) && !span_has(SPAN("-_.:+"), charset.p[i]))
			return false;
	return charset.n > 0 && charset.n + FRAME + CHARACTER_MAX <= WORD_MAX;
}

/* Bytes of the character that the text begins with. */
static size_t
character(struct span text)
{
	size_t n = 1;

	while (n < 4 && n < text.n && ((unsigned char)text.p[n] & 0xc0) == 0x80)
		n++;
	return n;
}

static void
encode(struct span text, struct buf *out)
{
	for (size_t i = 0; i < text.n; i++) {
		if (ascii_alnum(text.p[i]))
			buf_byte(out, text.p[i]);
		else if (text.p[i] == ' ')
			buf_byte(out, '_');
		else
			buf_printf(out, "=%02X", (unsigned char)text.p[i]);
	}
}

bool
encoded_words(struct span text, struct span charset, struct buf *out)
{
	const size_t room = WORD_MAX - FRAME - charset.n;
	struct buf word = {0}, next = {0};
	bool first = true;

	if (!is_charset(charset))
		return false;
	while (text.n > 0) {
		buf_reset(&word);
		while (text.n > 0) {
			const size_t n = character(text);

			buf_reset(&next);
			encode(span_to(text, n), &next);
			if (word.n + next.n > room)
				break;
			buf_span(&word, buf_view(&next));
			text = span_from(text, n);
		}
		buf_printf(out, "%s=?%.*s?Q?%.*s?=", first ? "" : "\n ", SPAN_ARG(charset), (int)word.n, word.p);
		first = false;
	}
	buf_free(&word);
	buf_free(&next);
	return true;
}
