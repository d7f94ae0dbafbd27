/*
 * test_postqueue.c - the list as people and as programs read it.
 * Links: postqueue/print.c
 *
 * SPDX-License-Identifier: ISC
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "postqueue/postqueue.h"

static void
add_rcpt(struct entry *m, const char *address, const char *log_class, const char *reason)
{
	struct view_rcpt *r = vec_add(&m->rcpt);

	*r = (struct view_rcpt){ .address = span_str(address), .original = SPAN_NULL, .log_class = span_str(log_class),
	    .reason = span_str(reason), .has_original = true };
}

static struct entry
sample(void)
{
	struct entry m = { .v = { .queue_name = SPAN("deferred"), .queue_id = SPAN("84F7DA8C0AE"), .sender = SPAN("alice@example.com"),
	    .time = 1795228555, .size = 291 }, .rcpt = VEC_INIT(struct view_rcpt) };

	add_rcpt(&m, "user1@example.net", "defer", "deferred transport");
	add_rcpt(&m, "user2@example.org", "defer", "deferred transport");
	add_rcpt(&m, "user3@example.org", "", "");
	return m;
}

static int
set_zone(void **state)
{
	(void)state;
	(void)setenv("TZ", "UTC", 1);
	tzset();
	return 0;
}

static void
test_text(void **state)
{
	struct entry m = sample();
	struct totals none = {0}, one = { .messages = 1, .bytes = 2047 };
	struct buf out = {0};

	(void)state;
	format_text.message(&out, &m, &none, false);
	format_text.end(&out, &one);
	assert_string_equal(buf_cstr(&out),
	    "-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------\n"
	    "84F7DA8C0AE     291 Sat Nov 21 02:35:55  alice@example.com\n"
	    "                                                          (deferred transport)\n"
	    "                                         user1@example.net\n"
	    "                                         user2@example.org\n"
	    "                                                          (reason unavailable)\n"
	    "                                         user3@example.org\n"
	    "\n-- 1 Kbytes in 1 Request.\n");
	buf_reset(&out);
	format_text.end(&out, &none);
	assert_string_equal(buf_cstr(&out), "Mail queue is empty\n");
	buf_free(&out);
	vec_free(&m.rcpt);
}

static void
test_text_marks(void **state)
{
	struct entry m = sample();
	struct totals one = { .messages = 1 };
	struct buf out = {0};

	(void)state;
	m.rcpt.n = 0;
	m.v.queue_name = SPAN("hold");
	m.v.forced_expire = true;
	format_text.message(&out, &m, &one, false);
	assert_string_equal(buf_cstr(&out), "\n84F7DA8C0AE!#     291 Sat Nov 21 02:35:55  alice@example.com\n");
	buf_reset(&out);
	m.v.queue_name = SPAN("active");
	m.v.forced_expire = false;
	m.v.queue_id = SPAN("4jWZw54Qv1z1cB7f");
	format_text.message(&out, &m, &one, true);
	assert_string_equal(buf_cstr(&out), "\n4jWZw54Qv1z1cB7f*      291 Sat Nov 21 02:35:55 alice@example.com\n");
	buf_free(&out);
	vec_free(&m.rcpt);
}

static void
test_json(void **state)
{
	struct entry m = sample();
	struct totals none = {0};
	struct buf out = {0};

	(void)state;
	m.v.sender = SPAN("\"a b\"@x\377");
	VEC_AT(&m.rcpt, struct view_rcpt, 1)->log_class = SPAN("bounce");
	format_json.message(&out, &m, &none, false);
	assert_string_equal(buf_cstr(&out), "{\"queue_name\": \"deferred\", \"queue_id\": \"84F7DA8C0AE\", "
	    "\"arrival_time\": 1795228555, \"message_size\": 291, \"forced_expire\": false, \"sender\": \"\\\"a b\\\"@x?\", "
	    "\"recipients\": [{\"orig_address\": \"\", \"address\": \"user1@example.net\", \"delay_reason\": \"deferred transport\"}, "
	    "{\"orig_address\": \"\", \"address\": \"user2@example.org\", \"bounce_reason\": \"deferred transport\"}, "
	    "{\"orig_address\": \"\", \"address\": \"user3@example.org\"}]}\n");
	buf_free(&out);
	vec_free(&m.rcpt);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_text_marks),
		cmocka_unit_test(test_json),
	};

	return cmocka_run_group_tests(tests, set_zone, NULL);
}
