/*
 * test_auth.c - lines of Dovecot's protocol, and security options.
 *
 * SPDX-License-Identifier: ISC
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "net/auth.h"
#include "net/dovecot_line.h"

#define LINE(text)	{ (text), sizeof(text) - 1 }

static const struct {
	struct span line;
	bool ok;
	enum dovecot_verb verb;
	uint64_t number;
	const char *word, *user, *reason;	/* NULL: none */
	unsigned properties;
} lines[] = {
	{ LINE(""), true, DOVECOT_OTHER, 0, NULL, NULL, NULL, 0 },
	{ LINE("\t\t"), true, DOVECOT_OTHER, 0, NULL, NULL, NULL, 0 },
	{ LINE("COOKIE\tabc"), true, DOVECOT_OTHER, 0, NULL, NULL, NULL, 0 },
	{ LINE("ok\t1\tuser=x"), true, DOVECOT_OTHER, 0, NULL, NULL, NULL, 0 },
	{ LINE("VERSION\t1\t2"), true, DOVECOT_VERSION, 1, NULL, NULL, NULL, 0 },
	{ LINE("VERSION\t12\t0\tmore"), true, DOVECOT_VERSION, 12, NULL, NULL, NULL, 0 },
	{ LINE("VERSION"), false, DOVECOT_VERSION, 0, NULL, NULL, NULL, 0 },
	{ LINE("VERSION\t1"), false, DOVECOT_VERSION, 0, NULL, NULL, NULL, 0 },
	{ LINE("VERSION\t1\t"), false, DOVECOT_VERSION, 0, NULL, NULL, NULL, 0 },
	{ LINE("VERSION\tx\t1"), false, DOVECOT_VERSION, 0, NULL, NULL, NULL, 0 },
	{ LINE("VERSION\t99999999999999999999\t1"), false, DOVECOT_VERSION, 0, NULL, NULL, NULL, 0 },
	{ LINE("MECH\tPLAIN"), true, DOVECOT_MECH, 0, "PLAIN", NULL, NULL, 0 },
	{ LINE("MECH\tPLAIN\tplaintext\tnew-property"), true, DOVECOT_MECH, 0, "PLAIN", NULL, NULL, AUTH_NO_PLAINTEXT },
	{ LINE("MECH\tX\tactive\tdictionary\tanonymous\tforward-secrecy\tmutual-auth\tprivate"), true, DOVECOT_MECH, 0, "X", NULL, NULL,
	    AUTH_NO_ACTIVE | AUTH_NO_DICTIONARY | AUTH_NO_ANONYMOUS | AUTH_FORWARD_SECRECY | AUTH_MUTUAL | AUTH_PRIVATE },
	{ LINE("MECH"), true, DOVECOT_OTHER, 0, NULL, NULL, NULL, 0 },
	{ LINE("MECH\t"), true, DOVECOT_OTHER, 0, NULL, NULL, NULL, 0 },
	{ LINE("MECH\tA B\tplaintext"), true, DOVECOT_OTHER, 0, NULL, NULL, NULL, 0 },
	{ LINE("MECH\tABCDEFGHIJKLMNOPQRSTU"), true, DOVECOT_OTHER, 0, NULL, NULL, NULL, 0 },
	{ LINE("MECH\tPL\0AIN"), false, DOVECOT_OTHER, 0, NULL, NULL, NULL, 0 },
	{ LINE("SPID\t1"), true, DOVECOT_SPID, 0, NULL, NULL, NULL, 0 },
	{ LINE("DONE"), true, DOVECOT_DONE, 0, NULL, NULL, NULL, 0 },
	{ LINE("DONE\r"), true, DOVECOT_OTHER, 0, NULL, NULL, NULL, 0 },
	{ LINE("OK\t7\tuser=joe\tfoo\tuser=ann"), true, DOVECOT_OK, 7, NULL, "ann", NULL, 0 },
	{ LINE("OK\t7\tuser="), true, DOVECOT_OK, 7, NULL, "", NULL, 0 },
	{ LINE("OK\t7\tusername=x"), true, DOVECOT_OK, 7, NULL, NULL, NULL, 0 },
	{ LINE("OK"), false, DOVECOT_OK, 0, NULL, NULL, NULL, 0 },
	{ LINE("OK\t"), true, DOVECOT_OTHER, 0, NULL, NULL, NULL, 0 },
	{ LINE("OK\tx\tuser=e"), true, DOVECOT_OTHER, 0, NULL, NULL, NULL, 0 },
	{ LINE("OK\t-1\tuser=e"), true, DOVECOT_OTHER, 0, NULL, NULL, NULL, 0 },
	{ LINE("OK\t1\tuser=a\0b"), false, DOVECOT_OTHER, 0, NULL, NULL, NULL, 0 },
	{ LINE("CONT\t3\tYQ=="), true, DOVECOT_CONT, 3, "YQ==", NULL, NULL, 0 },
	{ LINE("CONT\t3\t"), true, DOVECOT_CONT, 3, "", NULL, NULL, 0 },
	{ LINE("CONT\t3"), true, DOVECOT_CONT, 3, NULL, NULL, NULL, 0 },
	{ LINE("CONT"), false, DOVECOT_CONT, 0, NULL, NULL, NULL, 0 },
	{ LINE("FAIL\t3\tuser=u\treason=no = yes\ttemp"), true, DOVECOT_FAIL, 3, NULL, "u", "no = yes", 0 },
	{ LINE("FAIL\t3"), true, DOVECOT_FAIL, 3, NULL, NULL, NULL, 0 },
};

