/*
 * rates.h - counts with a limit and a window of their own (smtpd_rate_limit_maps), bounded in number. No I/O, no clock of its own.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef ANVIL_RATES_H
#define ANVIL_RATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/ipc.h"

struct rates;

/* At most max counts. When there is no room, one whose window is over goes, else the lowest of the oldest. */
struct rates *rates_new(size_t max);
void	rates_free(struct rates **);

/*
 * One event for all of ask, or, when one that is firm would go over its limit, for none of them. The answer names the first
 * that is over (1 for the first of the list; 0: none). A window begins with the first event in it.
 * False: malformed.
 */
bool	rates_event(struct rates *, const struct ipc_anvil_rates *ask, int64_t now_ms, struct ipc_anvil_over *out);
void	rates_expire(struct rates *, int64_t now_ms);
size_t	rates_number(const struct rates *);
/* Counts that were given up within their windows since the last call. */
size_t	rates_lost(struct rates *);

#endif
