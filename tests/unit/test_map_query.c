/*
 * test_map_query.c - templates, results and parameters of tables with a configuration file; servers that do not answer.
 *
 * SPDX-License-Identifier: ISC
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "io/sock.h"
#include "map/peer.h"
#include "map/query.h"

static char directory[] = "/tmp/test_map_query.XXXXXX";
static struct arena *mem;

static const char *
file(const char *name, const char *text)
{
	const char *path = arena_printf(mem, "%s/%s", directory, name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	(void)fputs(text, f);
	(void)fclose(f);
	return path;
}

static int
setup(void **state)
{
	struct err e = {0};

	(void)state;
	log_init("test", 0);
	mem = arena_new();
	if (mkdtemp(directory) == NULL)
		return 1;
	(void)file("main.cf", "compatibility_level = 3.11\nx = t\nold_query = SELECT $x\nold_expansion_limit = 7\nold_yes = YES\n");
	return conf_load(directory, &e) ? 0 : 1;
}

static int
teardown(void **state)
{
	(void)state;
	conf_reset();
	const int rc = system(arena_printf(mem, "rm -rf %s", directory));

	arena_free(&mem);
	return rc;
}

/* Doubles quotes; refuses '!', as a quoting function may. */
static bool
quote(struct span text, struct buf *out, void *arg)
{
	(void)arg;
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '!')
			return false;
		if (text.p[i] == '\'')
			buf_byte(out, '\'');
		buf_byte(out, text.p[i]);
	}
	return true;
}

/* want NULL: suppressed. value NULL: a query. */
static const struct {
	const char *template, *key, *value, *want;
} fills[] = {
	{ "'%s'", "o'x", NULL, "'o''x'" },
	{ "%s", "a!b", NULL, NULL },
	{ "%u-%d-%1-%2-%S-%%", "a@b@c.org", NULL, "a@b-c.org-org-c-a@b@c.org-%" },
	{ "%u", "bare", NULL, "bare" },
	{ "%d", "bare", NULL, NULL },
	{ "%1", "bare", NULL, NULL },
	{ "%u", "@x.org", NULL, NULL },
	{ "%d", "@x.org", NULL, "x.org" },
	{ "%3", "u@x.org", NULL, NULL },
	{ "%9%8%7%6%5%4%3%2%1", "u@1.2.3.4.5.6.7.8.9", NULL, "123456789" },
	{ "%2", "u@.org", NULL, NULL },
	{ "<%s|%u|%d|%S|%U|%D|%1>", "k@y.z", "v@w", "<v@w|v|w|k@y.z|k|y.z|z>" },
	{ "%d", "k@y.z", "unqualified", NULL },
	{ "%u", "k@y.z", "unqualified", "unqualified" },
	{ "%D", "k", "v@w", NULL },
	{ "const", "k", "v", "const" },
};

static void
test_fill(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof fills / sizeof *fills; i++) {
		const struct span value = span_str(fills[i].value);
		struct buf out = {0};
		const bool ok = query_fill(fills[i].template, span_str(fills[i].key), fills[i].value != NULL ? &value : NULL,
		    fills[i].value != NULL ? NULL : quote, NULL, &out);

		assert_int_equal(ok, fills[i].want != NULL);
		if (ok)
			assert_string_equal(buf_cstr(&out), fills[i].want);
		buf_free(&out);
	}
}

static void
test_check(void **state)
{
	struct err e = {0};
	bool whole;

	(void)state;
	assert_true(query_check("a %s %S %%", "n", "query", &whole, &e) && whole);
	assert_true(query_check("a %s %u", "n", "query", &whole, &e) && !whole);
	assert_true(query_check("%1", "n", "query", &whole, &e) && !whole);
	assert_false(query_check("a%", "n", "query", &whole, &e));
	assert_string_equal(e.text, "db_common_parse: n: Invalid query template: a%");
	assert_false(query_check("%0", "n", "result", &whole, &e));
	assert_string_equal(e.text, "db_common_parse: n: Invalid result template: %0");
}

