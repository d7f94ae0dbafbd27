/*
 * test_anvil.c - counts, windows, peaks.
 * Links: anvil/counters.c
 *
 * SPDX-License-Identifier: ISC
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "anvil/counters.h"
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_expire),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
