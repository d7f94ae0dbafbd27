/*
 * test_io.c - streams, event loop, sockets, locks, safe files, the pool; messages over a socket pair.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "io/file.h"
#include "io/loop.h"
#include "io/pool.h"
#include "io/sock.h"
#include "io/stream.h"
#include "ipc/attr.h"
#include "ipc/conn.h"
#include "ipc/ipc.h"

static struct arena *mem;
static char dir[] = "/tmp/test_io.XXXXXX";

static int
setup(void **state)
{
	(void)state;
	mem = arena_new();
	log_init("test", 0);
	return mkdtemp(dir) == NULL;
}

static int
teardown(void **state)
{
	(void)state;
	arena_free(&mem);
	return rmdir(dir);
}

static void
pair(struct stream **a, struct stream **b)
{
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	*a = stream_new(fd[0]);
	*b = stream_new(fd[1]);
}

/* The last bytes and the end of the stream. */
static void
test_finish(void **state)
{
	struct stream *a, *b;
	struct span line;

	(void)state;
	pair(&a, &b);
	stream_puts(a, "bye\n");
	assert_true(stream_finish(a));
	assert_true(stream_line(b, 4096, &line) && span_is(line, "bye\n"));
	assert_false(stream_fill(b));
	assert_int_equal(stream_state(b), STREAM_EOF);
	stream_free(&a);
	stream_free(&b);
}

static void
test_lines(void **state)
{
	struct stream *a, *b;
	struct span line;

	(void)state;
	pair(&a, &b);
	stream_puts(a, "one\r\ntwo\n");
	for (int i = 0; i < 20000; i++)
		stream_puts(a, "x");
	stream_puts(a, "\nlast");
	assert_true(stream_flush(a));
	stream_free(&a);
	assert_true(stream_line(b, 4096, &line) && span_is(line, "one\r\n"));
	assert_true(stream_line(b, 4096, &line) && span_is(line, "two\n"));
	for (int i = 0; i < 4; i++)		/* 20001 bytes in pieces of 4096 */
		assert_true(stream_line(b, 4096, &line) && line.n == 4096);
	assert_true(stream_line(b, 4096, &line) && line.n == 20001 - 4 * 4096);
	assert_true(stream_line(b, 4096, &line) && span_is(line, "last"));
	assert_false(stream_line(b, 4096, &line));
	assert_int_equal(stream_state(b), STREAM_EOF);
	stream_free(&b);
}

static void
test_timeout(void **state)
{
	struct stream *a, *b;
	struct span line;

	(void)state;
	pair(&a, &b);
	stream_set_timeout(b, 20);
	assert_false(stream_line(b, 100, &line));
	assert_int_equal(stream_state(b), STREAM_TIMEOUT);
	stream_clear_timeout(b);
	stream_puts(a, "late\n");
	assert_true(stream_flush(a));
	stream_set_timeout(b, 10000);
	assert_true(stream_line(b, 100, &line) && span_is(line, "late\n"));
	stream_free(&a);
	stream_puts(b, "nobody reads");
	assert_false(stream_flush(b));		/* and no SIGPIPE */
	stream_free(&b);
}

static int fired[3];

static void
timer_fn(void *arg, unsigned events)
{
	int *n = arg;

	assert_int_equal(events, 0);
	(*n)++;
}

static void
test_timers(void **state)
{
	struct loop *l = loop_new();
	struct timer *never;

	(void)state;
	memset(fired, 0, sizeof fired);
	(void)loop_after(l, 0, timer_fn, &fired[0]);
	never = loop_after(l, 0, timer_fn, &fired[1]);
	(void)loop_after(l, 3600000, timer_fn, &fired[2]);
	loop_cancel(&never);
	assert_null(never);
	while (fired[0] == 0)
		loop_once(l, 10);
	loop_once(l, 0);
	assert_int_equal(fired[0], 1);
	assert_int_equal(fired[1], 0);
	assert_int_equal(fired[2], 0);
	loop_free(&l);
}

struct count_task {
	struct task task;
	struct loop *loop;
	int *left;
	bool waits;			/* as on a busy disk */
	pthread_t by;
};

static void
task_work(struct task *task)
{
	struct count_task *c = (struct count_task *)task;

	c->by = pthread_self();
	if (c->waits)
		(void)poll(NULL, 0, 5);
}

