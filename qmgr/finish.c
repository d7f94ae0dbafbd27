/*
 * finish.c - all recipients of a batch were tried: next batch, reports, and then the file is removed or deferred.
 * Steps: more recipients -> bounce report -> trace report -> (something deferred) expired / delay warning / back-off
 * -> else removed. A report that fails keeps the message in the queue.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "mail/bounce_client.h"
#include "mail/delivery_log.h"
#include "mail/queue.h"
#include "mail/rec.h"
#include "qmgr/qmgr.h"

void
entry_done(struct entry *e)
{
	struct message *m = e->msg;

	message_recipients -= (long)e->nrcpt;
	batch_release(e->batch);
	if (--m->entries == 0)
		message_finish(m);
}

void
entry_defer_here(struct entry *e, const char *reason)
{
	struct message *m = e->msg;
	struct delivery d = { .mem = e->batch->mem, .queue_id = span_str(m->id), .arrival = m->arrival, .fd = -1 };
	struct dsn_text t = { .code = { 4, 3, 0 }, .reason = span_str(reason) };

	for (size_t i = 0; i < e->nrcpt; i++) {
		const struct recipient *r = &e->rcpt[i];
		struct delivery_rcpt rcpt = { .original = r->original, .address = r->address, .offset = r->offset,
		    .dsn_orcpt = r->dsn_orcpt, .notify = r->notify };

		(void)bounce_log_append(BOUNCE_LOG_DEFER, d.queue_id, &rcpt, &t, e->batch->mem);
		delivery_log(&d, &rcpt, "none", &t, "deferred");
		outcome_note(m, r, "deferred", t.code, reason);
	}
	m->deferred = true;
	m->logs |= DELIVERY_LOG_DEFER;
	entry_done(e);
}

static bool
log_exists(const struct message *m, const char *queue)
{
	char path[QUEUE_PATH_MAX];
	struct stat st;

	queue_path(path, queue, m->id);
	return stat(path, &st) == 0 && st.st_size > 0;
}

static int64_t
age(const struct message *m)
{
	return (int64_t)clock_wall().tv_sec - m->create_time;
}

static void defer(struct message *);

/* A log can only be there when this attempt wrote to it, or an earlier attempt was ours to look at. */
static bool
may_have(const struct message *m, unsigned log)
{
	return (m->logs & log) != 0 || !m->fresh;
}

static void
defer_again(void *arg, unsigned events)
{
	(void)events;
	defer(arg);
}

static void
defer(struct message *m)
{
	char path[QUEUE_PATH_MAX];
	int64_t delay = age(m);

	if (delay < conf.minimal_backoff_time)
		delay = conf.minimal_backoff_time;
	if (delay > conf.maximal_backoff_time)
		delay = conf.maximal_backoff_time;
	struct timeval next = { clock_wall().tv_sec + delay, 0 };

	outcome_save(m);

	/* In this order: killed in between, the message is tried too early, not left lying where it is with a time to come. */
	queue_path(path, "deferred", m->id);
	if (!queue_rename(m->id, m->queue, "deferred")) {
		if (message_stuck(m, "deferred", defer_again))
			return;
	} else if (utimes(path, (struct timeval[2]){ next, next }) != 0 && errno != ENOENT)
		log_warning("update %s time stamps: %s", path, strerror(errno));
	message_free(m);
}

struct removal {
	struct task task;
	struct message *msg;
	char path[QUEUE_PATH_MAX];
	int error;
};

static void
removal_work(struct task *task)
{
	struct removal *r = (struct removal *)task;

	r->error = unlink(r->path) == 0 ? 0 : errno;
}

static void
removal_done(struct task *task)
{
	struct removal *r = (struct removal *)task;
	struct message *m = r->msg;

	if (r->error != 0 && r->error != ENOENT) {
		log_warning("remove %s: %s", r->path, strerror(r->error));
		defer(m);
	} else {
		log_info("%s: removed", m->id);
		message_free(m);
	}
	free(r);
}

