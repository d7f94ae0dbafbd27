/*
 * test_smtp_address.c - quoting, tokens, header lists, host names.
 *
 * SPDX-License-Identifier: ISC
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "smtp/address.h"
#include "smtp/encoded_word.h"

static struct arena *mem;

static int setup(void **state) { (void)state; mem = arena_new(); return 0; }
static int teardown(void **state) { (void)state; arena_free(&mem); return 0; }

static void
assert_span(struct span got, const char *want)
{
	assert_string_equal(span_cstr(got, mem), want);
}

static void
test_quote(void **state)
{
	static const struct { const char *internal, *external; } row[] = {
		{ "a@example.com", "a@example.com" },
		{ "two words@example.com", "\"two words\"@example.com" },
		{ "a..b@c", "\"a..b\"@c" },
		{ ".a@c", "\".a\"@c" },
		{ "a@b@c", "\"a@b\"@c" },
		{ "q\"u@c", "\"q\\\"u\"@c" },
		{ "b\\s@c", "\"b\\\\s\"@c" },
		{ "a%b!c@d", "a%b!c@d" },
		{ " d,\" @c", "\" d,\\\" \"@c" },
		{ "plain", "plain" },
		{ "two words", "\"two words\"" },
		{ "", "" },
		{ "@c", "\"\"@c" },
		{ "\xc3\xbc@c", "\xc3\xbc@c" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		assert_span(address_quote(span_str(row[i].internal), mem), row[i].external);
		assert_span(address_unquote(span_str(row[i].external), mem), row[i].internal);
	}
}

static void
test_unquote(void **state)
{
	(void)state;
	assert_span(address_unquote(SPAN(" (c (n) \\) x) a@b (d)"), mem), "a@b");
	assert_span(address_unquote(SPAN("a\\ b@c"), mem), "a b@c");
	assert_span(address_unquote(SPAN("\"unbalanced@c"), mem), "unbalanced@c");
	assert_span(address_unquote(SPAN("\"x\\\""), mem), "x\"");
	assert_span(address_unquote(SPAN("a(((("), mem), "a");
	assert_span(address_unquote(SPAN("\\"), mem), "\\");
}

static void
list(const char *header, const char *want)
{
	struct buf out = {0};
	struct address_list l;
	const char *colon = strchr(header, ':');

	buf_add(&out, header, (size_t)(colon - header) + 1);
	l = address_list_parse(span_str(colon + 1), 10240, mem);
	address_list_print(&l, &out);
	assert_string_equal(buf_cstr(&out), want);
	buf_free(&out);
}

static void
test_lists(void **state)
{
	(void)state;
	list("To: a, b@c , \"Long Name Person Number One\" <long.person.number.one@example.org>",
	    "To: a, b@c,\n\t\"Long Name Person Number One\" <long.person.number.one@example.org>");
	list("From: \"Fred Foo\" <fred>, Bar Bar <bar@host> (comment here), r@h",
	    "From: \"Fred Foo\" <fred>, Bar Bar <bar@host>(comment here), r@h");
	list("Cc: group: x, y@z.test; , old", "Cc: group: x, y@z.test;, old");
	list("To: (c1) p@q.test (c2)", "To: p@q.test (c1) (c2)");
	list("To: <@r1,@r2:a@b>, @r:c@d", "To: <@r1, @r2:a@b>, @r:c@d");
	list("To: a.b..c@x.test, .lead@x.test", "To: \"a.b..c\"@x.test, \".lead\"@x.test");
	list("To: \"unbalanced <x@y.test>", "To: \"unbalanced <x@y.test>\"");
	list("To: (w) x (y) <a> (z), b <c (d)> <e>", "To: (w) x (y) <a>(z), b <c (d)> <e>");
	list("To: one two@x", "To: one, two@x");
	list("To: \"bad@at\"@q.test", "To: \"bad@at\"@q.test");
	list("To: =?utf-8?q?x=C3=A9?= <enc>", "To: =?utf-8?q?x=C3=A9?= <enc>");
	list("Reply-To: <>", "Reply-To: <>");
	list("To: ,,;,", "To: , , ;, ");
	list("To: a <b", "To: \"a <b\"");
}

static void
test_limits(void **state)
{
	char deep[20001];
	struct address_list l;

	(void)state;
	memset(deep, '(', sizeof deep);
	l = address_list_parse(span(deep, sizeof deep), 100, mem);
	assert_int_equal(l.n, 1);
	assert_int_equal(l.p[0].kind, ADDRESS_EMPTY);
	assert_int_equal(l.p[0].comment.n, sizeof deep);
	memset(deep, ',', sizeof deep);
	l = address_list_parse(span(deep, sizeof deep), 100, mem);
	assert_true(l.cut);
	assert_int_equal(l.n, 101);
}

static void
test_hosts(void **state)
{
	static const struct { const char *name; bool ok; } row[] = {
		{ "example.com", true }, { "exa_mple.com", true }, { "1.2.3.4", false }, { "1.2.3.4.5", false }, { "3com.com", true },
		{ "-a.com", false }, { "a-.com", false }, { "a..b", false }, { ".a", false }, { "a.", false }, { "", false },
		{ "a.-b", false }, { "a-", false }, { "a b", false },
		{ "x234567890123456789012345678901234567890123456789012345678901234.com", false },
	};
	struct span host;

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++)
		assert_int_equal(address_hostname_ok(span_str(row[i].name)), row[i].ok);
	assert_true(address_literal_take(SPAN("[1.2.3.4]"), &host));
	assert_span(host, "1.2.3.4");
	assert_true(address_literal_take(SPAN("[IPv6:::1]"), &host));
	assert_span(host, "::1");
	assert_false(address_literal_take(SPAN("[999.2.3.4]"), &host));
	assert_false(address_literal_take(SPAN("[1.2.3.4"), &host));
	assert_false(address_literal_take(SPAN("["), &host));
}

static void
test_encoded_words(void **state)
{
	static const struct { const char *text, *charset, *want; } row[] = {
		{ "J\xc3\xbcrgen X. (y)", "utf-8", "=?utf-8?Q?J=C3=BCrgen_X=2E_=28y=29?=" },
		{ "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc", "utf-8",
		    "=?utf-8?Q?=C3=A4=C3=B6=C3=BC=C3=A4=C3=B6=C3=BC=C3=A4=C3=B6=C3=BC=C3=A4?=\n =?utf-8?Q?=C3=B6=C3=BC?=" },
		{ "\xff\x80\x80\x80\x80\x80", "iso-8859-1", "=?iso-8859-1?Q?=FF=80=80=80=80=80?=" },
		{ "x", "us?ascii", NULL }, { "x", "", NULL },
		{ "x", "a-charset-whose-name-leaves-no-room-for-a-single-character-beside", NULL },
		{ "x", "a-charset-whose-name-leaves-room-for-one-character-onl", "=?a-charset-whose-name-leaves-room-for-one-character-onl?Q?x?=" },
	};
	struct buf out = {0};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		buf_reset(&out);
		assert_int_equal(encoded_words(span_str(row[i].text), span_str(row[i].charset), &out), row[i].want != NULL);
		if (row[i].want != NULL)
			assert_span(buf_view(&out), row[i].want);
	}
	buf_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quote), cmocka_unit_test(test_unquote), cmocka_unit_test(test_lists),
		cmocka_unit_test(test_limits), cmocka_unit_test(test_hosts), cmocka_unit_test(test_encoded_words),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
