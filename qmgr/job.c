/*
 * job.c - the order of deliveries over one transport. Messages are served in the order of their arrival, but a small
 * one may preempt a large one that has earned it: each delivery of the large one earns a slot, and the small one is paid
 * for with transport_delivery_slot_cost slots a delivery (scheduler facts, section 6).
 *
 * Only destinations that may start a delivery stand in transport->ready, the one of the first job on top; so nothing
 * is ever searched among what has to wait.
 *
 * SPDX-License-Identifier: ISC
 */
#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "qmgr/qmgr.h"

static void
job_link(struct job *j)
{
	struct transport *t = j->transport;
	struct job *before = t->last;

	while (before != NULL && before->order > j->order)
		before = before->prev;
	j->prev = before;
	j->next = before != NULL ? before->next : t->first;
	*(j->prev != NULL ? &j->prev->next : &t->first) = j;
	*(j->next != NULL ? &j->next->prev : &t->last) = j;
}

static void
job_unlink(struct job *j)
{
	struct transport *t = j->transport;

	*(j->prev != NULL ? &j->prev->next : &t->first) = j->next;
	*(j->next != NULL ? &j->next->prev : &t->last) = j->prev;
}

static struct job *
job_find(struct message *m, struct transport *t)
{
	struct job *j = m->jobs;

	while (j != NULL && j->transport != t)
		j = j->msg_next;
	if (j != NULL)
		return j;
	j = calloc(1, sizeof *j);
	if (j == NULL)
		log_out_of_memory();
	*j = (struct job){ .msg = m, .transport = t, .order = (double)m->seq, .msg_next = m->jobs };
	m->jobs = j;
	job_link(j);
	return j;
}

/* A finished child gives back what was reserved for it and not used; its own children go to its parent. */
static void
job_free(struct job *j)
{
	struct transport *t = j->transport;
	struct job **at = &j->msg->jobs;

	assert(j->first == NULL);
	if (j->parent != NULL) {
		j->parent->slots_available -= j->slots_used * t->slot_cost;
		j->parent->children--;
	}
	for (struct job *k = t->first; j->children > 0 && k != NULL; k = k->next) {
		if (k->parent != j)
			continue;
		k->parent = j->parent;
		j->children--;
		if (j->parent != NULL)
			j->parent->children++;
	}
	if (t->candidate == j || t->candidate_for == j)
		t->candidate_for = NULL;
	while (*at != j)
		at = &(*at)->msg_next;
	*at = j->msg_next;
	job_unlink(j);
	free(j);
}

static void
settle(struct job *j)
{
	if (j->first == NULL && j->msg->next_recipient == 0)
		job_free(j);
}

void
job_settle(struct message *m)
{
	struct job *next;

	for (struct job *j = m->jobs; j != NULL; j = next) {
		next = j->msg_next;
		settle(j);
	}
}

/* --- peers --- */

/* The last peer that does not come behind job j: the place for a new one, or the one that is there already. */
static struct peer *
peer_place(struct dest *d, const struct job *j)
{
	struct peer *p = d->last;

	while (p != NULL && p->job->order > j->order)
		p = p->above;
	return p;
}

static void
peer_link_dest(struct peer *p)
{
	struct dest *d = p->dest;

	p->above = peer_place(d, p->job);
	p->below = p->above != NULL ? p->above->below : d->first;
	*(p->above != NULL ? &p->above->below : &d->first) = p;
	*(p->below != NULL ? &p->below->above : &d->last) = p;
}

static void
peer_unlink_dest(struct peer *p)
{
	*(p->above != NULL ? &p->above->below : &p->dest->first) = p->below;
	*(p->below != NULL ? &p->below->above : &p->dest->last) = p->above;
}

static void
peer_link_job(struct peer *p)
{
	struct job *j = p->job;

	p->prev = j->last;
	p->next = NULL;
	*(j->last != NULL ? &j->last->next : &j->first) = p;
	j->last = p;
}

static void
peer_unlink_job(struct peer *p)
{
	*(p->prev != NULL ? &p->prev->next : &p->job->first) = p->next;
	*(p->next != NULL ? &p->next->prev : &p->job->last) = p->prev;
}

static struct peer *
peer_find(struct job *j, struct dest *d)
{
	struct peer *p = peer_place(d, j);

	if (p != NULL && p->job == j)
		return p;
	p = calloc(1, sizeof *p);
	if (p == NULL)
		log_out_of_memory();
	p->job = j;
	p->dest = d;
	peer_link_dest(p);
	peer_link_job(p);
	return p;
}

void
job_add(struct entry *e)
{
	struct job *j = job_find(e->msg, e->dest->transport);
	struct peer *p = peer_find(j, e->dest);

	e->peer = p;
	e->prev = p->last;
	e->next = NULL;
	*(p->last != NULL ? &p->last->next : &p->first) = e;
	p->last = e;
	e->dest->todo++;
	j->read++;
	j->recipients += (long)e->nrcpt;
	j->transport->recipients += (long)e->nrcpt;
}

/* Out of its peer, which goes with its last entry. */
static void
entry_unlink(struct entry *e)
{
	struct peer *p = e->peer;

	*(e->prev != NULL ? &e->prev->next : &p->first) = e->next;
	*(e->next != NULL ? &e->next->prev : &p->last) = e->prev;
	e->prev = e->next = NULL;
	e->peer = NULL;
	e->dest->todo--;
	if (p->first != NULL)
		return;
	peer_unlink_dest(p);
	peer_unlink_job(p);
	free(p);
}