static void
test_result(void **state)
{
	const char *path = file("result.cf", "result_format = <%s>\nexpansion_limit = 2\ndomain = x.org\n");
	struct map m = { .spec = (char *)(uintptr_t)"t:n", .name = "n" };
	struct query q;
	struct result r = {0};
	struct table_conf c;
	struct err e = {0};
	struct span value;

	(void)state;
	assert_true(table_conf_open(&c, path, mem, &e));
	assert_true(query_open(&q, &m, &c, "%s", "f", &e));
	table_conf_close(&c);
	assert_true(m.fixed);
	assert_int_equal(query_wanted(&q, SPAN("a@x.org"), &e), MAP_FOUND);
	assert_int_equal(query_wanted(&q, SPAN("a@y.org"), &e), MAP_NOT_FOUND);
	assert_int_equal(query_wanted(&q, SPAN("@x.org"), &e), MAP_NOT_FOUND);
	assert_int_equal(query_wanted(&q, SPAN("x.org"), &e), MAP_NOT_FOUND);
	assert_int_equal(query_done(&r, mem, &value), MAP_NOT_FOUND);
	assert_true(query_add(&q, &r, SPAN("k"), SPAN("a"), &e));
	assert_true(query_add(&q, &r, SPAN("k"), SPAN(""), &e));
	assert_false(query_add(&q, &r, SPAN("k"), SPAN("a\0b"), &e));
	assert_false(query_add(&q, &r, SPAN("k"), SPAN("a\nb"), &e));
	assert_true(query_add(&q, &r, SPAN("k"), SPAN("b"), &e));
	assert_false(query_add(&q, &r, SPAN("k"), SPAN("c"), &e));
	assert_int_equal(query_done(&r, mem, &value), MAP_FOUND);
	assert_true(span_is(value, "<a>,<b>"));
	query_close(&q);
}

static const struct {
	const char *text, *why;		/* why: behind the file's name */
} bad_files[] = {
	{ "n = x\n", ": bad numerical configuration: n = x" },
	{ "n = 99999999999\n", ": bad numerical configuration: n = 99999999999" },
	{ "n = 0\n", ": invalid n parameter value 0 < 1" },
	{ "n = 10\n", ": invalid n parameter value 10 > 9" },
	{ "b = maybe\n", ": bad boolean configuration: b = maybe" },
	{ "s =\n", ": bad string length 0 < 1: s = " },
	{ "s\n", ", line 1: missing '=' after attribute name: \"s\"" },
	{ "s = x\n\n= x\n", ", line 3: missing attribute name: \"= x\"" },
};

static void
test_conf(void **state)
{
	struct table_conf c;
	struct err e = {0};

	(void)state;
	for (size_t i = 0; i < sizeof bad_files / sizeof *bad_files; i++) {
		const char *path = file("bad.cf", bad_files[i].text);

		memset(&e, 0, sizeof e);
		if (table_conf_open(&c, path, mem, &e)) {
			(void)table_conf_int(&c, "n", 5, 1, 9);
			(void)table_conf_bool(&c, "b", false);
			(void)table_conf_str(&c, "s", "x", 1);
			assert_false(table_conf_ok(&c, &e));
			table_conf_close(&c);
		}
		assert_string_equal(e.text, arena_printf(mem, "%s%s", path, bad_files[i].why));
	}
	assert_false(table_conf_open(&c, "/nosuch", mem, &e));
	assert_string_equal(e.text, "open /nosuch: No such file or directory");

	assert_true(table_conf_open(&c, "old", mem, &e));
	assert_string_equal(table_conf_str(&c, "query", NULL, 0), "SELECT t");
	assert_int_equal(table_conf_int(&c, "expansion_limit", 0, 0, 0), 7);
	assert_true(table_conf_bool(&c, "yes", false));
	assert_null(table_conf_str(&c, "nosuch", NULL, 0));
	(void)table_conf_str(&c, "dbpath", NULL, 1);
	assert_false(table_conf_ok(&c, &e));
	assert_string_equal(e.text, "bad string length 0 < 1: old_dbpath = ");
	table_conf_close(&c);

	assert_true(table_conf_open(&c, file("sql.cf", "table = t\nselect_field = v\nwhere_field = k\n"), mem, &e));
	assert_string_equal(query_sql_template(&c), "SELECT v FROM t WHERE k = '%s' ");
	table_conf_close(&c);
}

