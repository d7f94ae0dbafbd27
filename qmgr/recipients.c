/*
 * recipients.c - where each recipient goes: ask trivial-rewrite, apply the special cases, group what goes to one
 * destination into delivery requests.
 *
 * SPDX-License-Identifier: ISC
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "mail/delivery_log.h"
#include "mail/rec.h"
#include "mail/rewrite.h"
#include "mail/route.h"
#include "qmgr/qmgr.h"
#include "smtp/address.h"

struct routed {
	struct recipient *rcpt;
	struct span transport, nexthop, queue;	/* queue: key of the destination */
};

static bool
is_deferred_transport(struct span name)
{
	struct span list = span_str(conf.defer_transports), word;

	while (span_take_word(&list, ", \t\r\n", &word))
		if (span_eq(word, name))
			return true;
	return false;
}

static void
to_service(struct routed *r, const char *service, const char *text)
{
	r->transport = span_str(service);
	r->nexthop = span_str(text);
}

static void
route(struct message *m, struct arena *mem, struct routed *r)
{
	const struct routing routing = { .sender = m->sender, .filter = m->filter, .trace_flags = m->trace_flags };
	const bool probe = (m->trace_flags & DELIVERY_FLAG_MTA_PROBE) != 0;
	struct route found;
	const char *text;
	const bool can = route_recipient(&routing, r->rcpt->address, mem, &found);

	r->rcpt->address = found.recipient;
	r->transport = found.transport;
	r->nexthop = found.nexthop;
	if (!can)
		return;
	if (probe && message_probes > (size_t)conf.address_verify_pending_request_limit)
		to_service(r, "retry", "4.3.2 Too many address verification requests");
	else if (m->expire)
		to_service(r, "retry", "4.7.0 message is administratively expired");
	else if (is_deferred_transport(r->transport))
		to_service(r, "retry", "4.3.2 deferred transport");
	else if ((text = suspended_text(r->transport, r->nexthop, r->rcpt->address, mem)) != NULL)
		to_service(r, "retry", text);
}

/* With a recipient limit of 1 the recipient, without its extension, is the destination. */
static struct span
queue_key(struct arena *mem, const struct routed *r, const struct transport *t)
{
	struct span host = span_lower(r->nexthop, mem), local, domain;

	if (t->recipient_limit != 1 || span_is(r->transport, conf.error_service_name) || span_is(r->transport, "retry"))
		return host;
	(void)address_split(r->rcpt->address, &local, &domain);
	size_t ext = conf.recipient_delimiter[0] != '\0' ? span_find_any(local, conf.recipient_delimiter) : local.n;

	if (ext > 0)
		local = span_to(local, ext);
	return span_str(arena_printf(mem, "%.*s@%.*s", SPAN_ARG(span_lower(local, mem)), SPAN_ARG(host)));
}

/* Those of a domain stand together. */
static int
by_address(struct span a, struct span b)
{
	struct span local[2], domain[2];

	(void)address_split(a, &local[0], &domain[0]);
	(void)address_split(b, &local[1], &domain[1]);
	int diff = span_icmp(domain[0], domain[1]);

	return diff != 0 ? diff : span_icmp(local[0], local[1]);
}

static int
by_destination(const void *x, const void *y)
{
	const struct routed *a = x, *b = y;
	int diff = span_cmp(a->transport, b->transport);

	if (diff == 0)
		diff = span_cmp(a->queue, b->queue);
	if (diff == 0)
		diff = by_address(a->rcpt->address, b->rcpt->address);
	return diff != 0 ? diff : (a->rcpt->offset > b->rcpt->offset) - (a->rcpt->offset < b->rcpt->offset);
}

