/*
 * test_map_hosts.c - which server of a table is asked next.
 *
 * SPDX-License-Identifier: ISC
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "map/hosts.h"

static int closed;

static void
count_close(void *connection)
{
	(void)connection;
	closed++;
}

static const char *
next(struct hosts *h)
{
	const struct host *one = hosts_next(h);

	return one != NULL ? one->where : "none";
}

static struct host *
by_name(const struct hosts *h, const char *name)
{
	for (size_t i = 0; i < h->list.n; i++)
		if (strcmp((*VEC_AT(&h->list, struct host *, i))->name, name) == 0)
			return *VEC_AT(&h->list, struct host *, i);
	return NULL;
}

static void
test_order(void **state)
{
	struct hosts h;

	(void)state;
	closed = 0;
	hosts_open(&h, "inet:a:1, unix:/b c:2", 60, 60, count_close);
	hosts_start(&h);
	assert_string_equal(next(&h), "/b");		/* a socket first, then one of the others, each once */
	by_name(&h, "unix:/b")->connection = &h;
	hosts_failed(&h, by_name(&h, "unix:/b"));
	assert_int_equal(closed, 1);
	const char *second = next(&h);

	assert_true(strcmp(second, "a:1") == 0 || strcmp(second, "c:2") == 0);
	assert_string_not_equal(next(&h), second);
	assert_string_equal(next(&h), "none");

	hosts_connected(&h, by_name(&h, "c:2"));
	hosts_start(&h);
	assert_string_equal(next(&h), "c:2");		/* connected before untried; the failed one rests */
	assert_string_equal(next(&h), "a:1");
	assert_string_equal(next(&h), "none");
	hosts_free(&h);
}

static void
test_times(void **state)
{
	struct hosts h;

	(void)state;
	closed = 0;
	hosts_open(&h, "a", 0, 0, count_close);
	assert_int_equal(h.list.n, 2);			/* one host has two chances */
	hosts_start(&h);
	for (int i = 0; i < 2; i++)
		hosts_failed(&h, hosts_next(&h));
	assert_string_equal(next(&h), "none");
	hosts_start(&h);				/* the rest of 0 seconds is over */
	assert_string_equal(next(&h), "a");
	struct host *one = by_name(&h, "a");

	one->connection = &h;
	hosts_connected(&h, one);
	one->until -= 1;				/* idle for too long */
	hosts_start(&h);
	assert_int_equal(closed, 1);
	assert_null(one->connection);
	hosts_free(&h);
}

/* A forked process does not use, and does not close, what its parent has connected. */
static void
test_fork(void **state)
{
	struct hosts h;
	int status = 1;

	(void)state;
	closed = 0;
	hosts_open(&h, "a b", 60, 60, count_close);
	by_name(&h, "a")->connection = &h;
	hosts_connected(&h, by_name(&h, "a"));
	const pid_t pid = fork();

	if (pid == 0) {
		hosts_start(&h);
		_exit(by_name(&h, "a")->connection == NULL && closed == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_non_null(by_name(&h, "a")->connection);
	hosts_free(&h);
	assert_int_equal(closed, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_order), cmocka_unit_test(test_times), cmocka_unit_test(test_fork) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
