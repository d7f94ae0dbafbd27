/*
 * text.c - paragraphs.
 *
 * SPDX-License-Identifier: ISC
 */
#include "bounce/bounce.h"

#define WRAP_COLUMNS	79u
#define WRAP_INDENT	4u

void
text_wrap(struct buf *out, struct span text)
{
	struct span word;
	size_t column = 0;

	while (span_take_word(&text, " \t", &word)) {
		if (column > 0 && column + 1 + word.n > WRAP_COLUMNS) {
			buf_str(out, "\n    ");
			column = WRAP_INDENT;
		} else if (column > 0) {
			buf_byte(out, ' ');
			column++;
		}
		buf_span(out, word);
		column += word.n;
	}
	buf_byte(out, '\n');
}
