/*
 * test_map.c - tables of every type, lists of tables, match lists, address keys.
 *
 * SPDX-License-Identifier: ISC
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/log.h"
#include "conf/conf.h"
#include "map/address_map.h"
#include "map/match.h"
#include "config.h"

static char directory[] = "/tmp/test_map.XXXXXX";
static struct arena *mem;

static const char *
path(const char *name)
{
	return arena_printf(mem, "%s/%s", directory, name);
}

static int
setup(void **state)
{
	struct err e = {0};
	FILE *f;

	(void)state;
	log_init("test", 0);
	mem = arena_new();
	if (mkdtemp(directory) == NULL || (f = fopen(path("main.cf"), "w")) == NULL)
		return 1;
	(void)fputs("compatibility_level = 3.11\nparent_domain_matches_subdomains = relay_domains\n", f);
	(void)fclose(f);
	return conf_load(directory, &e) ? 0 : 1;
}

static int
teardown(void **state)
{
	(void)state;
	conf_reset();
	const int rc = system(arena_printf(mem, "rm -rf %s", directory));

	arena_free(&mem);
	return rc;
}

/* value NULL: not found; "!": fails. */
static void
expect(const char *spec, const char *key, const char *value)
{
	struct map *m = map_open(spec, MAP_FOLD | MAP_UTF8);
	struct span got = SPAN_NULL;
	struct err e = {0};
	const enum map_status status = map_get(m, span_str(key), mem, &got, &e);

	if (value == NULL)
		assert_int_equal(status, MAP_NOT_FOUND);
	else if (strcmp(value, "!") == 0)
		assert_int_equal(status, MAP_FAILED);
	else {
		assert_int_equal(status, MAP_FOUND);
		assert_string_equal(span_cstr(got, mem), value);
	}
	map_close(&m);
}

static const struct {
	const char *spec, *key, *value;
} lookups[] = {
	{ "inline:{a=b, {c = d e}}", "A", "b" },
	{ "inline:{a=b, {c = d e}}", "c", "d e" },
	{ "inline:{a=b}", "x", NULL },
	{ "inline:{}", "x", "!" },
	{ "static:{ a b }", "x", "a b" },
	{ "static:x", "", NULL },
	{ "fail:x", "x", "!" },
	{ "nosuchtype:x", "x", "!" },
	{ "randmap:{a}", "x", "a" },
	{ "unionmap:{inline:{x=1}, inline:{x=2}, inline:{y=3}}", "x", "1,2" },
	{ "pipemap:{inline:{x=y}, inline:{y=z}}", "x", "z" },
	{ "pipemap:{inline:{x=y}, inline:{z=z}}", "x", NULL },
	{ "cidr:{{10.0.0.0/8 ten}, {!172.16.0.0/12 other}}", "10.1.2.3", "ten" },
	{ "cidr:{{10.0.0.0/8 ten}, {!172.16.0.0/12 other}}", "192.168.1.1", "other" },
	{ "cidr:{{10.0.0.0/8 ten}, {!172.16.0.0/12 other}}", "::1", NULL },
	{ "cidr:{{if 10.0.0.0/8}, {10.1.0.0/16 a}, {endif}, {[fd00::]/8 b}}", "10.1.1.1", "a" },
	{ "cidr:{{if 10.0.0.0/8}, {10.1.0.0/16 a}, {endif}, {[fd00::]/8 b}}", "fd12::", "b" },
	{ "regexp:{{/^(a)(b)?x$/ $1-$2-$$}}", "AX", "A--$" },
	{ "regexp:{{/a/!/b/ only-a}}", "a", "only-a" },
	{ "regexp:{{/a/!/b/ only-a}}", "ab", NULL },
	{ "regexp:{{if /a/}, {/b/ ab}, {endif}, {!/a/ no-a}}", "b", "no-a" },
	{ "pcre:{{/^(.)(?:.)(.)$/ ${2}$(1)}}", "abc", "ca" },
	{ "pcre:{{/^a$/i x}}", "A", NULL },
	{ "pcre:{{/^(a+)+$/ runaway}}", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", NULL },
	{ "unix:passwd.byname", "nosuchuser", NULL },
	{ "unix:nosuch", "root", "!" },
	{ "texthash:/nosuch", "root", "!" },
	{ "inline:{\303\244=\303\266}", "\303\204", "\303\266" },
	{ "inline:{a=b}", "\377", NULL },
};

static void
test_lookups(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof lookups / sizeof lookups[0]; i++)
		expect(lookups[i].spec, lookups[i].key, lookups[i].value);
}

