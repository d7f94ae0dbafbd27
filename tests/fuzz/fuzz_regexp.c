/*
 * fuzz_regexp.c - rules of a regexp: table. Repeat counts are left out: the C library's compiler takes what the
 * administrator asks for, however large.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/log.h"
#include "map/map.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = { (const char *)data, size }, rule;
	struct arena *mem;
	struct span value;
	struct map *m;
	char *spec;

	log_init("fuzz", 0);
	if (size > 200 || memchr(data, '{', size) != NULL || memchr(data, '}', size) != NULL || memchr(data, '\\', size) != NULL)
		return 0;
	mem = arena_new();
	spec = arena_printf(mem, "regexp:{");
	while (span_take_line(&rest, &rule))
		spec = arena_printf(mem, "%s{%.*s},", spec, SPAN_ARG(rule));
	m = map_open(arena_printf(mem, "%s}", spec), 0);
	(void)map_get(m, SPAN("abcabcfoo"), mem, &value, NULL);
	map_close(&m);
	arena_free(&mem);
	return 0;
}
