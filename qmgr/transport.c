/*
 * transport.c - delivery transports: their limits from main.cf, and which destination is served next.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "qmgr/qmgr.h"

static struct hash *by_name;
static struct transport *all;

static int
service_number(const char *name, const char *suffix)
{
	struct err e = {0};
	int value = 0;

	if (!conf_service_int(name, suffix, &value, &e))
		log_warning("%s", e.text);
	return value;
}

/* "1", "1/4", "1/concurrency", "1/sqrt_concurrency"; 0..1 (scheduler: concurrency feedback). */
static struct feedback
service_feedback(const char *name, const char *suffix)
{
	struct feedback f = { FEEDBACK_FIXED, 1 };
	const char *text = conf_service_str(name, suffix);
	char *end = NULL;
	double value = text == NULL ? -1 : strtod(text, &end), divisor = 1;

	if (value >= 0 && end != text && *end == '/') {
		if (strcmp(end + 1, "concurrency") == 0)
			f.kind = FEEDBACK_WINDOW;
		else if (strcmp(end + 1, "sqrt_concurrency") == 0)
			f.kind = FEEDBACK_SQRT;
		else
			divisor = strtod(end + 1, &end);
		if (f.kind != FEEDBACK_FIXED)
			end = strchr(end, '\0');
	}
	if (text == NULL || end == text || *end != '\0' || divisor <= 0 || value / divisor < 0 || value / divisor > 1) {
		log_warning("%s%s: ignoring malformed or unreasonable feedback: %s", name, suffix, text == NULL ? "" : text);
		return (struct feedback){ FEEDBACK_FIXED, 1 };
	}
	f.value = value / divisor;
	return f;
}

static void
read_limits(struct transport *t)
{
	t->concurrency_limit = service_number(t->name, "_destination_concurrency_limit");
	t->initial = service_number(t->name, "_initial_destination_concurrency");
	t->recipient_limit = service_number(t->name, "_destination_recipient_limit");
	t->rate_delay = service_number(t->name, "_destination_rate_delay");
	t->cohort_limit = service_number(t->name, "_destination_concurrency_failed_cohort_limit");
	t->positive = service_feedback(t->name, "_destination_concurrency_positive_feedback");
	t->negative = service_feedback(t->name, "_destination_concurrency_negative_feedback");
	t->slot_cost = service_number(t->name, "_delivery_slot_cost");
	t->slot_loan = service_number(t->name, "_delivery_slot_loan");
	t->slot_discount = service_number(t->name, "_delivery_slot_discount");
	t->minimum_slots = service_number(t->name, "_minimum_delivery_slots");
	t->pool = service_number(t->name, "_recipient_limit");
	t->extra_pool = service_number(t->name, "_extra_recipient_limit");
	t->refill_limit = service_number(t->name, "_recipient_refill_limit");
	t->refill_delay = service_number(t->name, "_recipient_refill_delay");
	t->pace = service_number(t->name, "_transport_rate_delay");
	if (t->rate_delay > 0)
		t->concurrency_limit = 1;
	if (t->initial < 1)
		t->initial = 1;
	if (t->concurrency_limit > 0 && t->initial > t->concurrency_limit)
		t->initial = t->concurrency_limit;
}

static bool
by_first_job(const void *a, const void *b)
{
	const struct dest *x = a, *y = b;

	return x->first->job->order < y->first->job->order;
}

struct transport *
transport_find(struct span name)
{
	struct transport *t = by_name == NULL ? NULL : hash_get(by_name, name);

	if (t != NULL)
		return t;
	if (by_name == NULL)
		by_name = hash_new();
	t = calloc(1, sizeof *t);
	if (t == NULL)
		log_out_of_memory();
	t->name = span_strdup(name);
	t->dests = hash_new();
	t->is_retry = span_is(name, "retry");
	t->ready = HEAP_INIT(struct dest, place, by_first_job);
	t->next = all;
	all = t;
	read_limits(t);
	(void)hash_put(by_name, name, t);
	return t;
}

