/*
 * view.c - reads a queue file and its logs for a list. Trusts neither; all text that leaves is made printable.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/log.h"
#include "conf/conf.h"
#include "mail/bounce_log.h"
#include "mail/queue.h"
#include "mail/rec.h"
#include "mail/route.h"
#include "mail/view.h"
#include "smtp/address.h"

struct reading {
	const struct view_reader *reader;
	void *arg;
	struct arena *mem, *scratch;	/* scratch: of one recipient */
	const char *queue, *id;
	const struct stat *st;
	struct routing routing;
	struct span redirect;
	struct hash *seen;		/* recipients that a log has shown */
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

static bool
room_for_more(const struct reading *l)
{
	return conf.duplicate_filter_limit <= 0 || hash_count(l->seen) < (size_t)conf.duplicate_filter_limit;
}

/* Few messages have a bounce log, and only while they are delivered: not to look for one is most of what a long list saves. */
static struct hash *bounce_logs;

void
view_begin(void)
{
	struct queue_scan *scan = queue_scan_open("bounce");
	const char *id;

	hash_free(&bounce_logs, NULL);
	bounce_logs = hash_new();
	while (queue_scan_next(scan, &id))
		(void)hash_put(bounce_logs, span_str(id), scan);
	queue_scan_close(&scan);
}

static struct log_reader *
open_log(const char *queue, const char *id)
{
	if (bounce_logs != NULL && strcmp(queue, "bounce") == 0 && hash_get(bounce_logs, span_str(id)) == NULL)
		return NULL;
	return log_reader_open(queue, id);
}

static void
show_logged(struct reading *l, const char *queue)
{
	struct log_reader *log = open_log(queue, l->id);
	struct log_entry e;

	while (log != NULL && !l->enough && log_reader_next(log, &e)) {
		show_recipient(l, e.original, e.recipient, queue, e.reason);
		if (l->seen == NULL)
			l->seen = hash_new();
		if (room_for_more(l))
			(void)hash_put(l->seen, span_lower(e.recipient, l->scratch), l);
		arena_reset(l->scratch);
	}
	log_reader_close(&log);
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
	show_logged(l, "defer");
	show_logged(l, "bounce");
}

static void
show_unlogged(struct reading *l, struct span address)
{
	struct span to = external(address, l->scratch);

	if (l->seen == NULL || hash_get(l->seen, span_lower(to, l->scratch)) == NULL)
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
read_records(struct reading *l, int fd, const char *path)
{
	struct rec_reader reader;
	struct rec r;
	struct err e = {0};

	rec_reader_init(&reader, fd, 0);
	for (;;) {
		if (!rec_next(&reader, &r, &e)) {
			log_warning("%s: %s", path, e.text);
			break;
		}
		if (!take(l, &reader, &r) || l->enough)
			break;
	}
	rec_reader_free(&reader);
}

bool
view_read(const char *queue, const char *id, const char *path, struct arena *mem, const struct view_reader *reader, void *arg)
{
	struct stat st;
	struct reading l = { .reader = reader, .arg = arg, .mem = mem, .queue = queue, .id = id, .st = &st };
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0) {
		if (errno != ENOENT)	/* it may have moved on since the directory was read */
			log_warning("open %s: %s", path, strerror(errno));
		return false;
	}
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & QUEUE_MODE_READY) == QUEUE_MODE_READY) {
		l.scratch = arena_new();
		if (reader->transports)
			read_routing(&l, fd);
		read_records(&l, fd, path);
		hash_free(&l.seen, NULL);
		arena_free(&l.scratch);
	}
	(void)close(fd);
	return l.started && !l.enough;
}
