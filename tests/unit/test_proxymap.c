/*
 * test_proxymap.c - which tables a list approves.
 * Links: proxymap/approved.c
 *
 * SPDX-License-Identifier: ISC
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxymap/approved.h"

static const struct {
	const char *list, *table;
	bool want;
} cases[] = {
	{ "", "hash:/x", false },
	{ "proxy:unix:passwd.byname hash:/x", "unix:passwd.byname", true },
	{ "proxy:unix:passwd.byname hash:/x", "hash:/x", false },
	{ "proxy:unix:passwd.byname", "unix:passwd.bynam", false },
	{ "a, proxy:hash:/x,b", "hash:/x", true },
	{ "proxy:proxy:hash:/x", "hash:/x", true },
	{ "{ check_access proxy:hash:/x }", "hash:/x", true },
	{ "proxy:pipemap:{hash:/x, hash:/y}", "pipemap:{hash:/x, hash:/y}", true },
	{ "proxy:pipemap:{hash:/x, hash:/y}", "hash:/y}", false },
	{ "{{{ proxy:hash:/x", "hash:/x", false },
};

static void
test_approved(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct approved *a = approved_new(span_str(cases[i].list));

		assert_int_equal(approved_has(a, span_str(cases[i].table)), cases[i].want);
		approved_free(&a);
	}
}

static unsigned seen;

static void
see(struct span table)
{
	seen += span_is(table, "hash:/x") ? 1 : span_is(table, "lmdb:/y") ? 10 : 100;
}

static void
test_each(void **state)
{
	struct approved *a = approved_new(SPAN("proxy:hash:/x, z:/z proxy:lmdb:/y { proxy:hash:/x }"));

	(void)state;
	approved_each(a, see);
	assert_int_equal(seen, 11);
	approved_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_approved), cmocka_unit_test(test_each) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
