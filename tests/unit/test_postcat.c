/*
 * test_postcat.c - records as text, header and body told apart.
 * Links: postcat/record.c postcat/text.c
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

#include "postcat/postcat.h"

static const struct {
	enum rec_type type;
	const char *payload, *want;	/* want NULL: malformed */
} records[] = {
	{ REC_FROM, "a@example.com", "sender: a@example.com\n" },
	{ REC_FROM, "", "sender: \n" },
	{ REC_TIME, "1795228618 5", "message_arrival_time: Sat Nov 21 02:36:58 2026\n" },
	{ REC_WARN, "             -1", "warning_message_time: Wed Dec 31 23:59:59 1969\n" },
	{ REC_ATTR, "create_time=1795228618", "create_time: Sat Nov 21 02:36:58 2026\n" },
	{ REC_ATTR, "a = b ", "named_attribute: a=b\n" },
	{ REC_ATTR, "junk", NULL },
	{ 'm', "2", "unknown_record_type: 2\n" },
};

static void
test_records(void **state)
{
	(void)state;
	(void)setenv("TZ", "UTC", 1);
	tzset();
	for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
		struct rec r = { .type = records[i].type, .payload = span_str(records[i].payload) };
		struct buf out = {0};
		struct err e = {0};

		assert_int_equal(record_text(&r, &out, &e), records[i].want != NULL);
		if (records[i].want != NULL)
			assert_string_equal(buf_cstr(&out), records[i].want);
		buf_free(&out);
	}
}

/* Verdicts for a message, one letter a record: s(how), k(skip), e(nough). */
static const struct {
	unsigned flags;
	const char *lines[8];		/* a '+' in front: a piece that goes on in the next record */
	const char *want;
} texts[] = {
	{ SHOW_HEADER, { "A: b", "\tc", "", "body" }, "ssee" },
	{ SHOW_BODY, { "A: b", "\tc", "", "body: x" }, "kkss" },
	{ SHOW_ALL, { "A: b", "", "x" }, "sss" },
	{ 0, { "A: b" }, "e" },
	{ SHOW_HEADER, { "A: b", "no header" }, "se" },
	{ SHOW_HEADER, { "+A: b", "+rest", "end", "" }, "ssse" },
	{ SHOW_BODY, { " blank first", "A : b", "From x" }, "kks" },
};

static void
test_texts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct text_filter f = { .flags = texts[i].flags };

		for (size_t k = 0; texts[i].lines[k] != NULL; k++) {
			struct span line = span_str(texts[i].lines[k]);
			struct rec r = { .type = span_take_byte(&line, '+') ? REC_CONT : REC_NORM, .payload = line };

			assert_int_equal("ske"[text_filter_next(&f, &r)], texts[i].want[k]);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