static void
build(const char *spec, size_t n, unsigned flags)
{
	struct map *m = map_open(spec, MAP_FOLD | MAP_WRITE | MAP_CREATE | MAP_TRUNCATE | MAP_DUP_IGNORE | flags);
	struct err e = {0};

	assert_null(map_open_error(m));
	for (size_t i = 0; i < n; i++)
		assert_int_equal(map_put(m, span_str(arena_printf(mem, "Key%zu", i)), span_str(arena_printf(mem, "v%zu", i)), &e),
		    MAP_NOT_FOUND);
	if (n > 0)
		assert_int_equal(map_put(m, SPAN("key0"), SPAN("again"), &e), MAP_FOUND);
	assert_true(map_finish(m, &e));
	map_close(&m);
}

static void
test_index(const char *type, unsigned flags)
{
	const char *spec = arena_printf(mem, "%s:%s%u", type, path(type), flags);
	struct map *m;
	struct span key, value;
	struct err e = {0};
	size_t n = 0;

	build(spec, 3000, flags);
	expect(spec, "KEY2999", "v2999");
	expect(spec, "key0", "v0");
	expect(spec, "nosuch", NULL);
	m = map_open(spec, MAP_FOLD);
	for (bool first = true; map_next(m, first, mem, &key, &value, &e) == MAP_FOUND; first = false)
		n++;
	assert_int_equal(n, 3000);
	assert_false(map_changed(m));
	build(spec, 0, flags);			/* the reader keeps the old content and can tell */
	assert_true(map_changed(m));
	assert_int_equal(map_get(m, SPAN("key5"), mem, &value, &e), MAP_FOUND);
	map_close(&m);
	expect(spec, "key5", NULL);
}

static void
test_update(const char *type)
{
	const char *spec = arena_printf(mem, "%s:%s-u", type, path(type));
	struct map *m = map_open(spec, MAP_FOLD | MAP_WRITE | MAP_CREATE | MAP_DUP_REPLACE);
	struct err e = {0};

	assert_null(map_open_error(m));
	assert_int_equal(map_put(m, SPAN("A"), SPAN("1"), &e), MAP_NOT_FOUND);
	assert_int_not_equal(map_put(m, SPAN("a"), SPAN("2"), &e), MAP_FAILED);
	assert_int_equal(map_delete(m, SPAN("b"), &e), MAP_NOT_FOUND);
	map_close(&m);
	expect(spec, "a", "2");
	m = map_open(spec, MAP_FOLD | MAP_WRITE);
	assert_int_equal(map_delete(m, SPAN("a"), &e), MAP_FOUND);
	map_close(&m);
	expect(spec, "a", NULL);
}

static void
test_files(void **state)
{
	(void)state;
	test_index("lmdb", 0);
	test_index("lmdb", MAP_WITHOUT_NUL);
	test_update("lmdb");
#ifdef HAVE_DB
	test_index("hash", 0);
	test_index("btree", 0);
	test_index("hash", MAP_WITHOUT_NUL);
	test_update("hash");
	test_update("btree");
#endif
#ifdef HAVE_CDB
	test_index("cdb", 0);
	test_index("cdb", MAP_WITH_NUL);
#endif
}

/* An abandoned rebuild leaves the old table and nothing else. */
static void
test_abandoned(void **state)
{
	const char *spec = arena_printf(mem, "lmdb:%s", path("gone"));
	struct map *m;

	(void)state;
	build(spec, 3, 0);
	m = map_open(spec, MAP_WRITE | MAP_CREATE | MAP_TRUNCATE);
	assert_int_not_equal(map_put(m, SPAN("x"), SPAN("y"), NULL), MAP_FAILED);
	map_close(&m);
	expect(spec, "key1", "v1");
	assert_int_not_equal(access(path("gone.lmdb.tmp"), F_OK), 0);
}

static const struct {
	enum match_kind kind;
	const char *title, *list, *name, *address;
	enum match_status status;
} matches[] = {
	{ MATCH_STRING, "x", "a.b, !c, d", "A.B", NULL, MATCH_YES },
	{ MATCH_STRING, "x", "!c, c", "c", NULL, MATCH_NO },
	{ MATCH_STRING, "x", "!!c", "c", NULL, MATCH_YES },
	{ MATCH_STRING, "x", "inline:{c=}", "c", NULL, MATCH_YES },
	{ MATCH_STRING, "x", "fail:y, c", "c", NULL, MATCH_FAILED },
	{ MATCH_STRING, "x", "/nosuch", "c", NULL, MATCH_FAILED },
	{ MATCH_DOMAIN, "x", "b.c", "a.b.c", NULL, MATCH_NO },
	{ MATCH_DOMAIN, "x", ".b.c", "a.b.c", NULL, MATCH_YES },
	{ MATCH_DOMAIN, "relay_domains", "b.c", "a.b.c", NULL, MATCH_YES },
	{ MATCH_DOMAIN, "relay_domains", "inline:{b.c=x}", "a.b.c", NULL, MATCH_YES },
	{ MATCH_HOST, "x", "10.0.0.0/8 [2001:db8::]/32", "unknown", "10.1.2.3", MATCH_YES },
	{ MATCH_HOST, "x", "10.0.0.0/8 [2001:db8::]/32", "unknown", "2001:db8:1::1", MATCH_YES },
	{ MATCH_HOST, "x", "10.0.0.0/8 [2001:db8::]/32", "unknown", "11.1.2.3", MATCH_NO },
	{ MATCH_HOST, "x", "10.0.0.0/8", "unknown", "::ffff:10.0.0.1", MATCH_YES },
	{ MATCH_HOST, "x", "!10.1.0.0/16 10.0.0.0/8", "unknown", "10.1.2.3", MATCH_NO },
	{ MATCH_HOST, "x", "10.0.0.1/8", "unknown", "10.1.2.3", MATCH_FAILED },
	{ MATCH_HOST, "x", "[::1]", "unknown", "::1", MATCH_YES },
	{ MATCH_HOST, "x", "::1", "unknown", "0:0::1", MATCH_YES },
	{ MATCH_HOST, "x", ".example", "a.example", "1.2.3.4", MATCH_YES },
	{ MATCH_HOST, "x", "cidr:{{1.2.3.0/24 x}}", "a.example", "1.2.3.4", MATCH_YES },
	{ MATCH_HOST, "x", "static:all", "", "1.2.3.4", MATCH_YES },
	{ MATCH_ADDRESS, "x", "a.example", "a.example", "1.2.3.4", MATCH_NO },
};

