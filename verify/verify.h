/*
 * verify.h - private to verify(8).
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef VERIFY_VERIFY_H
#define VERIFY_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/span.h"
#include "io/loop.h"
#include "mail/verify_client.h"

/* What is known of an address. Times in seconds since the epoch, 0 = never. */
struct result {
	enum verify_status status;
	int64_t probed, updated;
	struct span reason;
};

/* "status:probed:updated:reason" (facts: protocols 8.2). */
bool	result_parse(struct span value, struct result *);
struct span result_text(const struct result *, struct arena *mem);
bool	result_expired(const struct result *, int64_t now);
bool	result_needs_probe(const struct result *, int64_t now);

/* --- cache.c: address_verify_map --- */
void	cache_open(void);			/* in the host; ends the process when it cannot be used */
/* False: nothing there, or not usable. reason lives in mem. */
bool	cache_get(struct span address, struct arena *mem, struct result *);
void	cache_put(struct span address, const struct result *);
void	cache_start_cleanup(struct loop *);	/* drops what is out of date, now and then */

#endif
