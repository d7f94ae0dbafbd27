/*
 * result.c - what is known of an address, as text and in time.
 *
 * SPDX-License-Identifier: ISC
 */
#include "conf/conf.h"
#include "verify/verify.h"

#define PROBE_SECONDS	1000		/* a probe that has not come back by then is sent again */

bool
result_parse(struct span value, struct result *r)
{
	struct span status, probed, updated;
	int64_t n;

	if (!span_take_until(&value, ':', &status) || !span_take_until(&value, ':', &probed) ||
	    !span_take_until(&value, ':', &updated) || !span_to_i64(status, &n) || n < VERIFY_OK || n > VERIFY_PENDING ||
	    !span_to_i64(probed, &r->probed) || !span_to_i64(updated, &r->updated))
		return false;
	r->status = (enum verify_status)n;
	r->reason = value;
	return true;
}

struct span
result_text(const struct result *r, struct arena *mem)
{
	return span_str(arena_printf(mem, "%d:%lld:%lld:%.*s", (int)r->status, (long long)r->probed, (long long)r->updated,
	    SPAN_ARG(r->reason)));
}

bool
result_expired(const struct result *r, int64_t now)
{
	int64_t life = r->status == VERIFY_OK ? conf.address_verify_positive_expire_time : conf.address_verify_negative_expire_time;

	/* A probe that was never answered is forgotten with its own time. */
	return (r->updated > 0 ? r->updated : r->probed) + life < now;
}

bool
result_needs_probe(const struct result *r, int64_t now)
{
	int64_t fresh = r->status == VERIFY_OK ? conf.address_verify_positive_refresh_time : conf.address_verify_negative_refresh_time;

	return r->updated + fresh < now && r->probed + PROBE_SECONDS < now;
}
