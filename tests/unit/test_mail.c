/*
 * test_mail.c - queue file records, queue IDs, status codes, delays in the log.
 *
 * SPDX-License-Identifier: ISC
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "conf/conf.h"
#include "mail/delivery_log.h"
#include "mail/dsn.h"
#include "mail/queue.h"
#include "mail/rec.h"
#include "mail/rewrite.h"

static struct arena *mem;

static int
setup(void **state)
{
	(void)state;
	mem = arena_new();
	log_init("test", 0);
	conf.hash_queue_names = "deferred, defer";
	conf.hash_queue_depth = 1;
	return 0;
}

static int teardown(void **state) { (void)state; arena_free(&mem); return 0; }

static void
test_record_lengths(void **state)
{
	static const struct { size_t n; const char *header; size_t header_n; } row[] = {
		{ 0, "N\x00", 2 }, { 127, "N\x7f", 2 }, { 128, "N\x80\x01", 3 }, { 300, "N\xac\x02", 3 }, { 16384, "N\x80\x80\x01", 4 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		struct buf b = {0};
		char *text = arena_alloc(mem, row[i].n + 1);
		struct rec r;

		rec_put(&b, REC_NORM, span(text, row[i].n));
		assert_memory_equal(b.p, row[i].header, row[i].header_n);
		struct span in = buf_view(&b);

		assert_true(rec_take(&in, &r));
		assert_int_equal(r.payload.n, row[i].n);
		assert_int_equal(in.n, 0);
		in = span(b.p, b.n - 1);
		assert_false(rec_take(&in, &r));
		buf_free(&b);
	}
	struct span bad = SPAN("N\x80\x80\x80\x80\x01");	/* a fifth length byte */
	struct rec r;

	assert_false(rec_take(&bad, &r));
}

static void
test_size_record(void **state)
{
	struct rec_size s = { 349, 796, 2, 12, 349, 0 }, out;
	struct buf b = {0};
	struct span in;
	struct rec r;

	(void)state;
	rec_put_size(&b, &s);
	assert_int_equal(b.n, 97);
	assert_memory_equal(b.p, "C_            349             796               2", 49);
	in = buf_view(&b);
	assert_true(rec_take(&in, &r));
	assert_true(rec_parse_size(r.payload, &out));
	assert_memory_equal(&s, &out, sizeof s);
	assert_true(rec_parse_size(SPAN("10 20 1"), &out) && out.cont_length == 10);
	assert_false(rec_parse_size(SPAN("10 x 1"), &out));
	assert_false(rec_parse_size(SPAN("10 20"), &out));
	buf_free(&b);
}

static int
file_with(const struct buf *b)
{
	char path[] = "/tmp/test_mail.XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	(void)unlink(path);
	assert_int_equal(write(fd, b->p, b->n), b->n);
	return fd;
}

static void
test_reader_follows_pointers(void **state)
{
	struct buf b = {0};
	struct rec_reader in;
	struct rec r;
	struct err e = {0};

	(void)state;
	rec_putf(&b, REC_POINTER, "%15d", 40);		/* 0..16 */
	rec_put(&b, REC_NORM, SPAN("skipped"));		/* 17.. */
	while (b.n < 40)
		buf_byte(&b, 'x');
	rec_put(&b, REC_PAD, SPAN("0"));
	rec_put(&b, REC_NORM, SPAN("first"));
	rec_putf(&b, REC_POINTER, "%15d", 0);		/* 0 = no jump */
	rec_put(&b, REC_END, SPAN_NULL);
	int fd = file_with(&b);

	rec_reader_init(&in, fd, 0);
	assert_true(rec_next(&in, &r, &e) && r.type == REC_NORM && span_is(r.payload, "first"));
	assert_true(rec_next(&in, &r, &e) && r.type == REC_END);
	assert_false(rec_next(&in, &r, &e));
	assert_int_equal(e.kind, ERR_PERMANENT);
	rec_reader_free(&in);
	(void)close(fd);
	buf_free(&b);
}

static void
test_reader_ends_loops(void **state)
{
	static const char *const targets[] = { "              0x", "             -17", "99999999999999999" };
	struct buf b = {0};
	struct rec_reader in;
	struct rec r;
	struct err e = {0};

	(void)state;
	rec_put(&b, REC_NORM, SPAN("x"));
	rec_putf(&b, REC_POINTER, "%15d", 0);
	b.n -= 15;
	buf_printf(&b, "%15d", 3);			/* to itself */
	int fd = file_with(&b);

	rec_reader_init(&in, fd, 0);
	while (rec_next(&in, &r, &e))
		continue;
	assert_string_equal(e.text, "queue file has a pointer loop");
	rec_reader_free(&in);
	(void)close(fd);
	for (size_t i = 0; i < 3; i++) {
		buf_reset(&b);
		rec_put(&b, REC_POINTER, span_str(targets[i]));
		fd = file_with(&b);
		rec_reader_init(&in, fd, 0);
		assert_false(rec_next(&in, &r, &e));
		assert_int_equal(e.kind, ERR_PERMANENT);
		rec_reader_free(&in);
		(void)close(fd);
	}
	buf_free(&b);
}

