/*
 * view.c - reads a queue file and its logs for a list. Trusts neither; all text that leaves is made printable.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "conf/conf.h"
#include "io/file.h"
#include "mail/bounce_log.h"
#include "mail/queue.h"
#include "mail/rec.h"
#include "mail/route.h"
#include "mail/view.h"
#include "smtp/address.h"

#define LOGS_FRESH_MS	5000
#define CLOCK_STEPS	16	/* messages between two looks at the clock */
#define FEW_SEEN	8
#define SEEN_KEPT	100

static const char *const log_queues[] = { "defer", "bounce" };		/* in the order in which they are shown */
#define LOG_QUEUES	(sizeof log_queues / sizeof *log_queues)

struct viewer {
	struct arena *scratch;		/* of one recipient */
	struct rec_reader records;
	struct log_reader *log;
	/* Recipients of the present message that a log has shown: few are compared with, many are looked up. */
	struct span few[FEW_SEEN];
	size_t n_few;
	struct hash *seen;
	struct file_closing closing;
	bool lists_logs;
	struct logs {
		struct hash *names;	/* which logs there are; NULL: not known */
		int64_t listed_ms;	/* when that was learned */
		unsigned asked;		/* how often */
		bool found;		/* there was one for the last message */
		int dir;		/* where that one is; -1 = none */
		char dir_name[QUEUE_PATH_MAX];
	} logs[LOG_QUEUES];
};

struct reading {
	const struct view_reader *reader;
	void *arg;
	struct viewer *viewer;
	struct arena *mem, *scratch;	/* scratch: of one recipient */
	const char *queue, *id;
	const struct stat *st;
	struct routing routing;
	struct span redirect;
	int64_t arrival, size;		/* 0 = unknown */
	bool started;			/* the message itself was shown */
	bool enough;			/* said the reader */
	struct span original;		/* for the next recipient */
};

static struct span
external(struct span internal, struct arena *mem)
{
	return span_printable(address_quote(internal, mem), mem);
}

/* What is printed as text of another form is not what was in the file, but its domain is. */
static struct span
transport(const struct reading *l, struct span address)
{
	struct span to = l->redirect.n > 0 ? l->redirect : address_unquote(address, l->scratch);
	struct route route;

	(void)route_recipient(&l->routing, to, l->scratch, &route);
	return route.transport;
}

static void
show_recipient(struct reading *l, struct span original, struct span address, const char *log, struct span reason)
{
	struct view_rcpt r = { .original = original, .address = address, .log_class = span_str(log), .reason = reason,
	    .has_original = true };

	if (l->enough)
		return;
	if (l->reader->transports && strcmp(l->queue, "maildrop") != 0)
		r.transport = transport(l, address);
	l->enough = !l->reader->recipient(l->arg, &r);
}

static void
note_seen(struct reading *l, struct span address)
{
	struct viewer *v = l->viewer;
	const size_t n = v->n_few + hash_count(v->seen);

	if (conf.duplicate_filter_limit > 0 && n >= (size_t)conf.duplicate_filter_limit)
		return;
	if (v->n_few < FEW_SEEN)
		v->few[v->n_few++] = span_copy(address, l->mem);
	else
		(void)hash_put(v->seen, span_lower(address, l->scratch), l);
}

static bool
was_seen(const struct reading *l, struct span address)
{
	const struct viewer *v = l->viewer;

	for (size_t i = 0; i < v->n_few; i++)
		if (span_ieq(address, v->few[i]))
			return true;
	return hash_count(v->seen) > 0 && hash_get(v->seen, span_lower(address, l->scratch)) != NULL;
}

struct viewer *
viewer_new(void)
{
	struct viewer *v = calloc(1, sizeof *v);

	if (v == NULL)
		log_out_of_memory();
	v->scratch = arena_new();
	v->seen = hash_new();
	for (size_t i = 0; i < LOG_QUEUES; i++)
		v->logs[i].dir = -1;
	return v;
}

static void
forget_logs(struct viewer *v)
{
	for (size_t i = 0; i < LOG_QUEUES; i++)
		hash_free(&v->logs[i].names, NULL);
}

