/*
 * json.h - JSON strings as postconf(1), postmap(1), postqueue(1) and postmulti(1) print them.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef CONF_JSON_H
#define CONF_JSON_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/span.h"

/* Append the text in quotes: \b \f \n \r \t \" \\, other controls as \u00XX, all else as it is. */
void	json_quote(struct buf *out, struct span text);
/* "name": "value", where bytes outside ASCII become '?' unless the value is valid UTF-8. */
void	json_text(struct buf *out, const char *name, struct span value, struct arena *mem);

#endif