static void
test_match(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof matches / sizeof matches[0]; i++) {
		struct err e = {0};
		struct match *m = match_open(matches[i].kind, matches[i].title, matches[i].list, &e);
		const struct span name = span_str(matches[i].name);

		assert_int_equal(matches[i].address == NULL ? match_name(m, name) :
		    match_host(m, name, span_str(matches[i].address)), matches[i].status);
		match_free(&m);
	}
}

static bool
local_domain(struct span domain, void *arg)
{
	(void)arg;
	return span_is(domain, "here");
}

static const struct {
	unsigned keys;
	const char *table, *address, *value, *extension;
} addresses[] = {
	{ ADDRESS_DEFAULT, "u+e@d=1", "u+e@d", "1", "" },
	{ ADDRESS_DEFAULT, "u@d=1", "u+e@d", "1", "+e" },
	{ ADDRESS_DEFAULT, "u=1", "u+e@here", "1", "+e" },
	{ ADDRESS_DEFAULT, "u=1", "u+e@d", NULL, "" },
	{ ADDRESS_DEFAULT, "@d=1", "u+e@d", "1", "" },
	{ ADDRESS_DEFAULT, "u+e=1", "u+e", "1", "" },
	{ ADDRESS_ACCESS, "d.e=1", "u+e@c.d.e", NULL, "" },
	{ ADDRESS_ACCESS, ".d.e=1", "u+e@c.d.e", "1", "" },
	{ ADDRESS_ACCESS, "u@=1", "u+e@c.d.e", "1", "+e" },
	{ ADDRESS_TRANSPORT, "c.d.e=1", "u+e@c.d.e", "1", "" },
	{ ADDRESS_DEFAULT, "owner=1", "owner-list@d", NULL, "" },
};

static void
test_address(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
		const struct address_keys keys = { .keys = addresses[i].keys, .delimiters = "+-", .is_local = local_domain };
		struct maps *maps = maps_open("t", arena_printf(mem, "inline:{%s}", addresses[i].table), MAP_FOLD);
		struct span value, extension = SPAN_NULL;
		const enum map_status status = address_map_get(maps, &keys, span_str(addresses[i].address), SPAN_NULL, mem, &value,
		    &extension, NULL);

		assert_int_equal(status, addresses[i].value != NULL ? MAP_FOUND : MAP_NOT_FOUND);
		if (status == MAP_FOUND)
			assert_string_equal(span_cstr(extension, mem), addresses[i].extension);
		maps_free(&maps);
	}
}

static void
test_maps(void **state)
{
	struct maps *maps = maps_open("t", "inline:{a=1}, inline:{a=2,b=}, fail:x", 0);
	struct span value;

	(void)state;
	assert_int_equal(maps_get(maps, SPAN("a"), 0, mem, &value, NULL), MAP_FOUND);
	assert_true(span_is(value, "1"));
	assert_int_equal(maps_get(maps, SPAN("b"), 0, mem, &value, NULL), MAP_FAILED);
	assert_int_equal(maps_get(maps, SPAN("b"), MAPS_ALLOW_EMPTY, mem, &value, NULL), MAP_FOUND);
	assert_int_equal(maps_get(maps, SPAN("c"), 0, mem, &value, NULL), MAP_FAILED);
	assert_int_equal(maps_get(maps, SPAN("c"), MAPS_FIXED_ONLY, mem, &value, NULL), MAP_NOT_FOUND);
	maps_free(&maps);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lookups),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_abandoned),
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_address),
		cmocka_unit_test(test_maps),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
