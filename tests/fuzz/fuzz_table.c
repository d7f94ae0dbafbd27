/*
 * fuzz_table.c - any text as an inline table. The first byte chooses the type, the first line is the key.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/log.h"
#include "conf/conf.h"
#include "map/map.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const types[] = { "cidr", "pcre", "inline", "unionmap", "pipemap", "randmap", "static", "debug:inline" };

/* Types that ask a server have a fuzzer of their own. */
static bool
asks_server(struct span text)
{
	static const char *const servers[] = { "tcp:", "inet:", "socketmap:", "memcache:", "proxy:" };

	for (size_t i = 0; i < sizeof servers / sizeof servers[0]; i++)
		if (span_find_span(text, span_str(servers[i])) < text.n)
			return true;
	return false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = { (const char *)data, size }, key, value;
	struct arena *mem;
	struct map *m;

	log_init("fuzz", 0);
	if (conf.config_directory == NULL)
		conf_read_nothing();
	/* Member tables could be files. */
	if (size < 2 || size > 4096 || (data[0] % 8 > 2 && memchr(data, 0x2f, size) != NULL))
		return 0;
	rest = span_from(rest, 1);
	if (data[0] % 8 > 2 && asks_server(rest))
		return 0;
	if (!span_take_until(&rest, '\n', &key) || rest.n == 0 || *rest.p != '{')
		return 0;
	mem = arena_new();
	m = map_open(arena_printf(mem, "%s:%.*s", types[data[0] % (sizeof types / sizeof types[0])], SPAN_ARG(rest)), MAP_FOLD);
	(void)map_get(m, key, mem, &value, NULL);
	map_close(&m);
	arena_free(&mem);
	return 0;
}