/* Nobody delivers: everything that waits goes to the retry service, whatever its destination allows. */
static void
give_up(struct transport *t)
{
	struct job *j = t->first;

	while (j != NULL) {
		struct entry *e = j->first == NULL ? NULL : j->first->first;

		if (e == NULL) {
			j = j->next;	/* has unread recipients */
			continue;
		}
		entry_withdraw(e);
		if (t->is_retry)
			entry_defer_here(e, "mail transport unavailable");
		else
			entry_redirect(e, "retry", "4.3.0 mail transport unavailable");
		j = t->first;
	}
}

static void
pace_over(void *arg, unsigned events)
{
	struct transport *t = arg;

	(void)events;
	t->pace_timer = NULL;
	t->pace_over = true;
	transport_schedule(t);
}

/* transport_rate_delay: one delivery at a time, and a pause between an agent's hello and its request. */
static bool
pace_allows(struct transport *t)
{
	if (t->pace == 0)
		return true;
	if (t->busy > 0 || t->pace_timer != NULL)
		return false;
	if (!t->pace_over)
		t->pace_timer = loop_after(qmgr_loop, (int64_t)t->pace * 1000, pace_over, t);
	return t->pace_over;
}

/* Deliveries that could start now, as far as it matters for the number of connections to open. */
static size_t
deliverable(const struct transport *t, size_t enough)
{
	size_t n = 0;

	for (size_t i = 0; i < t->ready.v.n && n < enough; i++)
		n += (*VEC_AT(&t->ready.v, struct dest *, i))->todo;
	return n;
}

void
transport_schedule(struct transport *t)
{
	if (t->dead) {
		give_up(t);
		return;
	}
	while (heap_first(&t->ready) != NULL && agent_is_free(t) && pace_allows(t)) {
		struct entry *e = job_select(t);
		struct message *m = e->msg;

		t->pace_over = false;
		agent_deliver(t, e);
		job_refill(m, t);
	}
	size_t want = deliverable(t, AGENTS_PENDING + t->pending);

	if (want > t->pending && !agent_is_free(t))
		agents_connect(t, want);
}

static void
revive(void *arg, unsigned events)
{
	struct transport *t = arg;

	(void)events;
	t->timer = NULL;
	t->dead = false;
	transport_schedule(t);
}

void
transport_failed(struct transport *t, const char *why)
{
	if (t->dead)
		return;
	log_warning("%s", why);
	t->dead = true;
	t->timer = loop_after(qmgr_loop, (int64_t)conf.transport_retry_time * 1000, revive, t);
	transport_schedule(t);
}

/* Entries of dead destinations have left already. */
static void
hold_back_dest(struct dest *d, const char *text)
{
	size_t n = d->todo;

	while (n-- > 0) {
		struct entry *e = d->first->first;

		entry_withdraw(e);	/* frees d with the last one, perhaps */
		entry_redirect(e, "retry", text);
	}
}

void
transport_hold_back(struct span name, const char *text)
{
	for (struct transport *t = all; t != NULL; t = t->next) {
		struct span rest = name;
		bool whole = span_take(&rest, SPAN("transport:")) && span_is(rest, t->name);
		size_t pos = 0;
		void *d;

		while (hash_next(t->dests, &pos, NULL, &d))
			if (whole || span_iis(name, ((struct dest *)d)->nexthop))
				hold_back_dest(d, text);
	}
}

void
transport_revive_all(void)
{
	for (struct transport *t = all; t != NULL; t = t->next) {
		size_t pos = 0;
		void *d;

		loop_cancel(&t->timer);
		t->dead = false;
		/* Reviving may free a destination that has nothing to do; then its entry is gone from the hash. */
		while (hash_next(t->dests, &pos, NULL, &d))
			dest_revive(d);
		transport_schedule(t);
	}
}
