/*
 * test_dns.c - lookups against a private name server on loopback that answers from a table.
 *
 * SPDX-License-Identifier: ISC
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/dns.h"

static struct arena *mem;
static pid_t server;
static char resolv_conf[] = "/tmp/test_dns.XXXXXX";

static const struct zone {
	const char *name;
	int type;
	const char *rdata;
	size_t len;
} zone[] = {
	{ "mx.test", DNS_MX, "\0\12\2m2\4test\0", 11 },
	{ "mx.test", DNS_MX, "\0\5\2m1\4test\0", 11 },
	{ "a.test", DNS_A, "\300\0\2\1", 4 },
	{ "a.test", DNS_AAAA, "\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\1", 16 },
	{ "null.test", DNS_MX, "\0\0\0", 3 },
	{ "txt.test", DNS_TXT, "\3one\3two", 8 },
	{ "bad.test", DNS_MX, "\0\1\2b!\4test\0", 11 },
};

static size_t
question_name(const unsigned char *p, size_t n, char *out)
{
	size_t i = 12, at = 0;

	while (i < n && p[i] != 0 && at + p[i] + 2 < 256) {
		if (at > 0)
			out[at++] = '.';
		memcpy(out + at, p + i + 1, p[i]);
		at += p[i];
		i += p[i] + 1u;
	}
	out[at] = '\0';
	return i + 1;
}

static void
answer(int fd)
{
	unsigned char p[4096];
	struct sockaddr_in from;
	socklen_t len = sizeof from;
	ssize_t got = recvfrom(fd, p, 1024, 0, (struct sockaddr *)&from, &len);
	char name[256];
	size_t end = question_name(p, (size_t)got, name), at = end + 4;
	bool known = false;
	int count = 0;

	if (got < 17)
		return;
	for (size_t i = 0; i < sizeof zone / sizeof zone[0]; i++) {
		if (strcasecmp(zone[i].name, name) != 0)
			continue;
		known = true;
		if (zone[i].type != (p[end] << 8 | p[end + 1]))
			continue;
		const unsigned char head[12] = { 0xc0, 12, p[end], p[end + 1], 0, 1, 0, 0, 0, 60, 0, (unsigned char)zone[i].len };

		memcpy(p + at, head, 12);
		memcpy(p + at + 12, zone[i].rdata, zone[i].len);
		at += 12 + zone[i].len;
		count++;
	}
	p[2] = 0x84;
	p[3] = strcmp(name, "fail.test") == 0 ? 0x82 : known ? 0x80 : 0x83;
	p[6] = 0;
	p[7] = (unsigned char)count;
	memset(p + 8, 0, 4);
	(void)sendto(fd, p, at, 0, (struct sockaddr *)&from, len);
}

static int
setup(void **state)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof sin;
	int fd = socket(AF_INET, SOCK_DGRAM, 0), file = mkstemp(resolv_conf);

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof sin), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	server = fork();
	if (server == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			answer(fd);
	}
	close(fd);
	assert_true(dprintf(file, "search example.com\nnameserver 127.0.0.1@%d\n", ntohs(sin.sin_port)) > 0);
	close(file);
	setenv("POSTHASTE_RESOLV_CONF", resolv_conf, 1);
	mem = arena_new();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	unlink(resolv_conf);
	arena_free(&mem);
	return 0;
}

static void
test_lookups(void **state)
{
	struct dns_answer a;

	(void)state;
	assert_int_equal(dns_lookup("mx.test", DNS_MX, mem, &a), DNS_OK);
	assert_int_equal(a.n, 2);
	assert_true(strcmp(a.p[0].name, "m1.test") == 0 ? a.p[0].preference == 5 : a.p[0].preference == 10);
	assert_int_equal(a.ttl, 60);
	assert_int_equal(dns_lookup("null.test", DNS_MX, mem, &a), DNS_NULL_MX);
	assert_string_equal(a.why, "Domain null.test does not accept mail (nullMX)");
	assert_int_equal(dns_lookup("txt.test", DNS_TXT, mem, &a), DNS_OK);
	assert_string_equal(a.p[0].name, "onetwo");
	assert_int_equal(dns_lookup("bad.test", DNS_MX, mem, &a), DNS_INVALID);
	assert_int_equal(dns_lookup("a.test", DNS_MX, mem, &a), DNS_NO_DATA);
	assert_int_equal(dns_lookup("none.test", DNS_MX, mem, &a), DNS_NOT_FOUND);
	assert_string_equal(a.why,
	    "Host or domain name not found. Name service error for name=none.test type=MX: Host not found");
	assert_int_equal(dns_lookup("fail.test", DNS_A, mem, &a), DNS_RETRY);
	assert_int_equal(dns_lookup("a..b", DNS_A, mem, &a), DNS_NOT_FOUND);
	assert_int_equal(dns_lookup("", DNS_A, mem, &a), DNS_NOT_FOUND);
}

static void
test_addresses(void **state)
{
	struct dns_answer a;
	const unsigned both = DNS_USE_DNS | DNS_IPV4 | DNS_IPV6;

	(void)state;
	assert_int_equal(dns_addresses("a.test", both, mem, &a), DNS_OK);
	assert_int_equal(a.n, 2);
	assert_string_equal(a.p[0].address.host, "192.0.2.1");
	assert_string_equal(a.p[1].address.host, "2001:db8::1");
	assert_int_equal(dns_addresses("192.0.2.7", both, mem, &a), DNS_OK);
	assert_string_equal(a.p[0].address.host, "192.0.2.7");
	assert_int_equal(dns_addresses("mx.test", both, mem, &a), DNS_NO_DATA);
	assert_int_equal(dns_addresses("none.test", both, mem, &a), DNS_NOT_FOUND);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_lookups), cmocka_unit_test(test_addresses) };

	return cmocka_run_group_tests(tests, setup, teardown);
}
