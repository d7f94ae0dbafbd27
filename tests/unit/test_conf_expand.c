/*
 * test_conf_expand.c - the expansion language: results and warnings as Postfix has them.
 *
 * SPDX-License-Identifier: ISC
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/log.h"
#include "conf/conf.h"

static char last_warning[512];

static void
remember(enum log_level level, const char *text, void *arg)
{
	(void)level;
	(void)arg;
	(void)snprintf(last_warning, sizeof last_warning, "%s", text);
}

/* result NULL: an error with this warning. */
static const struct {
	const char *text, *result, *warning;
} cases[] = {
	{ "plain", "plain", NULL },
	{ "${ foo }|$( foo )|${foo}|$foo-x|$$|$foo$$", "FOO|FOO|FOO|FOO-x|$|FOO$", NULL },
	{ "${foo?{a)} }", "a)", NULL },
	{ "${nofoo ?  a b : c}|", "|", NULL },
	{ "${foo?  { a } : b }|", " a |", NULL },
	{ "${foo?$foo}${nfo:$foo}", "FOOFOO", NULL },
	{ "${foo?{$nfo}:{b}}", "", NULL },
	{ "${nofoo?{a}: b}|", " b|", NULL },
	{ "${?x}${:x}", "x", NULL },
	{ "${{a}=={a}}|${{a}!={b}}|${{10}<{9}?{x}:{y}}|${{a}=={b}:{n}}|${{a}=={b}?{y}}|", "true|true|y|n||", NULL },
	{ "${{$foo} == {FOO}}", "true", NULL },
	{ "${{a} == {a} ? y : n}", " y : n", NULL },
	{ "${{3.6} <=level {3.6}}${{3.10} >level {3.9}}", "truetrue", NULL },
	{ "${{ a } == {a}}|${{a}=={a}?{ x }}", "| x ", NULL },
	{ "${e?{set}:{unset}}", "unset", NULL },
	{ "${{01}=={1}}${{}=={}}", "truetrue", NULL },
	{ "a\\$foo", "a\\FOO", NULL },
	{ "${foo?a{b}c}", "a{b}c", NULL },
	{ "${{a} == {b}?{x}:y }|", "y |", NULL },
	{ "$3x-", "-", NULL },
	{ "${unexpanded?set}", "set", NULL },
	{ "${domain_to_ascii{example.org}}", "example.org", NULL },
	{ "a$", NULL, "warning: empty macro name: \"a$\"" },
	{ "${}", NULL, "warning: empty macro name: \"${}\"" },
	{ "${foo", NULL, "warning: truncated macro reference: \"${foo\"" },
	{ "$(foo?{a)}", NULL, "warning: unbalanced {} in attribute expression: \"{a\"" },
	{ "${foo-x}", NULL, "warning: attribute name syntax error at: \"...foo>>>-x\"" },
	{ "${foo bar}", NULL, "warning: attribute name syntax error at: \"...foo>>> bar\"" },
	{ "${{a} = {b} ? {y} : {n}}", NULL,
	    "warning: \"==\" or \"!=\"\" or \"<\"\" or \"<=\"\" or \">=\"\" or \">\" expected at: \"...a}>>>= {b} ? {y} : {n}\"" },
	{ "${{a} == b}", NULL, "warning: \"{expression}\" expected at: \"...{a} ==>>> b\"" },
	{ "${{3} <foo {4}}", NULL, "warning: bad operator suffix at: \"...<>>>foo\"" },
	{ "${{a} == {a} x}", NULL, "warning: \"?\" or \":\" expected at: \"...}>>>x\"" },
	{ "${foo?{yes}x}", NULL, "warning: \":\" expected at: \"...yes}>>>x\"" },
	{ "${foo:{x}y}", NULL, "warning: unexpected input at: \"...x}>>>y\"" },
	{ "${{x} <level {3.6}}", NULL, "warning: malformed compatibility level syntax: \"x\"" },
	{ "${{3.6} <level {3..6}}", NULL, "warning: malformed compatibility level syntax: \"3..6\"" },
	{ "${foo{x}}", NULL, "warning: unknown function \"foo\" at\"...>>>foo{x}\"" },
	{ "$loop", NULL, "warning: unreasonable macro call nesting: \"loop\"" },
	{ "$a0", NULL, NULL },		/* 2 to the 60th names */
};

static int
setup(void **state)
{
	char name[8], value[32];

	(void)state;
	log_init("test", 0);
	log_set_hook(remember, NULL);
	conf_set_override("foo", "FOO");
	conf_set_override("e", "");
	conf_set_override("unexpanded", "$nofoo");
	conf_set_override("loop", "x$loop");
	for (int i = 0; i < 60; i++) {
		(void)snprintf(name, sizeof name, "a%d", i);
		(void)snprintf(value, sizeof value, "$a%d$a%d", i + 1, i + 1);
		conf_set_override(name, value);
	}
	conf_read_nothing();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	log_set_hook(NULL, NULL);
	conf_reset();
	return 0;
}

static void
test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct buf out = {0};
		struct err e = {0};
		bool ok;

		last_warning[0] = '\0';
		ok = conf_expand(cases[i].text, &out, &e);
		if (cases[i].result != NULL) {
			assert_true(ok);
			assert_string_equal(buf_cstr(&out), cases[i].result);
		} else {
			assert_false(ok);
			assert_string_equal(e.text, "dictionary mail_dict: macro processing error");
			if (cases[i].warning != NULL)
				assert_string_equal(last_warning, cases[i].warning);
		}
		buf_free(&out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_cases) };

	return cmocka_run_group_tests(tests, setup, teardown);
}
