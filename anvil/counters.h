/*
 * counters.h - what each "service:address" has done within its current window of time. No I/O, no clock of its own.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef ANVIL_COUNTERS_H
#define ANVIL_COUNTERS_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/span.h"
#include "ipc/ipc.h"

struct counters;

/* Rates restart together when window_ms have passed since the first event of an ident's window. */
struct counters *counters_new(int64_t window_ms);
void	counters_free(struct counters **);

/*
 * Count one event (ANVIL_*) at now_ms (monotonic) and tell the counts after it. at: wall clock, for the peaks.
 * False: unknown event, nothing is counted.
 */
bool	counters_event(struct counters *, uint32_t event, struct span ident, int64_t now_ms, time_t at,
	    struct ipc_anvil_counts *);
/* Forget idents without open connections whose window is over. */
void	counters_expire(struct counters *, int64_t now_ms);

/* Highest value of each count since the last counters_reset_peaks(). */
enum peak { PEAK_CONNECTION_RATE, PEAK_CONNECTIONS, PEAK_MESSAGE_RATE, PEAK_RECIPIENT_RATE, PEAK_NEWTLS_RATE, PEAK_AUTH_RATE,
	PEAK_IDENTS, PEAKS };
struct peak_value {
	uint32_t n;			/* 0: never */
	time_t at;
	const char *ident;		/* "" for PEAK_IDENTS */
};
struct peak_value counters_peak(const struct counters *, enum peak);
void	counters_reset_peaks(struct counters *);

#endif