void
viewer_free(struct viewer **vp)
{
	struct viewer *v = *vp;

	if (v == NULL)
		return;
	forget_logs(v);
	for (size_t i = 0; i < LOG_QUEUES; i++)
		file_close_later(&v->closing, v->logs[i].dir);
	file_close_now(&v->closing);
	hash_free(&v->seen, NULL);
	log_reader_close(&v->log);
	rec_reader_free(&v->records);
	arena_free(&v->scratch);
	free(v);
	*vp = NULL;
}

void
viewer_list_logs(struct viewer *v)
{
	v->lists_logs = true;
	forget_logs(v);
}

/*
 * Most messages have no bounce log, and those that were never tried no defer log: not to look for them is much of what a long
 * list saves. Where the last message has one this one has probably, too, and the look into the list is saved. A slow reader can
 * make the list last for hours, so it is learned anew.
 */
static bool
may_have_log(struct viewer *v, size_t queue, const char *id)
{
	struct logs *logs = &v->logs[queue];

	if (!v->lists_logs || logs->found)
		return true;
	if (logs->names == NULL || (++logs->asked % CLOCK_STEPS == 0 && clock_ms() - logs->listed_ms >= LOGS_FRESH_MS)) {
		hash_free(&logs->names, NULL);
		logs->names = queue_names(log_queues[queue]);
		logs->listed_ms = clock_ms();
	}
	return logs->names == NULL || (hash_count(logs->names) > 0 && hash_get(logs->names, span_str(id)) != NULL);
}

/* Messages of a directory have their logs in one directory, too: it is opened once. */
static bool
open_log(struct viewer *v, size_t queue, const char *id)
{
	struct logs *logs = &v->logs[queue];
	char path[QUEUE_PATH_MAX];

	queue_path(path, log_queues[queue], id);
	char *name = strrchr(path, '/');

	*name++ = '\0';
	if (logs->dir < 0 || strcmp(path, logs->dir_name) != 0) {
		file_close_later(&v->closing, logs->dir);
		logs->dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		(void)snprintf(logs->dir_name, sizeof logs->dir_name, "%s", path);
	}
	return logs->dir >= 0 && log_reader_again(&v->log, logs->dir, name);
}

static void
show_logged(struct reading *l, size_t queue)
{
	struct log_entry e;

	l->viewer->logs[queue].found = may_have_log(l->viewer, queue, l->id) && open_log(l->viewer, queue, l->id);
	if (!l->viewer->logs[queue].found)
		return;
	while (!l->enough && log_reader_next(l->viewer->log, &e)) {
		if (e.recipient.n > 0) {	/* else a damaged entry */
			show_recipient(l, e.original, e.recipient, log_queues[queue], e.reason);
			note_seen(l, e.recipient);
		}
		arena_reset(l->scratch);
	}
	file_close_later(&l->viewer->closing, log_reader_done(l->viewer->log));
}

static void
start(struct reading *l, struct span sender)
{
	const struct view v = { .queue_name = span_str(l->queue), .queue_id = span_str(l->id),
	    .sender = sender.n > 0 ? external(sender, l->mem) : span_str(conf.empty_address_recipient),
	    .time = l->arrival > 0 ? l->arrival : (int64_t)l->st->st_mtime, .size = l->size > 0 ? l->size : (int64_t)l->st->st_size,
	    .next_attempt = strcmp(l->queue, "deferred") == 0 ? (int64_t)l->st->st_mtime : 0,
	    .forced_expire = (l->st->st_mode & QUEUE_MODE_EXPIRE) != 0 };

	l->started = true;
	l->enough = !l->reader->message(l->arg, &v);
	if (l->enough || strcmp(l->queue, "maildrop") == 0)
		return;
	for (size_t i = 0; i < LOG_QUEUES; i++)
		show_logged(l, i);
}

static void
show_unlogged(struct reading *l, struct span address)
{
	struct span to = external(address, l->scratch);

	if (!was_seen(l, to))
		show_recipient(l, external(l->original, l->scratch), to, "", SPAN_NULL);
}