static void
task_done(struct task *task)
{
	struct count_task *c = (struct count_task *)task;

	if (--*c->left == 0)
		loop_stop(c->loop);
}

static void
test_pool(void **state)
{
	static struct count_task tasks[500];
	/* The pool lives as long as the process; so does its loop. Static, so that they are no leak. */
	static struct loop *l;
	static struct pool *p;
	int left = 500;

	l = loop_new();
	p = pool_new(l, 3);

	(void)state;
	for (int i = 0; i < 500; i++) {
		tasks[i] = (struct count_task){ .task = { .work = task_work, .done = task_done }, .loop = l, .left = &left,
		    .waits = i == 250 };
		pool_submit(p, &tasks[i].task);
		assert_true(left > 0);
	}
	loop_run(l);
	assert_int_equal(left, 0);
	assert_true(pthread_equal(tasks[0].by, pthread_self()));	/* quick tasks wake no thread */
	assert_false(pthread_equal(tasks[251].by, pthread_self()));	/* nobody waits in the loop twice */
}

static void
test_addresses(void **state)
{
	struct sock_addr a;

	(void)state;
	assert_true(sock_addr_parse(SPAN("192.0.2.1"), 25, &a));
	assert_string_equal(a.host, "192.0.2.1");
	assert_string_equal(a.port, "25");
	assert_true(sock_addr_parse(SPAN("2001:DB8::0:1"), 587, &a));
	assert_string_equal(a.host, "2001:db8::1");
	assert_true(sock_addr_parse(SPAN("::ffff:192.0.2.9"), 1, &a));
	assert_string_equal(a.host, "192.0.2.9");
	assert_int_equal(a.sa.ss_family, AF_INET);
	assert_false(sock_addr_parse(SPAN("example.com"), 1, &a));
	assert_false(sock_addr_parse(SPAN("[::1]"), 1, &a));
	assert_false(sock_addr_parse(SPAN(""), 1, &a));
}

static void
test_pass_descriptor(void **state)
{
	int sv[2], p[2];
	char byte = 0;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	assert_int_equal(pipe(p), 0);
	assert_true(sock_send_fd(sv[0], p[1]));
	int got = sock_receive_fd(sv[1]);

	assert_true(got >= 0);
	assert_int_equal(write(got, "y", 1), 1);
	assert_int_equal(read(p[0], &byte, 1), 1);
	assert_int_equal(byte, 'y');
	(void)close(sv[0]);
	assert_int_equal(sock_receive_fd(sv[1]), -1);
	(void)close(sv[1]);
	(void)close(p[0]);
	(void)close(p[1]);
	(void)close(got);
}

