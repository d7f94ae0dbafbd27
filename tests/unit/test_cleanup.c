/*
 * test_cleanup.c - masquerading; where in the MIME structure of a message a line stands.
 * Links: cleanup/map_masquerade.c
 *
 * SPDX-License-Identifier: ISC
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cleanup/cleanup.h"
#include "conf/conf.h"
#include "mail/mime.h"
#include "mail/mime_7bit.h"

static struct arena *mem;

static int
setup(void **state)
{
	(void)state;
	mem = arena_new();
	conf.mime_nesting_limit = 3;
	conf.mime_boundary_length_limit = 20;
	return 0;
}

static int teardown(void **state) { (void)state; arena_free(&mem); return 0; }

static void
test_masquerade(void **state)
{
	static const char domains[] = "example.test, !sub.masq.test, masq.test";
	static const struct { const char *in, *want; } row[] = {
		{ "a@host.example.test", "a@example.test" }, { "a@example.test", "a@example.test" },
		{ "s@sub.masq.test", "s@sub.masq.test" }, { "s@a.sub.masq.test", "s@a.sub.masq.test" },
		{ "s@a.masq.test", "s@masq.test" }, { "s@MASQ.test", "s@MASQ.test" }, { "s@A.MASQ.test", "s@masq.test" },
		{ "root@h.masq.test", "root@h.masq.test" }, { "a@notmasq.test", "a@notmasq.test" }, { "a", "a" }, { "", "" },
		{ "a@b@h.masq.test", "a@b@masq.test" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++)
		assert_string_equal(span_cstr(masquerade(span_str(row[i].in), domains, "root", mem), mem), row[i].want);
}

/* One letter a line: P(rimary), p(art), n(ested), b(ody) for where it stands; '-' a boundary; '/' ends a header. */
static void
walk(const char *const *lines, size_t n, const char *want)
{
	static const char letters[] = { [MIME_PRIMARY] = 'P', [MIME_PART] = 'p', [MIME_NESTED] = 'n', [MIME_BODY] = 'b' };
	struct mime m;

	mime_init(&m);
	for (size_t i = 0; i < n; i++) {
		struct span line = span_str(lines[i]), name;
		char at = letters[m.state];

		if (m.state != MIME_PRIMARY && mime_boundary(&m, line)) {
			at = '-';
		} else if (m.state != MIME_BODY && line.n == 0) {
			mime_header_end(&m);
			at = '/';
		} else if (m.state != MIME_BODY && span_take_until(&line, ':', &name)) {
			mime_header(&m, name, line);
		}
		assert_int_equal(at, want[i]);
	}
	mime_free(&m);
}

static void
test_mime_structure(void **state)
{
	static const char *const nested[] = {
		"Content-Type: multipart/mixed; boundary=b1", "", "pre", "--b1", "Content-Type: text/plain", "", "one", "--b1",
		"Content-Type: message/rfc822", "", "Subject: in", "Content-Type: multipart/alternative; boundary=\"b 2\"", "", "x", "--b 2",
		"", "y", "--b 2--", "z", "--b1--", "post", "--b1",
	};
	static const char *const digest[] = {
		"content-type: Multipart/Digest; a=\"b;c\"; (x;y) boundary = q", "", "--q", "", "Subject: x", "", "t", "--qx trailing", "--q--",
	};
	static const char *const flat[] = { "Content-Type: multipart/mixed", "", "--", "--b" };

	(void)state;
	walk(nested, sizeof nested / sizeof nested[0], "P/b-p/b-p/nn/b-/b-b-bb");
	walk(digest, sizeof digest / sizeof digest[0], "P/-/n/b--");
	walk(flat, sizeof flat / sizeof flat[0], "P/bb");
}

static void
test_mime_limits(void **state)
{
	struct mime m;

	(void)state;
	mime_init(&m);
	for (int i = 0; i < 9; i++)
		mime_header(&m, SPAN("Content-Type"), SPAN(" multipart/mixed; boundary=0123456789012345678901234567890"));
	assert_int_equal(m.levels.n, 5);	/* two more than the limit, as in the reference */
	assert_true(m.too_deep);
	mime_header_end(&m);
	assert_true(mime_boundary(&m, SPAN("--01234567890123456789 only so much counts")));
	mime_free(&m);
}

/* A stranger's structure: depth, the length and the number of boundaries stay within the limits. */
static void
test_mime_hostile(void **state)
{
	enum { LONG = 2000000 };
	char *text = arena_alloc(mem, LONG);
	struct mime m;

	(void)state;
	memset(text, 'b', LONG);
	memcpy(text, "multipart/x; boundary=", 22);
	mime_init(&m);
	mime_header(&m, SPAN("Content-Type"), span(text, LONG));
	mime_header_end(&m);
	assert_int_equal(m.levels.n, 1);
	assert_true(mime_boundary(&m, SPAN("--bbbbbbbbbbbbbbbbbbbb")));
	assert_false(mime_boundary(&m, SPAN("--bbbbbbbbbbbbbbbbbbb")));
	for (size_t i = 0; i + 11 <= LONG; i += 11)
		memcpy(text + i, ";boundary=b", 11);
	memcpy(text, "multipart/x", 11);
	mime_header(&m, SPAN("Content-Type"), span(text, LONG / 11 * 11));
	assert_true(m.levels.n <= 5);
	assert_true(m.too_deep);
	memset(text, '(', LONG);
	mime_header(&m, SPAN("Content-Type"), span(text, LONG));
	memset(text, '"', LONG);
	memcpy(text, "multipart/x;boundary=", 21);
	mime_header(&m, SPAN("Content-Type"), span(text, LONG));
	for (int i = 0; i < 100000; i++) {
		mime_header(&m, SPAN("Content-Type"), SPAN("message/rfc822"));
		mime_header_end(&m);
	}
	assert_true(m.levels.n <= 5);
	mime_free(&m);
}

static void
convert(const char *in, const char *want)
{
	struct span text = span_str(in), line;
	struct mime_7bit c;
	struct buf out = {0};

	mime_7bit_init(&c);
	while (span_take_until(&text, '\n', &line)) {
		size_t half = span_starts(line, SPAN("--")) ? line.n : line.n / 2;	/* pieces, as from a queue file */

		mime_7bit_add(&c, span_to(line, half), false, &out);
		mime_7bit_add(&c, span_from(line, half), true, &out);
	}
	mime_7bit_end(&c, &out);
	assert_string_equal(buf_cstr(&out), want);
	buf_free(&out);
	mime_7bit_free(&c);
}

static void
test_mime_7bit(void **state)
{
	(void)state;
	convert("Content-Transfer-Encoding: 8bit\nA: b\n\nh\303\251 = \nend\t\n",
	    "A: b\nContent-Transfer-Encoding: quoted-printable\n\nh=C3=A9 =3D=20\nend=09\n");
	convert("A: b\n\nh\303\251 = \n", "A: b\n\nh\303\251 = \n");
	convert("Content-Transfer-Encoding: 8bit\n", "Content-Transfer-Encoding: quoted-printable\n");
	convert("Content-Type: multipart/mixed; boundary=b\n\n\303\n--b\nContent-Transfer-Encoding: binary\n\n\303\n--b--\n\303\n",
	    "Content-Type: multipart/mixed; boundary=b\n\n\303\n--b\nContent-Transfer-Encoding: quoted-printable\n\n=C3\n--b--\n\303\n");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_masquerade), cmocka_unit_test(test_mime_structure), cmocka_unit_test(test_mime_limits),
		cmocka_unit_test(test_mime_hostile), cmocka_unit_test(test_mime_7bit),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