static void
test_types(void **state)
{
	(void)state;
	assert_true(rec_type_in(REC_RCPT, "RD/"));
	assert_false(rec_type_in((enum rec_type)0, "RD/"));	/* the string's own end is no type */
}

static void
test_queue_ids(void **state)
{
	char id[QUEUE_ID_MAX], path[QUEUE_PATH_MAX], long_path[QUEUE_PATH_MAX];
	uint64_t inode;

	(void)state;
	conf.enable_long_queue_ids = false;
	queue_id_make(id, (struct timeval){ 1795225759, 0x5A9D9 }, 0xA866CB);
	assert_string_equal(id, "5A9D9A866CB");
	assert_true(queue_id_inode(span_str(id), &inode) && inode == 0xA866CB);
	conf.enable_long_queue_ids = true;
	queue_id_make(id, (struct timeval){ 1795225957, 624365 }, 11036434);
	assert_string_equal(id, "4jWZw54Qv1z1cB7f");
	assert_true(queue_id_is_long(span_str(id)));
	assert_true(queue_id_inode(span_str(id), &inode) && inode == 11036434);
	queue_path(path, "deferred", id);
	assert_string_equal(path, "deferred/9/4jWZw54Qv1z1cB7f");	/* by the short form of the microseconds */
	queue_path(path, "deferred", "5A9D9A866CB");
	assert_string_equal(path, "deferred/5/5A9D9A866CB");
	queue_path(path, "active", "5A9D9A866CB");
	assert_string_equal(path, "active/5A9D9A866CB");
	memset(path, 'A', sizeof path);
	path[255] = '\0';
	queue_path(long_path, "deferred", path);
	assert_int_equal(strlen(long_path), strlen("deferred/A/") + 255);
	assert_false(queue_id_valid(SPAN("")));
	assert_false(queue_id_valid(SPAN("../x")));
	assert_false(queue_id_valid(SPAN("a.b")));
	assert_true(queue_id_valid(SPAN("5A9D9A866CB")));
}

static void
test_dsn(void **state)
{
	static const struct { const char *text; bool ok; const char *rest; } row[] = {
		{ "2.1.5 Ok", true, " Ok" }, { "5.7.1", true, "" }, { "4.123.999 x", true, " x" }, { "3.1.1 x", false, NULL },
		{ "2.1 x", false, NULL }, { "5.1.1x", false, NULL }, { "5.1234.1 x", false, NULL }, { "", false, NULL },
		{ "5..1 x", false, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		struct span in = span_str(row[i].text);
		struct dsn d = { 9, 9, 9 };

		assert_int_equal(dsn_take(&in, &d), row[i].ok);
		if (row[i].ok)
			assert_true(span_is(in, row[i].rest));
		else
			assert_true(d.class == 9 && in.p == row[i].text);
	}
	struct dsn_text t = dsn_split(SPAN("5.2.2 mailbox full "), (struct dsn){ 4, 0, 0 });

	assert_int_equal(t.code.class, 5);
	assert_true(span_is(t.reason, "mailbox full"));
}

static void
test_delays(void **state)
{
	static const struct { double seconds; const char *want; } row[] = {
		{ 0, "0" }, { -3, "0" }, { 0.004, "0" }, { 0.005, "0.01" }, { 0.01, "0.01" }, { 0.1, "0.1" }, { 0.574, "0.57" },
		{ 1.34, "1.3" }, { 9.8, "9.8" }, { 12.4, "12" }, { 432001, "432001" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof *row; i++)
		assert_string_equal(delay_text(row[i].seconds, 2, mem), row[i].want);
}

static void
test_standard_addresses(void **state)
{
	(void)state;
	assert_true(rewrite_is_standard(SPAN("a.b+c@example.com")));
	assert_false(rewrite_is_standard(SPAN("a@b")));			/* append_dot_mydomain may apply */
	assert_false(rewrite_is_standard(SPAN("a%b@example.com")));
	assert_false(rewrite_is_standard(SPAN("x!a@example.com")));
	assert_false(rewrite_is_standard(SPAN("a@example.com.")));
	assert_false(rewrite_is_standard(SPAN("a..b@example.com")));
	assert_false(rewrite_is_standard(SPAN("\"a\"@example.com")));
	assert_false(rewrite_is_standard(SPAN("@example.com")));
	assert_false(rewrite_is_standard(SPAN("a@b@example.com")));
	assert_false(rewrite_is_standard(SPAN("a@[192.0.2.1]")));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_record_lengths), cmocka_unit_test(test_size_record),
		cmocka_unit_test(test_reader_follows_pointers), cmocka_unit_test(test_reader_ends_loops),
		cmocka_unit_test(test_types), cmocka_unit_test(test_queue_ids), cmocka_unit_test(test_dsn),
		cmocka_unit_test(test_delays), cmocka_unit_test(test_standard_addresses),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