/* All recipients are marked done in the file, so a crash before the unlink costs nothing but a look at it. */
static void
remove_message(struct message *m, bool expired)
{
	struct removal *r = calloc(1, sizeof *r);

	if (r == NULL)
		log_out_of_memory();
	outcome_write(m, expired);
	r->task = (struct task){ .work = removal_work, .done = removal_done };
	r->msg = m;
	queue_path(r->path, m->queue, m->id);
	pool_submit(qmgr_pool, &r->task);
}

static void
bounce_failed(struct message *m)
{
	log_info("%s: status=deferred (bounce failed)", m->id);
	m->deferred = true;
}

static void
expired_done(struct message *m, bool ok)
{
	if (ok) {
		remove_message(m, true);
		return;
	}
	bounce_failed(m);
	defer(m);
}

static bool
is_expired(const struct message *m)
{
	int64_t limit = m->sender.n == 0 ? conf.bounce_queue_lifetime : conf.maximal_queue_lifetime;

	if (limit > conf.maximal_queue_lifetime)
		limit = conf.maximal_queue_lifetime;
	return m->expire || age(m) >= limit;
}

static void
expire(struct message *m)
{
	struct arena *mem = arena_new();

	log_info("%s: from=<%s>, status=%s, returned to sender", m->id, log_address(m->sender, mem),
	    m->expire ? "force-expired" : "expired");
	arena_free(&mem);
	report_send(REPORT_DEFER, BOUNCE_SEND_FLUSH, m, expired_done, m);
}

/* The W record in the file says that the warning was sent. */
static void
mark_warned(struct message *m)
{
	struct buf rec = {0};
	int fd;

	rec_putf(&rec, REC_WARN, "%15ld", -1L);
	if (message_open(m, O_RDWR, &fd)) {
		if (pwrite(fd, rec.p, rec.n, m->warn_offset) != (ssize_t)rec.n)
			log_warning("%s: cannot mark the delay warning as sent: %s", m->id, strerror(errno));
		(void)close(fd);
	}
	buf_free(&rec);
}

static void
warned(struct message *m, bool ok)
{
	if (ok)
		mark_warned(m);
	defer(m);
}

static void
finish_deferred(struct message *m)
{
	if (is_expired(m))
		expire(m);
	else if (m->warn_time > 0 && m->warn_offset > 0 && clock_wall().tv_sec >= m->warn_time)
		report_send(REPORT_DEFER, BOUNCE_SEND_WARN, m, warned, m);
	else
		defer(m);
}

static void
after_reports(struct message *m)
{
	if (m->deferred)
		finish_deferred(m);
	else
		remove_message(m, false);
}

static void
traced(struct message *m, bool ok)
{
	if (!ok)
		m->deferred = true;
	after_reports(m);
}

static void
after_bounce(struct message *m)
{
	if (may_have(m, DELIVERY_LOG_TRACE) && log_exists(m, "trace"))
		report_send(REPORT_TRACE, BOUNCE_SEND_TRACE, m, traced, m);
	else
		after_reports(m);
}

static void
bounced(struct message *m, bool ok)
{
	if (!ok)
		bounce_failed(m);
	after_bounce(m);
}

void
message_finish(struct message *m)
{
	if (m->moving) {		/* called again when it has a place */
		m->finish_later = true;
		return;
	}
	while (m->next_recipient != 0) {
		m->entries++;		/* or it would be finished from within */
		message_more_recipients(m, LONG_MAX);
		if (--m->entries > 0)
			return;
	}
	job_settle(m);
	message_stays(m);
	if (m->corrupt_why != NULL)
		message_corrupt(m);
	else if (may_have(m, DELIVERY_LOG_BOUNCE) && log_exists(m, "bounce"))
		report_send(REPORT_BOUNCE, m->verp.n > 0 ? BOUNCE_SEND_VERP : BOUNCE_SEND_FLUSH, m, bounced, m);
	else
		after_bounce(m);
}
