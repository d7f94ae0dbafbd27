/*
 * fold.c - keys without regard to case.
 *
 * SPDX-License-Identifier: ISC
 */
#include <locale.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#include "map/type.h"

static locale_t
utf8_locale(void)
{
	static locale_t locale;
	static bool tried;

	if (!tried) {
		tried = true;
		locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	}
	return locale;
}

static size_t
decode(const unsigned char *p, uint32_t *c)
{
	const size_t n = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;

	*c = n == 1 ? p[0] : p[0] & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++)
		*c = *c << 6 | (p[i] & 0x3fu);
	return n;
}

static size_t
encode(uint32_t c, char *out)
{
	static const unsigned char lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	const size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	for (size_t i = n; i-- > 1; c >>= 6)
		out[i] = (char)(0x80 | (c & 0x3f));
	out[0] = (char)(lead[n] | c);
	return n;
}

static const struct {
	uint32_t code;
	const char *folded;
} exceptions[] = {
#define FOLD(code, folded) { code, folded },
#include "map/fold.def"
#undef FOLD
};

static const char *
exception(uint32_t code)
{
	size_t low = 0, high = sizeof exceptions / sizeof exceptions[0];

	while (low < high) {
		const size_t middle = (low + high) / 2;

		if (exceptions[middle].code == code)
			return exceptions[middle].folded;
		if (exceptions[middle].code < code)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* Cherokee folds to its old letters, the capital ones. */
static uint32_t
fold_one(uint32_t c, locale_t locale)
{
	if (c >= 0x13a0 && c <= 0x13f5)
		return c;
	if (c >= 0x13f8 && c <= 0x13fd)
		return c - 8;
	if (c >= 0xab70 && c <= 0xabbf)
		return c - 0xab70 + 0x13a0;
	return (uint32_t)towlower_l((wint_t)c, locale);
}

static struct span
fold_utf8(struct span key, locale_t locale, struct arena *mem)
{
	char *out = arena_alloc(mem, key.n * 3 + 1);	/* two bytes may become six */
	size_t n = 0;

	for (size_t i = 0; i < key.n;) {
		const char *folded;
		uint32_t c;

		i += decode((const unsigned char *)key.p + i, &c);
		if ((folded = exception(c)) != NULL) {
			while (*folded != '\0')
				out[n++] = *folded++;
		} else {
			n += encode(fold_one(c, locale), out + n);
		}
	}
	return span(out, n);
}

struct span
map_fold(struct span key, bool utf8, struct arena *mem)
{
	if (!utf8 || span_is_ascii(key) || !span_valid_utf8(key) || utf8_locale() == (locale_t)0)
		return span_lower(key, mem);
	return fold_utf8(key, utf8_locale(), mem);
}