/* A server that takes connections (the kernel does) and says nothing, or says it too slowly. */
static void
test_silent_server(void **state)
{
	const char *path = arena_printf(mem, "%s/socket", directory);
	const char *const specs[] = { "tcp:127.0.0.1:%s", "socketmap:inet:127.0.0.1:%s:m", "socketmap:unix:%s:m" };
	struct sock_addr local = {0};
	const int64_t start = clock_ms();

	(void)state;
	assert_true(sock_addr_parse(SPAN("127.0.0.1"), 0, &local));
	const int inet = sock_listen_inet(&local, 8, NULL), unix_fd = sock_listen_unix(path, SOCK_STREAM, 8, NULL);

	assert_true(inet >= 0 && unix_fd >= 0 && sock_local(inet, &local));
	peer_answer_seconds = 1;
	for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
		const char *where = i < 2 ? local.port : path;
		struct buf spec = {0};
		struct err e = {0};
		struct span value, rest = span_str(specs[i]), head;

		assert_true(span_take_until(&rest, '%', &head));
		buf_printf(&spec, "%.*s%s%s", SPAN_ARG(head), where, rest.p + 1);
		struct map *m = map_open(buf_cstr(&spec), 0);

		assert_null(map_open_error(m));
		assert_int_equal(map_get(m, SPAN("key"), mem, &value, &e), MAP_FAILED);
		assert_int_equal(e.kind, ERR_TEMPORARY);
		map_close(&m);
		buf_free(&spec);
	}
	assert_in_range(clock_ms() - start, 2900, 20000);
	peer_answer_seconds = 100;
	(void)close(inet);
	(void)close(unix_fd);
}

/* A process that takes one connection on the listening socket and one question, and answers it. */
static pid_t
serve_once(int listening, const char *answer)
{
	const pid_t pid = fork();
	char question[64];

	if (pid == 0) {
		const int fd = fd_set_nonblocking(listening, false) ? accept(listening, NULL, NULL) : -1;
		const bool ok = fd >= 0 && read(fd, question, sizeof question) > 0 && write(fd, answer, strlen(answer)) > 0;

		_exit(ok ? 0 : 1);
	}
	(void)close(listening);
	return pid;
}

static void
expect_served(struct map *m, int listening, const char *answer)
{
	const pid_t pid = serve_once(listening, answer);
	struct span value;
	int status = 1;

	assert_int_equal(map_get(m, SPAN("key"), mem, &value, NULL), MAP_FOUND);
	assert_true(span_is(value, "v"));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* The server is there, is gone, is back: no restart is needed, and nothing is asked of the one that has gone. */
static void
test_server_comes_back(void **state)
{
	const char *path = arena_printf(mem, "%s/back", directory);
	struct sock_addr local = {0};
	struct span value;
	int fd;

	(void)state;
	peer_pause_ms = 0;
	assert_true(sock_addr_parse(SPAN("127.0.0.1"), 0, &local));
	fd = sock_listen_inet(&local, 8, NULL);
	assert_true(fd >= 0 && sock_local(fd, &local));
	struct map *tcp = map_open(arena_printf(mem, "tcp:127.0.0.1:%s", local.port), 0);
	struct map *unix_map = map_open(arena_printf(mem, "socketmap:unix:%s:m", path), 0);

	for (int i = 0; i < 2; i++) {
		if (i > 0)
			fd = sock_listen_inet(&local, 8, NULL);
		assert_true(fd >= 0);
		expect_served(tcp, fd, "200 v\n");
		assert_int_equal(map_get(tcp, SPAN("key"), mem, &value, NULL), MAP_FAILED);
		fd = sock_listen_unix(path, SOCK_STREAM, 8, NULL);
		assert_true(fd >= 0);
		expect_served(unix_map, fd, "4:OK v,");
		assert_int_equal(map_get(unix_map, SPAN("key"), mem, &value, NULL), MAP_FAILED);
	}
	map_close(&tcp);
	map_close(&unix_map);
	peer_pause_ms = 1000;
}

static void
test_unauthenticated(void **state)
{
	static const char *const specs[] = { "tcp:localhost:1", "socketmap:inet:localhost:1:m", "memcache:none" };

	(void)state;
	for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
		struct map *m = map_open(specs[i], MAP_PARANOID);

		assert_string_equal(map_open_error(m), arena_printf(mem, "%s map is not allowed for security-sensitive data", specs[i]));
		map_close(&m);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fill),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_result),
		cmocka_unit_test(test_conf),
		cmocka_unit_test(test_silent_server),
		cmocka_unit_test(test_server_comes_back),
		cmocka_unit_test(test_unauthenticated),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
