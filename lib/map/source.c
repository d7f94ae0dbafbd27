/*
 * source.c - table source lines, and values that are files.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "base/log.h"
#include "io/file.h"
#include "map/source.h"

#define FILE_SIZE_MAX	(1u << 20)	/* a private key with its certificate chain is a few kB */

/* Length of the key: up to the first blank that is neither quoted nor behind a backslash. False: open quote. */
static bool
key_length(struct span line, size_t *n)
{
	bool quoted = false;
	size_t i;

	for (i = 0; i < line.n && (quoted || !ascii_space(line.p[i])); i++) {
		if (line.p[i] == '\\' && i + 1 < line.n)
			i++;
		else if (line.p[i] == '"')
			quoted = !quoted;
	}
	*n = i;
	return !quoted;
}

bool
source_next(struct source *s, struct span *key, struct span *value)
{
	struct span line;
	size_t n;

	while (lines_next(&s->in, &line)) {
		const char *name = s->in.name;
		const unsigned at = s->in.first;

		if (s->utf8 && !span_valid_utf8(line)) {
			log_warning("%s, line %u: non-UTF-8 input \"%.*s\" -- ignoring this line", name, at, SPAN_ARG(line));
			continue;
		}
		line = span_trim(line);
		if (!key_length(line, &n)) {
			log_warning("%s, line %u: unbalanced '\"' in '%.*s' -- ignoring this line", name, at, SPAN_ARG(line));
			continue;
		}
		*key = span_to(line, n);
		*value = span_trim(span_from(line, n));
		if (key->n == 0 || value->n == 0) {
			log_warning("%s, line %u: expected format: key whitespace value%s", name, at, s->ignored);
			continue;
		}
		if (key->p[key->n - 1] == ':')
			log_warning("%s, line %u: record is in \"key: value\" format; is this an alias file?", name, at);
		return true;
	}
	return false;
}

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void
base64_encode(struct span in, struct buf *out)
{
	for (size_t i = 0; i < in.n; i += 3) {
		const size_t left = in.n - i;
		const unsigned char *p = (const unsigned char *)in.p + i;
		const unsigned v = (unsigned)p[0] << 16 | (left > 1 ? (unsigned)p[1] << 8 : 0) | (left > 2 ? p[2] : 0u);

		buf_byte(out, base64_digits[v >> 18]);
		buf_byte(out, base64_digits[v >> 12 & 63]);
		buf_byte(out, left > 1 ? base64_digits[v >> 6 & 63] : '=');
		buf_byte(out, left > 2 ? base64_digits[v & 63] : '=');
	}
}

bool
base64_decode(struct span text, struct arena *mem, struct span *out)
{
	char *to = arena_alloc(mem, text.n / 4 * 3 + 1);
	size_t n = 0, pad = 0;
	unsigned v = 0;

	if (text.n % 4 != 0)
		return false;
	while (pad < 2 && text.n > pad && text.p[text.n - 1 - pad] == '=')
		pad++;
	for (size_t i = 0; i < text.n; i++) {
		const char *d = i < text.n - pad && text.p[i] != '\0' ? strchr(base64_digits, text.p[i]) : base64_digits;

		if (d == NULL || (text.p[i] == '\0'))
			return false;
		v = v << 6 | (unsigned)(d - base64_digits);
		if (i % 4 == 3) {
			to[n++] = (char)(v >> 16 & 255);
			to[n++] = (char)(v >> 8 & 255);
			to[n++] = (char)(v & 255);
		}
	}
	*out = span(to, n - pad);
	return true;
}

bool
source_read_files(struct span names, struct buf *base64, struct err *e)
{
	struct buf content = {0}, path = {0};
	struct span word;
	const struct span list = names;
	size_t n = 0;
	bool ok = true;

	while (ok && span_take_word(&names, ", \t\r\n", &word)) {
		buf_reset(&path);
		buf_span(&path, word);
		if (n++ > 0)
			buf_byte(&content, '\n');	/* between files, whatever they end with */
		ok = file_read_all(buf_cstr(&path), FILE_SIZE_MAX, &content, e);
	}
	if (ok && n == 0)
		ok = err_perm(e, "empty pathname list: >>%.*s<<'", SPAN_ARG(list));
	if (ok)
		base64_encode(buf_view(&content), base64);
	buf_free(&content);
	buf_free(&path);
	return ok;
}