static void
same(struct span got, const char *want)
{
	assert_int_equal(got.p != NULL, want != NULL);
	if (want != NULL)
		assert_true(span_is(got, want));
}

static void
test_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		struct dovecot_line l;

		assert_int_equal(dovecot_line_parse(lines[i].line, &l), lines[i].ok);
		if (!lines[i].ok)
			continue;
		assert_int_equal(l.verb, lines[i].verb);
		assert_int_equal(l.number, lines[i].number);
		assert_int_equal(l.properties, lines[i].properties);
		assert_int_equal(l.has_user, lines[i].user != NULL);
		same(l.word, lines[i].word);
		same(l.user, lines[i].user);
		same(l.reason, lines[i].reason);
	}
}

static void
test_base64(void **state)
{
	(void)state;
	assert_true(dovecot_base64_ok(SPAN_NULL));
	assert_true(dovecot_base64_ok(SPAN("ABCxyz019+/==")));
	assert_false(dovecot_base64_ok(SPAN("a b")));
	assert_false(dovecot_base64_ok(SPAN("a\tb")));
	assert_false(dovecot_base64_ok(SPAN("a-b")));
	assert_false(dovecot_base64_ok(SPAN("*")));
}

static void
test_security(void **state)
{
	struct err e = {0};
	unsigned bits = 99;

	(void)state;
	assert_true(auth_security_parse("dovecot", "", &bits, &e) && bits == 0);
	assert_true(auth_security_parse("dovecot", " NoPlaintext,noanonymous\n mutual_auth", &bits, &e));
	assert_int_equal(bits, AUTH_NO_PLAINTEXT | AUTH_NO_ANONYMOUS | AUTH_MUTUAL);
	assert_false(auth_security_parse("dovecot", "noplaintext, no", &bits, &e));
	assert_string_equal(e.text, "unknown xsasl_dovecot_server_create value \"no\" in \"noplaintext, no\"");
	assert_false(auth_prepare(&(struct auth_settings){ .type = "gnu" }, &e));
	assert_string_equal(e.text, "unsupported SASL server implementation: gnu");
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_lines), cmocka_unit_test(test_base64), cmocka_unit_test(test_security) };

	return cmocka_run_group_tests_name("auth", tests, NULL, NULL);
}
