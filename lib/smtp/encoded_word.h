/*
 * encoded_word.h - RFC 2047 encoded words, for text in a header that is not ASCII. No I/O.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef SMTP_ENCODED_WORD_H
#define SMTP_ENCODED_WORD_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/span.h"

/*
 * text as words of at most 75 characters behind out, LF and a blank between them; legal in a phrase and in a comment. A
 * UTF-8 character is never divided. False: no room is left beside a charset so long, or it is no charset; out is untouched.
 */
bool	encoded_words(struct span text, struct span charset, struct buf *out);

#endif
