/*
 * test_smtp_server.c - the session engine: the same replies however the input is cut, end of data, pipelining, long
 * lines, statistics.
 *
 * SPDX-License-Identifier: ISC
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "smtp/server.h"

static struct buf content_seen;
static int messages;

static bool
ok(struct smtp_server *s, struct span args)
{
	smtp_server_reply(s, "250 2.0.0 Ok <%.*s>", SPAN_ARG(args));
	return true;
}

static bool
ehlo(struct smtp_server *s, struct span args)
{
	(void)args;
	s->esmtp = true;
	smtp_server_reply(s, "250 host\r\n250 PIPELINING");
	return true;
}

static bool
data(struct smtp_server *s, struct span args)
{
	(void)args;
	smtp_server_reply(s, "354 go");
	smtp_server_start_data(s);
	return true;
}

static bool
quit(struct smtp_server *s, struct span args)
{
	(void)args;
	smtp_server_reply(s, "221 2.0.0 Bye");
	smtp_server_close(s);
	return true;
}

static bool
refuse(struct smtp_server *s, struct span args)
{
	(void)args;
	smtp_server_reply(s, "554 5.7.1 no");
	return false;
}

static bool
ask(struct smtp_server *s, struct span args)
{
	(void)args;
	smtp_server_reply(s, "334 ");
	smtp_server_ask(s, 10);
	return false;
}

static bool
answer(struct smtp_server *s, struct span text, bool too_long)
{
	if (span_is(text, "more"))
		return ask(s, text);
	smtp_server_reply(s, "%s <%.*s>", too_long ? "500 too long" : "235 ok", SPAN_ARG(text));
	return span_is(text, "good");
}

static const struct smtp_command commands[] = {
	{ "EHLO", SMTP_COMMAND_LAST, ehlo }, { "MAIL", 0, ok }, { "RCPT", 0, refuse },
	{ "DATA", SMTP_COMMAND_LAST | SMTP_COMMAND_CONTENT, data }, { "QUIT", 0, quit }, { "AUTH", 0, ask },
};

static bool line(struct smtp_server *s, struct span *text) { (void)s; (void)text; return true; }
static void unknown(struct smtp_server *s, struct span name) { (void)name; smtp_server_reply(s, "500 5.5.2 what"); }
static bool pipelining(struct smtp_server *s, struct span in) { (void)s; (void)in; return false; }
static void content(struct smtp_server *s, struct span text, size_t raw) { (void)s; (void)raw; buf_span(&content_seen, text); }

static bool
content_end(struct smtp_server *s)
{
	messages++;
	smtp_server_reply(s, "250 2.0.0 queued");
	return true;
}

static const struct smtp_server_ops ops = { .commands = commands, .ncommands = sizeof commands / sizeof *commands, .line = line,
    .unknown = unknown, .pipelining = pipelining, .content = content, .content_end = content_end, .answer = answer };

/* Replies to all of text, fed in pieces of n bytes; what is not consumed yet is offered again. */
static void
converse(const char *text, size_t total, size_t n, struct buf *out, struct smtp_server *s)
{
	struct buf pending = {0};

	smtp_server_init(s, &ops, NULL);
	s->line_limit = 200;
	s->soft_limit = s->junk_limit = 1000;
	messages = 0;
	buf_reset(&content_seen);
	for (size_t at = 0; at < total; at += n) {
		buf_add(&pending, text + at, n < total - at ? n : total - at);
		struct span in = buf_view(&pending);

		while (smtp_server_step(s, &in))
			continue;
		buf_drop(&pending, pending.n - in.n);
	}
	buf_span(out, buf_view(&s->out));
	buf_free(&pending);
}

static void
test_cut_anywhere(void **state)
{
	static const char script[] = "EHLO x\r\nmail FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nSubject: x\r\n\r\n..dot\r\n.\r\nNOSUCH\r\nQUIT\r\nMAIL late\r\n";
	static const char want[] = "250-host\r\n250 PIPELINING\r\n250 2.0.0 Ok <FROM:<a@b>>\r\n554 5.7.1 no\r\n354 go\r\n250 2.0.0 queued\r\n"
	    "500 5.5.2 what\r\n221 2.0.0 Bye\r\n";

	(void)state;
	for (size_t n = 1; n <= sizeof script; n++) {
		struct smtp_server s;
		struct buf out = {0}, stats = {0};

		converse(script, sizeof script - 1, n, &out, &s);
		assert_string_equal(buf_cstr(&out), want);
		assert_string_equal(buf_cstr(&content_seen), "Subject: x\n\n.dot\n");
		assert_int_equal(s.mode, SMTP_SERVER_CLOSED);
		smtp_server_statistics(&s, &stats);
		assert_string_equal(buf_cstr(&stats), " ehlo=1 mail=1 rcpt=0/1 data=1 quit=1 unknown=0/1 commands=4/6");
		buf_free(&out);
		buf_free(&stats);
		smtp_server_free(&s);
	}
}