void
entry_withdraw(struct entry *e)
{
	struct job *j = e->peer->job;

	entry_unlink(e);
	dest_update(e->dest);
	j->read--;
	j->recipients -= (long)e->nrcpt;
	j->transport->recipients -= (long)e->nrcpt;
	settle(j);
}

/* --- preemption --- */

static struct peer *
ready_peer(const struct job *j)
{
	struct peer *p = j->first;

	while (p != NULL && p->dest->place == 0)
		p = p->next;
	return p;
}

static long
max_entries(const struct job *j)
{
	return j->read + j->msg->unread;
}

/* Whole seconds in the active queue, by a clock that nobody sets. */
static double
age(const struct job *j)
{
	const int64_t seconds = (clock_ms() - j->msg->entered) / 1000;

	return (double)seconds;
}

/* The job after c that gains most by going first, and that c can pay for. */
static struct job *
find_candidate(const struct job *c)
{
	long most = (c->read - c->selected + c->slots_available) / c->transport->slot_cost;
	double best_score = 0;
	struct job *best = NULL;

	for (struct job *j = c->next; most > 0 && j != NULL; j = j->next) {
		long all = max_entries(j), need = all - j->selected;

		if (best != NULL && j->level == 0 && age(j) + 1 <= best_score)
			break;
		if (j->children > 0 || need <= 0 || need > most || ready_peer(j) == NULL)
			continue;
		double score = (age(j) + 1) / (double)all;

		if (score > best_score) {
			best_score = score;
			best = j;
		}
	}
	return best;
}

static struct job *
candidate_for(struct job *c)
{
	struct transport *t = c->transport;
	int64_t now = clock_wall().tv_sec;	/* only compared for being another one */

	if (t->candidate_for != c || t->candidate_at != now) {
		t->candidate = find_candidate(c);
		t->candidate_for = c;
		t->candidate_at = now;
	}
	/* Its destinations may have filled up since. */
	return t->candidate != NULL && ready_peer(t->candidate) != NULL ? t->candidate : NULL;
}

/* Directly before c, in the transport and in every destination. False: no number is left between c and the one before. */
static bool
move_before(struct job *j, struct job *c)
{
	double low = c->prev != NULL ? c->prev->order : c->order - 2, order = low + (c->order - low) / 2;

	if (order <= low || order >= c->order)
		return false;
	for (struct peer *p = j->first; p != NULL; p = p->next) {
		heap_remove(&j->transport->ready, p->dest);
		peer_unlink_dest(p);
	}
	job_unlink(j);
	j->order = order;
	job_link(j);
	for (struct peer *p = j->first; p != NULL; p = p->next) {
		peer_link_dest(p);
		dest_update(p->dest);
	}
	return true;
}

/* The job to serve when c is the first one that could be. */
static struct job *
preempt(struct job *c)
{
	const struct transport *t = c->transport;
	struct job *j;

	if (t->slot_cost < 2 || c->slots_available <= 0 || max_entries(c) < (long)t->minimum_slots * t->slot_cost ||
	    (j = candidate_for(c)) == NULL)
		return c;
	long need = max_entries(j) - j->selected, earned = c->slots_available / t->slot_cost + t->slot_loan;

	if (need > (c->read - c->selected + c->slots_available) / t->slot_cost ||
	    (double)earned < (double)need * (100 - t->slot_discount) / 100 ||
	    !move_before(j, c))
		return c;
	if (j->parent != NULL)
		j->parent->children--;
	c->slots_available -= need * t->slot_cost;
	c->children++;
	j->slots_used = -need;
	j->level = c->level + 1;
	j->parent = c;
	return j;
}

/* --- recipients in memory --- */

/* The oldest job with unread recipients owns all that is left of the pool; one that has preempted gets some extra. */
static long
room(const struct job *j)
{
	const struct transport *t = j->transport;
	const struct job *owner = t->first;
	long extra = j->level > 0 ? (t->extra_pool + 1) / 2 - j->recipients : 0, left = t->pool - t->recipients;

	while (owner != NULL && owner != j && owner->msg->next_recipient == 0)
		owner = owner->next;
	if (owner != j || left < extra)
		left = extra;
	return left < 0 ? 0 : left;
}

void
job_refill(struct message *m, const struct transport *t)
{
	struct job *j = m->jobs;

	while (j != NULL && j->transport != t)
		j = j->msg_next;
	if (j == NULL)
		return;
	if (m->next_recipient != 0) {
		long n = room(j);

		if (n >= t->refill_limit || j->first == NULL ||
		    (n > 0 && clock_ms() - m->refilled >= (int64_t)t->refill_delay * 1000))
			message_more_recipients(m, n);
	}
	job_settle(m);
}

struct entry *
job_select(struct transport *t)
{
	const struct dest *ready = heap_first(&t->ready);
	struct job *j = preempt(ready->first->job);
	struct peer *p = ready_peer(j);
	struct entry *e = p->first;

	j->selected++;
	j->slots_available++;
	j->slots_used++;
	j->recipients -= (long)e->nrcpt;
	peer_unlink_job(p);
	peer_link_job(p);
	entry_unlink(e);
	e->dest->busy++;
	t->busy++;
	dest_update(e->dest);
	return e;
}
