/*
 * list.h - lists in table names and parameter values: "a, {b c}, d".
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef CONF_LIST_H
#define CONF_LIST_H

#include "base/err.h"
#include "base/span.h"

#define LIST_SEPARATORS	", \t\r\n"

/* "{ text }" to "text", blanks next to the braces gone too. False: "missing '}' in ..", "syntax error after '}' .." */
bool	list_strip_braces(struct span *word, struct err *e);

/* Length of the balanced "{...}" at the start of s, braces included; 0 when it does not close. */
size_t	list_braced(struct span s);

#endif