/* False: nothing of interest follows. */
static bool
take(struct reading *l, struct rec_reader *reader, const struct rec *r)
{
	struct rec_size size;
	struct span rest = r->payload;
	uint64_t n;

	switch (r->type) {
	case REC_SIZE:
		if (rec_parse_size(r->payload, &size) && size.data_size > 0 && size.data_offset > 0)
			l->size = size.data_size;
		return true;
	case REC_TIME:
		if (span_take_u64(&rest, &n))
			l->arrival = (int64_t)n;
		return true;
	case REC_FROM:
		if (!l->started)
			start(l, r->payload);
		return true;
	case REC_ORIG_RCPT:
		l->original = span_copy(r->payload, l->scratch);
		return true;
	case REC_RCPT:
		if (!l->started)
			return false;
		show_unlogged(l, r->payload);
		/* FALLTHROUGH */
	case REC_DONE:
	case REC_CANCELED:
		l->original = SPAN_NULL;
		arena_reset(l->scratch);
		return true;
	case REC_MESSAGE:
		if (l->size > 0)
			rec_reader_seek(reader, reader->at + l->size);
		return l->started;
	case REC_END:
		return false;
	default:
		return true;
	}
}

static void
take_routing(struct reading *l, const struct rec *r)
{
	struct span name, value;
	uint64_t n;

	if (r->type == REC_FROM)
		l->routing.sender = span_copy(r->payload, l->mem);
	else if (r->type == REC_FILTER)
		l->routing.filter = span_copy(r->payload, l->mem);
	else if (r->type == REC_REDIRECT)
		l->redirect = span_copy(r->payload, l->mem);
	else if (r->type == REC_ATTR && rec_parse_attr(r->payload, &name, &value) && span_is(name, "trace_flags") &&
	    span_to_u64(value, &n))
		l->routing.trace_flags = (unsigned)n;
}

/* Some of what decides about the transport stands behind the recipients. Damage is left to be found by read_records(). */
static void
read_routing(struct reading *l, int fd)
{
	struct rec_reader reader;
	struct rec_size size = {0};
	struct rec r;
	struct err e = {0};

	rec_reader_init(&reader, fd, 0);
	while (rec_next(&reader, &r, &e) && r.type != REC_END) {
		if (r.type == REC_SIZE)
			(void)rec_parse_size(r.payload, &size);
		else if (r.type != REC_MESSAGE)
			take_routing(l, &r);
		else if (size.data_size > 0)
			rec_reader_seek(&reader, reader.at + size.data_size);
		else
			break;
	}
	rec_reader_free(&reader);
}

static void
complain(const struct view_file *f, const char *what, const char *why)
{
	char path[QUEUE_PATH_MAX];

	queue_path(path, f->queue, f->id);
	log_warning("%s%s: %s", what, path, why);
}

static void
read_records(struct reading *l, int fd, const struct view_file *f)
{
	struct rec_reader *reader = &l->viewer->records;
	struct rec r;
	struct err e = {0};

	rec_reader_again(reader, fd, 0);
	do {
		if (!rec_next(reader, &r, &e)) {
			complain(f, "", e.text);
			return;
		}
	} while (take(l, reader, &r) && !l->enough);
}

/* Few messages have many recipients: the memory for these is not kept for the others. */
static void
forget_seen(struct viewer *v)
{
	v->n_few = 0;
	if (hash_count(v->seen) > SEEN_KEPT) {
		hash_free(&v->seen, NULL);
		v->seen = hash_new();
	} else if (hash_count(v->seen) > 0) {
		hash_clear(v->seen);
	}
}

bool
view_read(struct viewer *v, const struct view_file *f, struct arena *mem, const struct view_reader *reader, void *arg)
{
	struct stat st;
	struct reading l = { .reader = reader, .arg = arg, .viewer = v, .mem = mem, .scratch = v->scratch, .queue = f->queue,
	    .id = f->id, .st = &st };
	int fd = file_open_look(f->dir, f->path);

	if (fd < 0) {
		if (errno != ENOENT)	/* it may have moved on since the directory was read */
			complain(f, "open ", strerror(errno));
		return false;
	}
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & QUEUE_MODE_READY) == QUEUE_MODE_READY) {
		if (reader->transports)
			read_routing(&l, fd);
		read_records(&l, fd, f);
		forget_seen(v);
		arena_reset(l.scratch);
	}
	file_close_later(&v->closing, fd);
	return l.started && !l.enough;
}
