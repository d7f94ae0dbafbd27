/*
 * test_base.c - spans, buffers, arenas, vectors, heaps, hashes, errors, dates.
 *
 * SPDX-License-Identifier: ISC
 */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/heap.h"
#include "base/span.h"
#include "base/vec.h"

static struct arena *mem;

static int setup(void **state) { (void)state; mem = arena_new(); return 0; }
static int teardown(void **state) { (void)state; arena_free(&mem); return 0; }

static void
assert_span(struct span got, const char *want)
{
	assert_string_equal(span_cstr(got, mem), want);
	assert_int_equal(got.n, strlen(want));
}

static void
test_compare(void **state)
{
	(void)state;
	assert_true(span_eq(SPAN("abc"), SPAN("abc")));
	assert_false(span_eq(SPAN("abc"), SPAN("ab")));
	assert_true(span_ieq(SPAN("AbC"), SPAN("aBc")));
	assert_false(span_ieq(SPAN("a["), SPAN("a{")));		/* only letters fold */
	assert_true(span_eq(SPAN_NULL, SPAN("")));
	assert_true(span_cmp(SPAN("a"), SPAN("ab")) < 0);
	assert_true(span_cmp(SPAN("b"), SPAN("ab")) > 0);
	assert_true(span_icmp(SPAN("\xff"), SPAN("a")) > 0);	/* bytes count as unsigned */
	assert_true(span_starts(SPAN("abc"), SPAN("ab")) && !span_starts(SPAN("a"), SPAN("ab")));
	assert_true(span_iends(SPAN("x.COM"), SPAN(".com")));
}

static void
test_find(void **state)
{
	(void)state;
	assert_int_equal(span_find(SPAN("a=b=c"), '='), 1);
	assert_int_equal(span_rfind(SPAN("a=b=c"), '='), 3);
	assert_int_equal(span_find(SPAN("abc"), 'x'), 3);
	assert_int_equal(span_find(SPAN_NULL, 'x'), 0);
	assert_int_equal(span_find_any(SPAN("ab:c,"), ",:"), 2);
	assert_int_equal(span_find_any(span("a\0b", 3), ",:"), 3);	/* NUL is in no set */
	assert_int_equal(span_find_span(SPAN("hello"), SPAN("ll")), 2);
}

static void
test_take(void **state)
{
	struct span in = SPAN("one=two\r\nthree"), a, before;

	(void)state;
	assert_true(span_take_until(&in, '=', &a));
	assert_span(a, "one");
	assert_true(span_take_line(&in, &a));
	assert_span(a, "two");
	assert_true(span_take_line(&in, &a));
	assert_span(a, "three");
	assert_false(span_take_line(&in, &a));
	in = before = SPAN("no separator");
	assert_false(span_take_until(&in, '=', &a));
	assert_ptr_equal(in.p, before.p);		/* untouched on failure */
	assert_int_equal(in.n, before.n);
	in = SPAN(" a, {b c, {d}} e");
	assert_true(span_take_word_braced(&in, ", ", &a));
	assert_span(a, "a");
	assert_true(span_take_word_braced(&in, ", ", &a));
	assert_span(a, "{b c, {d}}");
	assert_true(span_take_word_braced(&in, ", ", &a));
	assert_span(a, "e");
	assert_false(span_take_word_braced(&in, ", ", &a));
}

