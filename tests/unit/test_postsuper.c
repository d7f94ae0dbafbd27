/*
 * test_postsuper.c - names that queue files must have.
 * Links: postsuper/name.c
 *
 * SPDX-License-Identifier: ISC
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "conf/conf.h"
#include "postsuper/postsuper.h"

/* 4jWZw54Qv1 is 1795225957 s, 624365 us; 1cB7f is inode 11036434 (A86712 in hexadecimal). */
static const struct {
	const char *old;
	ino_t inode;
	bool check_long, want_long;
	const char *want;		/* NULL: nothing to change */
} cases[] = {
	{ "5A9D9A866CB", 0xA866CB, false, false, NULL },
	{ "5A9D9A866CB", 0x1, false, false, "5A9D91" },
	{ "5A9D9A866CB", 0xA866CB, true, true, NULL },
	{ "4jWZw54Qv1z1cB7f", 11036434, true, true, NULL },
	{ "4jWZw54Qv1z1cB7f", 7, false, true, NULL },
	{ "4jWZw54Qv1z1cB7f", 7, true, true, "4jWZw54Qv1z7" },
	{ "4jWZw54Qv1z1cB7f", 7, false, false, "986ED7" },
	{ "4jWZw54Qv1z1cB7f", 11036434, false, false, "986EDA86712" },
};

static void
test_for_inode(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char out[QUEUE_ID_MAX] = "";
		bool changed = name_for_inode(out, span_str(cases[i].old), cases[i].inode, cases[i].check_long, cases[i].want_long);

		assert_int_equal(changed, cases[i].want != NULL);
		if (changed)
			assert_string_equal(out, cases[i].want);
	}
}

static void
test_unfinished(void **state)
{
	struct span id;

	(void)state;
	assert_true(name_unfinished(SPAN("5A9D91#FIX"), &id));
	assert_true(span_is(id, "5A9D91"));
	assert_false(name_unfinished(SPAN("5A9D91"), &id));
	assert_false(name_unfinished(SPAN("#FIX"), &id));
	assert_false(name_unfinished(SPAN("a.b#FIX"), &id));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_for_inode),
		cmocka_unit_test(test_unfinished),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
