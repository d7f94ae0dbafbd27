/*
 * json.c - JSON strings.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "conf/json.h"

void
json_quote(struct buf *out, struct span text)
{
	static const char named[] = "\b\f\n\r\t\"\\", letters[] = "bfnrt\"\\";

	buf_byte(out, '"');
	for (size_t i = 0; i < text.n; i++) {
		const char c = text.p[i];
		const char *at = c != '\0' ? strchr(named, c) : NULL;

		if (at != NULL) {
			buf_byte(out, '\\');
			buf_byte(out, letters[at - named]);
		} else if ((unsigned char)c < 32 || c == 127) {
			buf_printf(out, "\\u%04X", (unsigned)(unsigned char)c);
		} else {
			buf_byte(out, c);
		}
	}
	buf_byte(out, '"');
}

void
json_text(struct buf *out, const char *name, struct span value, struct arena *mem)
{
	buf_printf(out, "\"%s\": ", name);
	json_quote(out, span_valid_utf8(value) ? value : span_printable(value, mem));
}
