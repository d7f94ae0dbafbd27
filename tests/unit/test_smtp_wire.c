/*
 * test_smtp_wire.c - words and paths of commands, xtext, replies, content both ways.
 *
 * SPDX-License-Identifier: ISC
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "smtp/command.h"
#include "smtp/dot.h"
#include "smtp/reply.h"

static struct arena *mem;

static int setup(void **state) { (void)state; mem = arena_new(); return 0; }
static int teardown(void **state) { (void)state; arena_free(&mem); return 0; }

static void
test_paths(void **state)
{
	/* want: internal form, NULL when it must be refused; strict: the same with strict_rfc821_envelopes */
	static const struct { const char *args, *want; bool strict_ok; } row[] = {
		{ "FROM:<a@example.com>", "a@example.com", true },
		{ "from: <a@example.com>", "a@example.com", true },
		{ "FROM:a@example.com", "a@example.com", false },
		{ "FROM:a@example.com>", "a@example.com", false },
		{ "FROM:<>", "", true },
		{ "FROM:< >", "", true },
		{ "FROM:<\"a b\"@example.com>", "a b@example.com", true },
		{ "FROM:<a b@example.com>", NULL, false },
		{ "FROM:<a@example.com", NULL, false },
		{ "FROM:<a@example.com>SIZE=10", NULL, false },
		{ "FROM:<@hop1,@hop2:a@example.com>", "a@example.com", true },
		{ "FROM:<a@b@example.com>", "a@b@example.com", true },
		{ "FROM:<a>", "a", true },
		{ "FROM:<@example.com>", "@example.com", false },
		{ "FROM:<a@>", NULL, false },
		{ "FROM:<a@[999.2.3.4]>", NULL, false },
		{ "FROM:<a@-example.com>", NULL, false },
		{ "FROM:<a@example..com>", NULL, false },
		{ "FROM:<a@[1.2.3.4]>", "a@[1.2.3.4]", true },
		{ "FROM:<a@[IPv6:2001:db8::1]>", "a@[IPv6:2001:db8::1]", true },
		{ "FROM:<a..b@example.com>", "a..b@example.com", true },
		{ "FROM:<a@exa_mple.com>", "a@exa_mple.com", true },
		{ "FROM:<\xc3\xbc@example.com>", "\xc3\xbc@example.com", true },
		{ "FROM:<a@\xc3\xbc.example.com>", NULL, false },
		{ "FROM:<\"\">", "", false },
		{ "FROM:(c)<a@b.test>", "a@b.test", false },
		{ "FROM:<a@b.test>>", "a@b.test", false },
		{ "FROM:<a\\ b@c.test>", "a b@c.test", true },
		{ "FROM:<a,b@c>", NULL, false },
		{ "FROM:<<a@b>>", "a@b", false },
		{ "FROM:<a(comment)@b.test>", "a@b.test", false },
		{ "FROM:name<a@b.test>", "a@b.test", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct span in = span_str(row[i].args), word;
		struct smtp_path path;

		assert_true(smtp_take_path(&in, "FROM", &word));
		assert_int_equal(smtp_path_parse(word, SMTP_PATH_NULL, mem, &path), row[i].want != NULL);
		if (row[i].want != NULL)
			assert_string_equal(span_cstr(path.internal, mem), row[i].want);
		assert_int_equal(smtp_path_parse(word, SMTP_PATH_NULL | SMTP_PATH_STRICT, mem, &path), row[i].strict_ok);
	}
}

static void
test_path_shape(void **state)
{
	static const char *bad[] = { "", "FROM", "FROM:", "FROM: ", "FROM <a@b>", "TO:<a@b>", "FROM :<a@b>" };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct span in = span_str(bad[i]), word;

		assert_false(smtp_take_path(&in, "FROM", &word));
		assert_int_equal(in.n, strlen(bad[i]));
	}
}

static void
test_words(void **state)
{
	struct span in = SPAN("  a<b c>d \"x y\"z  e\\ f <g h"), w;
	static const char *want[] = { "a<b c>d", "\"x y\"z", "e\\ f", "<g h" };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		assert_true(smtp_take_word(&in, &w));
		assert_string_equal(span_cstr(w, mem), want[i]);
	}
	assert_false(smtp_take_word(&in, &w));
}

static void
test_xtext(void **state)
{
	struct span out;

	(void)state;
	assert_true(smtp_xtext_decode(SPAN("a+2Bb+40"), mem, &out));
	assert_string_equal(span_cstr(out, mem), "a+b@");
	assert_string_equal(span_cstr(smtp_xtext_encode(SPAN("a+b= \x01"), mem), mem), "a+2Bb+3D+20+01");
	assert_false(smtp_xtext_decode(SPAN("a+2"), mem, &out));
	assert_false(smtp_xtext_decode(SPAN("a+"), mem, &out));
	assert_false(smtp_xtext_decode(SPAN("a+zz"), mem, &out));
	assert_false(smtp_xtext_decode(SPAN("a b"), mem, &out));
	assert_false(smtp_xtext_decode(SPAN("a=b"), mem, &out));
}

