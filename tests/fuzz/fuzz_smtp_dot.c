/*
 * fuzz_smtp_dot.c - content: cutting the input anywhere gives the same text; what is encoded is decoded to itself.
 *
 * SPDX-License-Identifier: ISC
 */
#include <assert.h>
#include <stdint.h>

#include "smtp/dot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_cut(struct span all, size_t cut, bool lenient)
{
	struct smtp_dot_in whole = { .lenient = lenient }, parts = { .lenient = lenient };
	struct buf a = {0}, b = {0};
	struct span in = all, first = span_to(all, cut), second = span_from(all, cut);
	bool end = smtp_dot_decode(&whole, &in, &a);
	bool end_parts = smtp_dot_decode(&parts, &first, &b) || smtp_dot_decode(&parts, &second, &b);

	assert(end == end_parts && span_eq(buf_view(&a), buf_view(&b)));
	buf_free(&a);
	buf_free(&b);
}

static void
check_round_trip(struct span text)
{
	struct smtp_dot_out out = {0};
	struct smtp_dot_in in = {0};
	struct buf wire = {0}, back = {0}, want = {0};
	struct span rest = text, line;

	while (span_take_line(&rest, &line)) {
		smtp_dot_encode(&out, line, true, &wire);
		for (size_t i = 0; i < line.n; i++)
			buf_byte(&want, line.p[i] == '\r' ? ' ' : line.p[i]);
		buf_byte(&want, '\n');
	}
	smtp_dot_end(&out, &wire);
	rest = buf_view(&wire);
	assert(smtp_dot_decode(&in, &rest, &back) && rest.n == 0);
	assert(span_eq(buf_view(&back), buf_view(&want)) && !in.bare_lf);
	buf_free(&wire);
	buf_free(&back);
	buf_free(&want);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span((const char *)data, size);

	if (size < 2)
		return 0;
	check_cut(span_from(in, 1), data[0], false);
	check_cut(span_from(in, 1), data[0], true);
	check_round_trip(in);
	return 0;
}