/* In whatever order they come; those of others stay open. */
static void
test_closing(void **state)
{
	struct file_closing closing = {0};
	int fd[40], kept;

	(void)state;
	for (size_t i = 0; i < 40; i++)
		assert_true((fd[i] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0);
	kept = fd[7];
	file_close_later(&closing, -1);
	for (size_t i = 0; i < 40; i++)
		if (fd[i ^ 1] != kept)
			file_close_later(&closing, fd[i ^ 1]);
	file_close_now(&closing);
	file_close_now(&closing);
	for (size_t i = 0; i < 40; i++)
		assert_int_equal(fcntl(fd[i], F_GETFD) >= 0, fd[i] == kept);
	(void)close(kept);
}

/* Pairs of any length, in pieces or at once; a text that is too long ends the connection. */
static void
test_attributes(void **state)
{
	static char large[ATTR_MAX + 1];
	struct span name, value;
	struct stream *a, *b;

	(void)state;
	memset(large, 'x', sizeof large);
	pair(&a, &b);
	attr_put_protocol(a, "p");
	attr_put(a, "n", SPAN_NULL);
	attr_put_number(a, "number", -42);
	attr_put(a, "cut", span("a\0b", 3));
	attr_put(a, "large", span(large, ATTR_MAX));
	attr_end(a);
	attr_put(a, "too large", span(large, ATTR_MAX + 1));
	assert_true(stream_flush(a));
	assert_true(attr_expect_protocol(b, "p"));
	assert_true(attr_take(b, mem, &name, &value) == ATTR_PAIR && span_is(name, "n") && value.n == 0);
	assert_true(attr_take(b, mem, &name, &value) == ATTR_PAIR && span_is(name, "number") && span_is(value, "-42"));
	assert_true(attr_take(b, mem, &name, &value) == ATTR_PAIR && span_is(name, "cut") && span_is(value, "a"));
	assert_true(attr_take(b, mem, &name, &value) == ATTR_PAIR && span_is(name, "large") && value.n == ATTR_MAX);
	assert_int_equal(attr_take(b, mem, &name, &value), ATTR_END);
	assert_int_equal(attr_take(b, mem, &name, &value), ATTR_FAILED);
	stream_free(&a);
	assert_int_equal(attr_take(b, mem, &name, &value), ATTR_FAILED);
	stream_free(&b);
}

static void
test_safe_open(void **state)
{
	char file[64], alias[64], hard[64];
	struct err e = {0};

	(void)state;
	(void)snprintf(file, sizeof file, "%s/file", dir);
	(void)snprintf(alias, sizeof alias, "%s/alias", dir);
	(void)snprintf(hard, sizeof hard, "%s/hard", dir);
	int fd = file_open_safe(file, O_RDWR | O_CREAT, 0600, geteuid(), NULL, &e);

	assert_true(fd >= 0);
	assert_true(file_write_all(fd, "content", 7));
	(void)close(fd);
	assert_int_equal(symlink(file, alias), 0);
	assert_int_equal(file_open_safe(alias, O_RDONLY, 0, (uid_t)-1, NULL, &e), -1);
	assert_non_null(strstr(e.text, "symbolic link"));
	assert_int_equal(file_open_safe(file, O_RDONLY, 0, geteuid() + 1, NULL, &e), -1);
	assert_int_equal(link(file, hard), 0);
	assert_int_equal(file_open_safe(file, O_RDONLY, 0, (uid_t)-1, NULL, &e), -1);
	assert_non_null(strstr(e.text, "hard links"));
	assert_int_equal(file_open_safe(dir, O_RDONLY, 0, (uid_t)-1, NULL, &e), -1);
	(void)unlink(hard);
	struct buf all = {0};

	assert_true(file_read_all(file, 7, &all, &e));
	assert_string_equal(buf_cstr(&all), "content");
	buf_reset(&all);
	assert_false(file_read_all(file, 6, &all, &e));
	buf_free(&all);
	(void)unlink(alias);
	(void)unlink(file);
}

static struct ipc_delivery
sample(struct ipc_delivery_rcpt *rcpt)
{
	struct ipc_delivery d = { .flags = 7, .queue_id = SPAN("ABC"), .data_offset = -5, .sender = span("a\0b", 3) };

	rcpt[0] = (struct ipc_delivery_rcpt){ .address = SPAN("x@y"), .offset = 99, .notify = 3 };
	rcpt[1] = (struct ipc_delivery_rcpt){ .original = SPAN("o") };
	d.rcpt.p = rcpt;
	d.rcpt.n = 2;
	return d;
}

static void
test_ipc_round_trip(void **state)
{
	struct ipc_delivery_rcpt rcpt[2];
	struct ipc_delivery in = sample(rcpt), out;
	struct buf b = {0};
	enum ipc_kind kind;
	struct span payload;

	(void)state;
	ipc_encode(&b, IPC_delivery, &in);
	for (size_t n = 0; n < b.n; n++)		/* a frame that is cut is never taken */
		assert_int_equal(ipc_frame(span(b.p, n), IPC_MAX, &kind, &payload), 0);
	assert_int_equal(ipc_frame(buf_view(&b), IPC_MAX, &kind, &payload), b.n);
	assert_int_equal(kind, IPC_delivery);
	assert_true(ipc_decode(payload, kind, &out, mem));
	assert_int_equal(out.flags, 7);
	assert_int_equal(out.data_offset, -5);
	assert_true(span_eq(out.sender, span("a\0b", 3)));
	assert_int_equal(out.rcpt.n, 2);
	assert_int_equal(out.rcpt.p[0].offset, 99);
	assert_true(span_is(out.rcpt.p[1].original, "o"));
	for (size_t n = 0; n < payload.n; n++)		/* nor is a payload that is */
		assert_false(ipc_decode(span_to(payload, n), kind, &out, mem));
	assert_int_equal(ipc_frame(buf_view(&b), 10, &kind, &payload), -1);
	buf_free(&b);
}

static void
test_ipc_hostile(void **state)
{
	static const unsigned char huge_list[] = { 0xff, 0xff, 0xff, 0xff };
	struct ipc_delivered out;
	struct span payload;
	enum ipc_kind kind;
	struct buf b = {0};

	(void)state;
	/* 4 numbers, then a list that claims 2^32-1 elements */
	for (int i = 0; i < 16; i++)
		buf_byte(&b, 0);
	buf_add(&b, huge_list, 4);
	assert_false(ipc_decode(buf_view(&b), IPC_delivered, &out, mem));
	buf_free(&b);
	assert_int_equal(ipc_frame(span("\0\0\0\0\0\0\0\0", 8), IPC_MAX, &kind, &payload), -1);	/* kind 0 */
	assert_int_equal(ipc_frame(span("\0\0\0\0\xff\xff\0\0", 8), IPC_MAX, &kind, &payload), -1);
	assert_int_equal(ipc_frame(span("\xff\xff\xff\x7f\1\0\0\0", 8), IPC_MAX, &kind, &payload), -1);
}

static void
test_ipc_blocking(void **state)
{
	struct stream *a, *b;
	struct ipc_status in = { .status = 5, .reason = SPAN("why") }, out;
	struct ipc_rewritten other;

	(void)state;
	pair(&a, &b);
	assert_true(ipc_send(a, IPC_status, &in));
	assert_true(ipc_expect(b, IPC_status, IPC_MAX, mem, &out));
	assert_int_equal(out.status, 5);
	assert_true(span_is(out.reason, "why"));
	assert_true(ipc_send(a, IPC_status, &in));
	assert_false(ipc_expect(b, IPC_rewritten, IPC_MAX, mem, &other));	/* another kind than the state allows */
	stream_free(&a);
	assert_false(ipc_expect(b, IPC_status, IPC_MAX, mem, &out));
	stream_free(&b);
}

static int messages, closed_count;

static bool
on_message(struct conn *c, enum ipc_kind kind, struct span payload)
{
	struct ipc_status m;

	(void)payload;
	if (kind != IPC_status)
		return false;
	messages++;
	m = (struct ipc_status){ .status = (uint32_t)messages };
	conn_send(c, IPC_status, &m);
	return true;
}

static void
on_closed(struct conn *c)
{
	(void)c;
	closed_count++;
}

static void
test_conn(void **state)
{
	static const struct conn_handler handler = { .message = on_message, .closed = on_closed };
	struct loop *l = loop_new();
	struct ipc_status m = { .status = 1 }, out;
	struct ipc_rewrite wrong = { .rule = SPAN("x") };
	struct buf two = {0};
	int fd[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	struct stream *peer = stream_new(fd[0]);

	(void)conn_new(l, fd[1], &handler, NULL);
	ipc_encode(&two, IPC_status, &m);
	ipc_encode(&two, IPC_status, &m);
	stream_put(peer, span(two.p, two.n - 3));	/* the second one comes in two pieces */
	assert_true(stream_flush(peer));
	loop_once(l, 1000);
	assert_int_equal(messages, 1);
	stream_put(peer, span(two.p + two.n - 3, 3));
	assert_true(stream_flush(peer));
	loop_once(l, 1000);
	assert_int_equal(messages, 2);
	assert_true(ipc_expect(peer, IPC_status, IPC_MAX, mem, &out) && out.status == 1);
	assert_true(ipc_expect(peer, IPC_status, IPC_MAX, mem, &out) && out.status == 2);
	assert_true(ipc_send(peer, IPC_rewrite, &wrong));	/* not legal: this peer is dropped, nothing else */
	loop_once(l, 1000);
	assert_int_equal(closed_count, 1);
	assert_false(ipc_expect(peer, IPC_status, IPC_MAX, mem, &out));
	stream_free(&peer);
	buf_free(&two);
	loop_free(&l);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines), cmocka_unit_test(test_timeout), cmocka_unit_test(test_timers),
		cmocka_unit_test(test_pool), cmocka_unit_test(test_finish), cmocka_unit_test(test_addresses), cmocka_unit_test(test_pass_descriptor),
		cmocka_unit_test(test_safe_open), cmocka_unit_test(test_closing), cmocka_unit_test(test_attributes), cmocka_unit_test(test_ipc_round_trip), cmocka_unit_test(test_ipc_hostile),
		cmocka_unit_test(test_ipc_blocking), cmocka_unit_test(test_conn),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