static void
test_replies(void **state)
{
	static const struct { const char *text; int code; const char *dsn, *joined; bool garbage; } row[] = {
		{ "250 ok\r\n", 250, "", "250 ok", false },
		{ "250\r\n", 250, "", "250", false },
		{ "550-5.1.1 a\r\n550 5.1.2 b\r\n", 550, "5.1.2", "550-5.1.1 a\n550 5.1.2 b", false },
		{ "550 2.1.5 x\r\n", 550, "", "550 2.1.5 x", false },
		{ "250 2.1\r\n", 250, "", "250 2.1", false },
		{ "250 2.1.1234 x\n", 250, "", "250 2.1.1234 x", false },
		{ "what?\r\n250 ok\r\n", 250, "", "what?\n250 ok", true },
		{ "250\tx\r\n250 y\r\n", 250, "", "250?x\n250 y", true },
		{ "450 a\001b\r\n", 450, "", "450 a?b", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct smtp_reply r = {0};
		struct span in = span_str(row[i].text), line;
		enum smtp_reply_state st = SMTP_REPLY_MORE;

		while (st == SMTP_REPLY_MORE && span_take_line(&in, &line))
			st = smtp_reply_line(&r, line);
		assert_int_equal(st, SMTP_REPLY_DONE);
		assert_int_equal(r.code, row[i].code);
		assert_string_equal(r.dsn, row[i].dsn);
		assert_string_equal(buf_cstr(&r.text), row[i].joined);
		assert_int_equal(r.garbage, row[i].garbage);
		smtp_reply_free(&r);
	}
}

static void
test_endless_reply(void **state)
{
	struct smtp_reply r = {0};
	enum smtp_reply_state st = SMTP_REPLY_MORE;
	unsigned n = 0;

	(void)state;
	while (st == SMTP_REPLY_MORE && n++ < 100000)
		st = smtp_reply_line(&r, SPAN("250-again and again and again and again and again and again"));
	assert_int_equal(st, SMTP_REPLY_ENDLESS);
	assert_true(r.text.n <= SMTP_REPLY_TEXT_MAX);
	smtp_reply_free(&r);
}

struct decode_row {
	const char *wire, *text, *rest;		/* rest NULL: no end of data */
	bool bare_lf;
};

static void
decode_all(const struct decode_row *row, bool lenient, size_t piece)
{
	struct smtp_dot_in d = { .lenient = lenient };
	struct span all = span_str(row->wire), in = {0};
	struct buf out = {0};
	bool end = false;

	for (size_t at = 0; at < all.n && !end; at += piece) {
		in = span_to(span_from(all, at), piece);
		end = smtp_dot_decode(&d, &in, &out);
		if (end)
			in = span_from(all, (size_t)(in.p - all.p));
	}
	assert_int_equal(end, row->rest != NULL);
	assert_string_equal(buf_cstr(&out), row->text);
	if (end)
		assert_string_equal(in.p, row->rest);
	assert_int_equal(d.bare_lf, row->bare_lf);
	buf_free(&out);
}

static void
test_decode_strict(void **state)
{
	static const struct decode_row row[] = {
		{ ".\r\n", "", "", false },
		{ "a\r\n.\r\nQUIT", "a\n", "QUIT", false },
		{ "..a\r\n.b\r\n.\r\n", ".a\nb\n", "", false },
		{ "a\n.\nb\r\n.\r\n", "a\n\nb\n", "", true },
		{ "a\n.\r\nb\r\n.\r\n", "a\n\nb\n", "", true },
		{ "a\r\n.\nb\r\n.\r\n", "a\n\nb\n", "", true },
		{ "a\r.\rb\r\n.\r\n", "a\r.\rb\n", "", false },
		{ "a\r.\nb\r\n.\r\n", "a\r.\nb\n", "", true },
		{ "a\r.\r\nb\r\n.\r\n", "a\r.\nb\n", "", false },
		{ "a\r\n.\rb\r\n.\r\n", "a\n\rb\n", "", false },
		{ "a\r\r\n.\r\n", "a\r\n", "", false },
		{ "a\r\n.\r\r\n", "a\n\r\n", NULL, false },
		{ "\r\n\r\n.\r\n", "\n\n", "", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++)
		for (size_t piece = 1; piece < 12; piece++)
			decode_all(&row[i], false, piece);
}

static void
test_decode_lenient(void **state)
{
	static const struct decode_row row[] = {
		{ "a\n.\nQUIT", "a\n", "QUIT", true },
		{ "a\r\n.\nQUIT", "a\n", "QUIT", true },
		{ "a\n.\r\nQUIT", "a\n", "QUIT", true },
		{ "a\r.\r\n.\r\nQUIT", "a\r.\n", "QUIT", false },
		{ "a\r\r\r\n.\r\n", "a\n", "", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++)
		for (size_t piece = 1; piece < 12; piece++)
			decode_all(&row[i], true, piece);
}

static void
test_encode(void **state)
{
	struct smtp_dot_out d = { .line_limit = 10 };
	struct buf out = {0};

	(void)state;
	smtp_dot_encode(&d, SPAN(".a"), true, &out);
	smtp_dot_encode(&d, SPAN(""), true, &out);
	smtp_dot_encode(&d, SPAN("x\ry"), false, &out);
	smtp_dot_encode(&d, SPAN("."), false, &out);
	smtp_dot_end(&d, &out);
	assert_string_equal(buf_cstr(&out), "..a\r\n\r\nx y.\r\n.\r\n");
	assert_false(d.broke_line);
	buf_reset(&out);
	smtp_dot_encode(&d, SPAN("0123456789abcdefghijk"), true, &out);
	assert_string_equal(buf_cstr(&out), "0123456789\r\n abcdefghi\r\n jk\r\n");
	assert_true(d.broke_line);
	buf_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths), cmocka_unit_test(test_path_shape), cmocka_unit_test(test_words),
		cmocka_unit_test(test_xtext), cmocka_unit_test(test_replies), cmocka_unit_test(test_endless_reply),
		cmocka_unit_test(test_decode_strict), cmocka_unit_test(test_decode_lenient), cmocka_unit_test(test_encode),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