static struct entry *
new_entry(struct message *m, struct batch *b, struct dest *d, const struct routed *r, size_t n)
{
	struct entry *e = ARENA_NEW(b->mem, struct entry);

	e->msg = m;
	e->batch = b;
	e->dest = d;
	e->nrcpt = n;
	e->rcpt = ARENA_ARRAY(b->mem, struct recipient, n);
	for (size_t i = 0; i < n; i++)
		e->rcpt[i] = *r[i].rcpt;
	m->entries++;
	b->entries++;
	message_recipients += (long)n;
	return e;
}

/* The longest run from r[0] that one request may carry. */
static size_t
run_length(const struct message *m, const struct routed *r, size_t n, int limit)
{
	size_t i = 1;

	if (m->verp.n > 0)
		return 1;
	while (i < n && span_eq(r[i].transport, r[0].transport) && span_eq(r[i].queue, r[0].queue) &&
	    (limit == 0 || i < (size_t)limit))
		i++;
	return i;
}

/* Mail to our own double-bounce address ends here: an answer would loop. */
static bool
is_double_bounce(struct message *m, struct arena *mem, const struct recipient *r)
{
	struct span local, domain;
	struct resolved found;

	(void)address_split(r->address, &local, &domain);
	if (!span_iis(local, conf.double_bounce_sender))
		return false;
	return resolve_address(m->sender, r->address, false, mem, &found) && (found.flags & RESOLVE_CLASS_LOCAL);
}

static void
drop_double_bounce(struct message *m, struct arena *mem, const struct recipient *r)
{
	struct delivery d = { .mem = mem, .queue_id = span_str(m->id), .arrival = m->arrival, .fd = -1 };
	struct delivery_rcpt rcpt = { .original = r->original, .address = r->address };
	struct dsn_text t = { .code = { 2, 0, 0 }, .reason = SPAN("undeliverable postmaster notification discarded") };
	int fd;

	delivery_log(&d, &rcpt, "none", &t, "sent");
	if (message_open(m, O_RDWR, &fd)) {
		(void)rec_mark(fd, r->offset, REC_DONE);
		(void)close(fd);
	}
}

/* A transport each of what was routed, in order. */
static void
schedule_each(const struct routed *all, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (i == 0 || !span_eq(all[i].transport, all[i - 1].transport))
			transport_schedule(transport_find(all[i].transport));
}

void
recipients_assign(struct message *m, struct batch *b, struct recipient *rcpt, size_t n)
{
	struct routed *all = ARENA_ARRAY(b->mem, struct routed, n + 1);
	size_t k = 0;

	if (m->redirect.n > 0 && n > 0) {
		rcpt[0].address = m->redirect;
		n = 1;
	}
	for (size_t i = 0; i < n; i++) {
		if (expired_is_logged(m, &rcpt[i])) {
			outcome_note(m, &rcpt[i], "expired", (struct dsn){ 4, 0, 0 }, "");
			continue;
		}
		if (is_double_bounce(m, b->mem, &rcpt[i])) {
			drop_double_bounce(m, b->mem, &rcpt[i]);
			continue;
		}
		all[k] = (struct routed){ .rcpt = &rcpt[i] };
		route(m, b->mem, &all[k]);
		all[k].queue = queue_key(b->mem, &all[k], transport_find(all[k].transport));
		k++;
	}
	qsort(all, k, sizeof *all, by_destination);
	for (size_t i = 0; i < k; ) {
		struct transport *t = transport_find(all[i].transport);
		size_t run = run_length(m, &all[i], k - i, t->recipient_limit);
		struct dest *d = dest_find(t, all[i].queue, all[i].nexthop);

		dest_add(d, new_entry(m, b, d, &all[i], run));
		i += run;
	}
	schedule_each(all, k);
}

void
entry_redirect(struct entry *e, const char *transport, const char *nexthop)
{
	struct transport *t = transport_find(span_str(transport));
	struct span name = span_lower(span_str(nexthop), e->batch->mem);

	e->dest = dest_find(t, name, span_str(nexthop));
	dest_add(e->dest, e);
	transport_schedule(t);
}
