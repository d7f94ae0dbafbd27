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

#include <cmocka.h>

#include "cleanup/cleanup.h"
#include "conf/conf.h"
#include "mail/mime.h"

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
	for (int i = 0; i < 5; i++)
		mime_header(&m, SPAN("Content-Type"), SPAN(" multipart/mixed; boundary=0123456789012345678901234567890"));
	assert_int_equal(m.levels.n, 3);
	assert_true(m.too_deep);
	mime_header_end(&m);
	assert_true(mime_boundary(&m, SPAN("--01234567890123456789 only so much counts")));
	mime_free(&m);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_masquerade), cmocka_unit_test(test_mime_structure), cmocka_unit_test(test_mime_limits),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
