/*
 * clock.h - the two clocks. Wall time dates mail; monotonic time measures waits.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/time.h>
#include <time.h>

struct timeval clock_wall(void);			/* now, since the epoch */
int64_t	clock_ms(void);					/* monotonic milliseconds */
int64_t	clock_ms_coarse(void);				/* the same, up to 10 ms behind, at a tenth of the cost */
int64_t	clock_ns(void);					/* monotonic nanoseconds */
double	clock_seconds_between(struct timeval from, struct timeval to);	/* may be negative */

/* "Sat, 21 Nov 2026 01:49:19 +0000 (UTC)" (RFC 5322 3.3, local zone). At least 48 bytes. */
void	clock_mail_date(time_t when, char *out, size_t size);

#endif