static void
test_numbers(void **state)
{
	static const struct { const char *text; bool ok; int64_t want; } row[] = {
		{ "0", true, 0 }, { "-1", true, -1 }, { "+7", true, 7 }, { "9223372036854775807", true, INT64_MAX },
		{ "9223372036854775808", false, 0 }, { "18446744073709551616", false, 0 }, { "", false, 0 }, { "-", false, 0 },
		{ "1x", false, 0 }, { " 1", false, 0 }, { "--1", false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		int64_t got = 42;

		assert_int_equal(span_to_i64(span_str(row[i].text), &got), row[i].ok);
		assert_int_equal(got, row[i].ok ? row[i].want : 42);
	}
	static const int64_t back[] = { 0, 9, 10, -1, -10, 1795225759, INT64_MAX, INT64_MIN };

	for (size_t i = 0; i < sizeof back / sizeof *back; i++) {
		char room[SPAN_I64_ROOM];

		assert_true(span_is(span_i64(back[i], room), arena_printf(mem, "%" PRId64, back[i])));
	}
}

static void
test_utf8(void **state)
{
	static const struct { const char *text; bool valid; } row[] = {
		{ "plain", true }, { "f\xc3\xa4r", true }, { "\xe2\x82\xac", true }, { "\xf0\x9f\x98\x80", true },
		{ "\xc0\xaf", false },			/* overlong */
		{ "\xe0\x80\xaf", false }, { "\xed\xa0\x80", false },	/* surrogate */
		{ "\xf4\x90\x80\x80", false }, { "\xc3", false }, { "\xff", false }, { "\x80", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof *row; i++)
		assert_int_equal(span_valid_utf8(span_str(row[i].text)), row[i].valid);
	assert_span(span_printable(SPAN("a\tb\x7f"), mem), "a?b?");
	assert_span(span_printable(SPAN("f\xc3\xa4r\n"), mem), "f\xc3\xa4r?");
	assert_span(span_printable(SPAN("f\xe4r"), mem), "f?r");
}

static void
test_buf(void **state)
{
	struct buf b = {0};

	(void)state;
	assert_string_equal(buf_cstr(&b), "");
	for (int i = 0; i < 1000; i++)
		buf_printf(&b, "%d,", i % 10);
	assert_int_equal(b.n, 2000);
	buf_add(&b, b.p, b.n);			/* from inside itself, while it grows */
	assert_int_equal(b.n, 4000);
	assert_memory_equal(b.p, b.p + 2000, 2000);
	buf_drop(&b, 3998);
	assert_string_equal(buf_cstr(&b), "9,");
	buf_cut(&b, 1);
	assert_string_equal(buf_cstr(&b), "9");
	buf_free(&b);
}

static void
test_arena(void **state)
{
	struct arena *a = arena_new();

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (size_t n = 1; n < 3000; n += 97) {
			char *p = arena_alloc(a, n);

			assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
			for (size_t i = 0; i < n; i++)
				assert_int_equal(p[i], 0);	/* zeroed, after a reset too */
			memset(p, 0xaa, n);
		}
		arena_reset(a);
		assert_int_equal(arena_used(a), 0);
	}
	assert_string_equal(arena_printf(a, "%s-%d", "x", 7), "x-7");
	arena_free(&a);
	assert_null(a);
	arena_free(&a);
}

struct item {
	int value;
	size_t place;
};

static bool
smaller(const void *a, const void *b)
{
	return ((const struct item *)a)->value < ((const struct item *)b)->value;
}

/* Everything comes out in order, whatever was removed or changed in between. */
static void
test_heap(void **state)
{
	static struct item items[200];
	struct heap h = HEAP_INIT(struct item, place, smaller);
	unsigned random = 1;
	int last = INT_MIN, n = 0;

	(void)state;
	for (size_t i = 0; i < 200; i++) {
		items[i].value = (int)((random = random * 1103515245u + 12345u) >> 16 & 1023u);
		heap_add(&h, &items[i]);
	}
	for (size_t i = 0; i < 200; i += 3)
		heap_remove(&h, &items[i]);
	heap_remove(&h, &items[0]);
	for (size_t i = 1; i < 200; i += 3) {
		items[i].value = 1023 - items[i].value;
		heap_moved(&h, &items[i]);
	}
	for (struct item *e; (e = heap_first(&h)) != NULL; last = e->value, n++) {
		assert_true(e->value >= last);
		heap_remove(&h, e);
		assert_int_equal(e->place, 0);
	}
	assert_int_equal(n, 133);
	heap_free(&h);
}

static void
test_vec(void **state)
{
	struct vec v = VEC_INIT(int);

	(void)state;
	for (int i = 0; i < 100; i++)
		*(int *)vec_add(&v) = i;
	vec_remove(&v, 0);
	vec_remove(&v, 98);
	assert_int_equal(v.n, 98);
	assert_int_equal(*VEC_AT(&v, int, 0), 1);
	assert_int_equal(*VEC_AT(&v, int, 97), 98);
	vec_free(&v);
}

static void
test_hash(void **state)
{
	struct hash *h = hash_new();
	static int values[2000];
	size_t pos = 0, seen = 0;
	struct span key;
	void *value;

	(void)state;
	assert_null(hash_get(h, SPAN("x")));
	for (int i = 0; i < 2000; i++)
		assert_null(hash_put(h, span_str(arena_printf(mem, "key%d", i)), &values[i]));
	assert_ptr_equal(hash_put(h, SPAN("key7"), &values[0]), &values[7]);
	for (int i = 0; i < 2000; i += 2)
		assert_non_null(hash_remove(h, span_str(arena_printf(mem, "key%d", i))));
	assert_int_equal(hash_count(h), 1000);
	struct hash *cleared = hash_new();

	hash_clear(cleared);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 20; i++)
			assert_null(hash_put(cleared, span_str(arena_printf(mem, "%d", i)), h));
		(void)hash_remove(cleared, SPAN("3"));
		hash_clear(cleared);
		assert_int_equal(hash_count(cleared), 0);
		assert_null(hash_get(cleared, SPAN("7")));
	}
	hash_free(&cleared, NULL);
	assert_null(hash_get(h, SPAN("key8")));
	assert_ptr_equal(hash_get(h, SPAN("key9")), &values[9]);
	for (int i = 0; i < 5000; i++) {	/* holes are reused, not piled up */
		(void)hash_put(h, SPAN("again"), h);
		(void)hash_remove(h, SPAN("again"));
	}
	while (hash_next(h, &pos, &key, &value)) {
		assert_ptr_equal(hash_get(h, key), value);
		(void)hash_remove(h, key);
		seen++;
	}
	assert_int_equal(seen, 1000);
	hash_free(&h, NULL);
}

static void
test_err(void **state)
{
	struct err e = {0};

	(void)state;
	assert_false(err_temp(&e, "a\nb %d", 1));
	assert_int_equal(e.kind, ERR_TEMPORARY);
	assert_string_equal(e.text, "a?b 1");
	assert_false(err_perm(NULL, "nobody asked"));
}

static void
test_date(void **state)
{
	char date[64];

	(void)state;
	(void)setenv("TZ", "EST5", 1);
	tzset();
	clock_mail_date(1795225759, date, sizeof date);
	assert_string_equal(date, "Fri, 20 Nov 2026 20:49:19 -0500 (EST)");
	(void)setenv("TZ", "UTC", 1);
	tzset();
	clock_mail_date(1793934000, date, sizeof date);
	assert_string_equal(date, "Fri, 6 Nov 2026 03:00:00 +0000 (UTC)");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compare), cmocka_unit_test(test_find), cmocka_unit_test(test_take),
		cmocka_unit_test(test_numbers), cmocka_unit_test(test_utf8), cmocka_unit_test(test_buf),
		cmocka_unit_test(test_arena), cmocka_unit_test(test_vec), cmocka_unit_test(test_heap), cmocka_unit_test(test_hash),
		cmocka_unit_test(test_err), cmocka_unit_test(test_date),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
