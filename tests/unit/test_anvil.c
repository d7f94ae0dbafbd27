/*
 * test_anvil.c - counts, windows, peaks; counts with limits.
 * Links: anvil/counters.c anvil/rates.c
 *
 * SPDX-License-Identifier: ISC
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "anvil/counters.h"
#include "anvil/rates.h"
#include "mail/anvil_client.h"

#define A SPAN("smtp:192.0.2.1")
#define B SPAN("smtp:192.0.2.2")

/* One step: the event and what the counts are after it. */
static const struct {
	uint32_t event;
	bool other;			/* of ident B */
	int64_t at_ms;
	struct ipc_anvil_counts want;
} steps[] = {
	{ ANVIL_LOOKUP, false, 0, {0} },
	{ ANVIL_CONNECT, false, 0, { .connections = 1, .connection_rate = 1 } },
	{ ANVIL_CONNECT, false, 10, { .connections = 2, .connection_rate = 2 } },
	{ ANVIL_CONNECT, true, 20, { .connections = 1, .connection_rate = 1 } },
	{ ANVIL_MAIL, false, 30, { .connections = 2, .connection_rate = 2, .message_rate = 1 } },
	{ ANVIL_RCPT, false, 40, { .connections = 2, .connection_rate = 2, .message_rate = 1, .recipient_rate = 1 } },
	{ ANVIL_DISCONNECT, false, 50, {0} },
	{ ANVIL_LOOKUP, false, 60, { .connections = 1, .connection_rate = 2, .message_rate = 1, .recipient_rate = 1 } },
	{ ANVIL_AUTH, false, 1000, { .connections = 1, .auth_rate = 1 } },	/* a new window */
	{ ANVIL_NEWTLS, false, 1999, { .connections = 1, .auth_rate = 1, .newtls_rate = 1 } },
	{ ANVIL_DISCONNECT, false, 2500, {0} },
	{ ANVIL_LOOKUP, false, 2500, {0} },		/* idle, window over: forgotten */
	{ ANVIL_DISCONNECT, false, 2500, {0} },
};

static void
test_steps(void **state)
{
	struct counters *c = counters_new(1000);

	(void)state;
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		struct ipc_anvil_counts n;

		assert_true(counters_event(c, steps[i].event, steps[i].other ? B : A, steps[i].at_ms, 5, &n));
		assert_memory_equal(&n, &steps[i].want, sizeof n);
	}
	assert_int_equal(counters_peak(c, PEAK_CONNECTION_RATE).n, 2);
	assert_string_equal(counters_peak(c, PEAK_CONNECTION_RATE).ident, "smtp:192.0.2.1");
	assert_int_equal(counters_peak(c, PEAK_IDENTS).n, 2);
	assert_int_equal(counters_peak(c, PEAK_IDENTS).at, 5);
	counters_reset_peaks(c);
	assert_int_equal(counters_peak(c, PEAK_CONNECTION_RATE).n, 0);
	counters_free(&c);
}

static void
test_expire(void **state)
{
	struct counters *c = counters_new(1000);
	struct ipc_anvil_counts n;

	(void)state;
	assert_true(counters_event(c, ANVIL_MAIL, A, 0, 0, &n));
	assert_true(counters_event(c, ANVIL_CONNECT, B, 0, 0, &n));
	counters_expire(c, 999);
	assert_true(counters_event(c, ANVIL_LOOKUP, A, 999, 0, &n));
	assert_int_equal(n.message_rate, 1);
	counters_expire(c, 1000);
	assert_true(counters_event(c, ANVIL_LOOKUP, A, 999, 0, &n));
	assert_int_equal(n.message_rate, 0);
	assert_true(counters_event(c, ANVIL_LOOKUP, B, 999, 0, &n));
	assert_int_equal(n.connections, 1);		/* still open: kept */
	assert_false(counters_event(c, 99, A, 0, 0, &n));
	counters_free(&c);
}

/* Which of the rates is over. */
static uint32_t
over(struct rates *r, struct ipc_anvil_rate *p, size_t n, int64_t at)
{
	struct ipc_anvil_rates ask = { .rate = { .p = p, .n = n } };
	struct ipc_anvil_over out;

	assert_true(rates_event(r, &ask, at, &out));
	return out.which;
}

static void
test_rates(void **state)
{
	struct rates *r = rates_new(100);
	struct ipc_anvil_rate rate[] = {
		{ .ident = SPAN("a"), .limit = 2, .window = 1, .firm = 1 },
		{ .ident = SPAN("b"), .limit = 1, .window = 10, .firm = 1 },
	};

	(void)state;
	assert_int_equal(over(r, rate, 2, 0), 0);
	assert_int_equal(over(r, rate, 2, 1), 2);	/* b is full: a was not counted */
	assert_int_equal(over(r, rate, 1, 2), 0);
	assert_int_equal(over(r, rate, 1, 3), 1);
	assert_int_equal(over(r, rate, 2, 1000), 2);	/* a has a new window */
	rate[1].firm = 0;
	assert_int_equal(over(r, rate, 2, 1001), 2);	/* told, and counted */
	assert_int_equal(over(r, rate, 1, 1002), 0);
	assert_int_equal(over(r, rate, 1, 1003), 1);
	assert_int_equal(rates_number(r), 2);
	rates_expire(r, 5000);
	assert_int_equal(rates_number(r), 1);
	rate[0].window = 0;
	assert_false(rates_event(r, &(struct ipc_anvil_rates){ .rate = { .p = rate, .n = 1 } }, 0, &(struct ipc_anvil_over){0}));
	rates_free(&r);
}

/* A flood of keys with one event each: memory stays bounded, and the key that matters stays known. */
static void
test_rates_flood(void **state)
{
	struct rates *r = rates_new(50);
	struct ipc_anvil_rate busy = { .ident = SPAN("busy"), .limit = 3, .window = 3600, .firm = 1 }, other = busy;
	char name[4] = "000";

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(over(r, &busy, 1, i), 0);
	other.ident = span(name, 3);
	for (int i = 0; i < 999; i++) {
		name[0] = (char)('0' + i / 100), name[1] = (char)('0' + i / 10 % 10), name[2] = (char)('0' + i % 10);
		assert_int_equal(over(r, &other, 1, i), 0);
		assert_true(rates_number(r) <= 50);
	}
	assert_int_equal(over(r, &busy, 1, 5000), 1);
	assert_int_equal(rates_lost(r), 999 - 49);
	assert_int_equal(rates_lost(r), 0);
	rates_free(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_expire),
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_rates_flood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