/* No end of data but CR LF . CR LF: every other spelling is text of the one message. */
static void
test_end_of_data(void **state)
{
	static const char *const variants[] = { "\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r.\r\n", "\r.\n", "\n.\r", "\r\n.\r", "\r\n..\r\n",
	    "\r\n.\r\r\n" };

	(void)state;
	for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
		for (size_t n = 1; n < 8; n++) {
			struct smtp_server s;
			struct buf out = {0}, text = {0};

			buf_printf(&text, "DATA\r\nbody%sMAIL FROM:<smuggled@x>\r\n.\r\n", variants[i]);
			converse(text.p, text.n, n, &out, &s);
			assert_int_equal(messages, 1);
			assert_string_equal(buf_cstr(&out), "354 go\r\n250 2.0.0 queued\r\n");
			assert_non_null(strstr(buf_cstr(&content_seen), "smuggled"));
			buf_free(&out);
			buf_free(&text);
			smtp_server_free(&s);
		}
	}
}

static void
test_long_line(void **state)
{
	struct smtp_server s;
	struct buf out = {0}, text = {0};

	(void)state;
	buf_str(&text, "MAIL ");
	for (int i = 0; i < 100000; i++)
		buf_byte(&text, 'x');
	buf_str(&text, "\r\nEHLO x\r\n");
	converse(text.p, text.n, 1000, &out, &s);
	assert_true(s.line.cap < 4096);			/* bounded, whatever comes */
	assert_int_equal(s.mode, SMTP_SERVER_CLOSED);	/* nobody who means well sends that */
	smtp_server_free(&s);
	buf_reset(&out);
	buf_reset(&text);
	buf_str(&text, "MAIL ");
	for (int i = 0; i < 300; i++)			/* somewhat too long: the rest is skipped */
		buf_byte(&text, 'x');
	buf_str(&text, "\r\nEHLO x\r\n");
	converse(text.p, text.n, 1000, &out, &s);
	assert_non_null(strstr(buf_cstr(&out), "250 2.0.0 Ok <xxx"));
	assert_non_null(strstr(buf_cstr(&out), "250 PIPELINING"));
	buf_free(&out);
	buf_free(&text);
	smtp_server_free(&s);
}

static void
test_many_crs(void **state)
{
	struct smtp_server s;
	struct buf out = {0}, text = {0};

	(void)state;
	buf_str(&text, "DATA\r\n");
	for (int i = 0; i < 300000; i++)
		buf_byte(&text, '\r');
	converse(text.p, text.n, 4096, &out, &s);
	assert_true(s.dot.held_cr <= 1000);
	assert_true(content_seen.n > 290000);
	buf_free(&out);
	buf_free(&text);
	smtp_server_free(&s);
	buf_free(&content_seen);
}

/* Lines that are no commands; a command ends with the last of them, and counts then. */
static void
test_answers(void **state)
{
	static const char script[] = "EHLO x\r\nAUTH\r\nmore\r\nmore\ngood\r\nAUTH\r\nMAIL\r\nAUTH\r\n123456789\r\nAUTH\r\n1234567890\r\nAUTH\r\n"
	    "0123456789012345678901234567890123456789\r\nAUTH\r\n\r\nMAIL x\r\nAUTH\r\nhalf";
	static const char want[] = "250-host\r\n250 PIPELINING\r\n334 \r\n334 \r\n334 \r\n235 ok <good>\r\n334 \r\n235 ok <MAIL>\r\n334 \r\n"
	    "235 ok <123456789>\r\n334 \r\n500 too long <1234567890>\r\n334 \r\n500 too long <0123456789>\r\n334 \r\n235 ok <>\r\n"
	    "250 2.0.0 Ok <x>\r\n334 \r\n";

	(void)state;
	for (size_t n = 1; n <= sizeof script; n++) {
		struct smtp_server s;
		struct buf out = {0}, stats = {0};

		converse(script, sizeof script - 1, n, &out, &s);
		assert_string_equal(buf_cstr(&out), want);
		assert_int_equal(s.mode, SMTP_SERVER_ANSWER);
		assert_int_equal(s.errors, 5);
		smtp_server_statistics(&s, &stats);
		assert_string_equal(buf_cstr(&stats), " ehlo=1 mail=1 auth=1/6 commands=3/8");
		buf_free(&out);
		buf_free(&stats);
		smtp_server_free(&s);
	}
}

static void
test_endless_answer(void **state)
{
	struct smtp_server s;
	struct buf out = {0}, text = {0};

	(void)state;
	buf_str(&text, "AUTH\r\n");
	for (int i = 0; i < 10000; i++)
		buf_byte(&text, 'x');
	converse(text.p, text.n, 100, &out, &s);
	assert_true(s.line.cap < 4096);
	assert_int_equal(s.mode, SMTP_SERVER_CLOSED);
	smtp_server_free(&s);
	buf_free(&out);
	buf_free(&text);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut_anywhere), cmocka_unit_test(test_end_of_data), cmocka_unit_test(test_long_line),
		cmocka_unit_test(test_many_crs), cmocka_unit_test(test_answers), cmocka_unit_test(test_endless_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
