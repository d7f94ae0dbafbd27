/*
 * route.c - the transport of a recipient: content filter, else what trivial-rewrite(8) says.
 *
 * SPDX-License-Identifier: ISC
 */
#include "conf/conf.h"
#include "mail/delivery.h"
#include "mail/rewrite.h"
#include "mail/route.h"
#include "smtp/address.h"

/* An empty next hop is the recipient's domain. */
static void
through_filter(struct span filter, struct route *r)
{
	struct span local, domain;

	r->nexthop = filter;
	if (!span_take_until(&r->nexthop, ':', &r->transport)) {
		r->transport = filter;
		r->nexthop = SPAN_NULL;
	}
	if (r->nexthop.n > 0)
		return;
	if (conf.default_filter_nexthop[0] != '\0')
		r->nexthop = span_str(conf.default_filter_nexthop);
	else if (address_split(r->recipient, &local, &domain) && domain.n > 0)
		r->nexthop = domain;
	else
		r->nexthop = span_str(conf.myhostname);
}

static bool
to_service(struct route *r, const char *service, const char *text)
{
	r->transport = span_str(service);
	r->nexthop = span_str(text);
	return false;
}

bool
route_recipient(const struct routing *m, struct span recipient, struct arena *mem, struct route *out)
{
	const bool probe = (m->trace_flags & DELIVERY_FLAG_MTA_PROBE) != 0;
	struct resolved found;

	*out = (struct route){ .recipient = recipient };
	if (m->filter.n > 0 && (m->trace_flags & DELIVERY_FLAG_PROBE) == 0) {
		through_filter(m->filter, out);
		return true;
	}
	if (recipient.n == 0)
		return to_service(out, conf.error_service_name, "5.1.3 null recipient address");
	if (!resolve_address(m->sender, recipient, probe, mem, &found) || (found.flags & RESOLVE_FAIL) != 0)
		return to_service(out, "retry", "4.3.0 address resolver failure");
	out->recipient = found.recipient;
	if ((found.flags & RESOLVE_ERROR) != 0)
		return to_service(out, conf.error_service_name, "5.1.3 bad address syntax");
	out->transport = found.transport;
	out->nexthop = found.nexthop;
	return true;
}
