/*
 * dest.c - destinations: their waiting entries and their concurrency window.
 *
 * SPDX-License-Identifier: ISC
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "qmgr/qmgr.h"

struct dest *
dest_find(struct transport *t, struct span name, struct span nexthop)
{
	struct dest *d = hash_get(t->dests, name);

	if (d != NULL)
		return d;
	d = calloc(1, sizeof *d);
	if (d == NULL)
		log_out_of_memory();
	d->transport = t;
	d->name = span_strdup(name);
	d->nexthop = span_strdup(nexthop);
	d->window = t->initial;
	(void)hash_put(t->dests, name, d);
	return d;
}

static void
dest_free(struct dest *d)
{
	(void)hash_remove(d->transport->dests, span_str(d->name));
	loop_cancel(&d->timer);
	free(d->dead_reason);
	free(d->name);
	free(d->nexthop);
	free(d);
}

static bool
window_open(const struct dest *d)
{
	return d->transport->concurrency_limit == 0 || (double)d->busy < floor(d->window);
}

void
dest_update(struct dest *d)
{
	struct heap *ready = &d->transport->ready;

	if (d->todo == 0 || d->dead || d->suspended || !window_open(d))
		heap_remove(ready, d);
	else if (d->place == 0)
		heap_add(ready, d);
	else
		heap_moved(ready, d);
	if (d->todo == 0 && d->busy == 0 && d->timer == NULL)
		dest_free(d);
}

static void
suspend(const struct dest *d, struct entry *e)
{
	struct span reason = span_str(d->dead_reason != NULL ? d->dead_reason : "4.3.0 unknown");
	struct span code;

	if (!span_take_word(&reason, " ", &code))
		code = SPAN("4.3.0");
	entry_redirect(e, "retry", arena_printf(e->batch->mem, "%.*s delivery temporarily suspended: %.*s", SPAN_ARG(code),
	    SPAN_ARG(span_trim(reason))));
}

void
dest_add(struct dest *d, struct entry *e)
{
	if (d->dead) {
		suspend(d, e);
		return;
	}
	job_add(e);
	clog_check(d);
	dest_update(d);
}

/* destination_concurrency_feedback_debug; the words are Postfix's. */
static const char good_step[] = "qmgr_queue_unthrottle", bad_step[] = "qmgr_queue_throttle";

static void
tell(const struct dest *d, const char *step)
{
	if (conf.destination_concurrency_feedback_debug)
		log_info("%s: queue %s: limit %d window %d success %g failure %g fail_cohorts %g", step, d->name,
		    d->transport->concurrency_limit, (int)d->window, d->success, d->failure, d->fail_cohorts);
}

static double
feedback(const struct feedback *f, double window, const char *step)
{
	double value = f->value;

	if (window < 1)
		window = 1;
	if (f->kind == FEEDBACK_WINDOW)
		value /= window;
	else if (f->kind == FEEDBACK_SQRT)
		value /= sqrt(window);
	if (conf.destination_concurrency_feedback_debug)
		log_info("%s: feedback %g", step, value);
	return value;
}

void
dest_revive(struct dest *d)
{
	if (!d->dead)
		return;
	d->dead = false;
	loop_cancel(&d->timer);
	free(d->dead_reason);
	d->dead_reason = NULL;
	d->window = d->transport->initial;
	d->success = d->failure = d->fail_cohorts = 0;
	dest_update(d);
}

void
dest_good(struct dest *d)
{
	const struct transport *t = d->transport;
	double limit = t->concurrency_limit;

	if (t->is_retry)
		return;			/* it stands for destinations that learn nothing from it */
	d->fail_cohorts = 0;
	if (d->dead) {
		dest_revive(d);
		return;
	}
	if ((limit == 0 || d->window < limit) && d->window < (double)(d->busy + (size_t)t->initial)) {
		double f = feedback(&t->positive, d->window, good_step);

		d->success += f;
		while (d->success + f / 2 >= 1) {
			d->window += 1;
			d->success -= 1;
			d->failure = 0;
		}
		if (limit > 0 && d->window > limit)
			d->window = limit;
	}
	tell(d, good_step);
}

static void
revive_timer(void *arg, unsigned events)
{
	struct dest *d = arg;

	(void)events;
	d->timer = NULL;
	dest_revive(d);
}

static void
die(struct dest *d, const struct dsn_text *why)
{
	struct arena *mem = arena_new();

	d->dead = true;
	d->window = 0;
	tell(d, bad_step);
	free(d->dead_reason);
	d->dead_reason = span_strdup(span_str(arena_printf(mem, "%u.%u.%u %.*s", why->code.class, why->code.subject,
	    why->code.detail, SPAN_ARG(why->reason))));
	arena_free(&mem);
	loop_cancel(&d->timer);
	d->suspended = false;
	d->timer = loop_after(qmgr_loop, (int64_t)conf.minimal_backoff_time * 1000, revive_timer, d);
	while (d->first != NULL) {
		struct entry *e = d->first->first;

		entry_withdraw(e);
		suspend(d, e);
	}
}

void
dest_bad(struct dest *d, const struct dsn_text *why)
{
	const struct transport *t = d->transport;

	if (d->dead)
		return;
	d->fail_cohorts += 1 / (d->window < 1 ? 1 : d->window);
	if (t->cohort_limit > 0 && d->fail_cohorts >= t->cohort_limit) {
		die(d, why);
		return;
	}
	double f = feedback(&t->negative, d->window, bad_step);

	d->failure -= f;
	while (d->failure - f / 2 < 0) {
		d->window -= 1;
		d->success = 0;
		d->failure += 1;
	}
	if (d->window < 1)
		d->window = 1;
	tell(d, bad_step);
}

static void
rate_over(void *arg, unsigned events)
{
	struct dest *d = arg;
	struct transport *t = d->transport;

	(void)events;
	d->timer = NULL;
	d->suspended = false;
	dest_update(d);
	transport_schedule(t);
}

void
dest_done(struct dest *d, const struct entry *e)
{
	d->busy--;
	d->transport->busy--;
	d->transport->recipients -= (long)e->nrcpt;
	d->last_done = loop_now(qmgr_loop);
	if (d->transport->rate_delay > 0 && !d->dead) {
		loop_cancel(&d->timer);
		d->suspended = true;
		d->timer = loop_after(qmgr_loop, (int64_t)d->transport->rate_delay * 1000, rate_over, d);
	}
	dest_update(d);
}
