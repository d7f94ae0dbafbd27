/*
 * message.c - a message in memory: its envelope and its first recipients are read from the queue file.
 * Trusts no queue file: what cannot be parsed goes to corrupt/ and nothing else suffers.
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
#include "base/log.h"
#include "base/vec.h"
#include "conf/conf.h"
#include "io/file.h"
#include "mail/delivery_log.h"
#include "mail/queue.h"
#include "mail/rec.h"
#include "qmgr/qmgr.h"

#define BATCH_RECIPIENTS	5000u	/* read at a time, so that one message cannot fill the memory */
#define MAX_ATTRIBUTES		1000u
#define STUCK_MS		5000	/* until a rename is tried again */

size_t message_count, message_probes;
long message_recipients;

struct text_attribute {
	const char *name;
	size_t offset;			/* of a struct span in struct message */
};

static const struct text_attribute text_attributes[] = {
	{ "encoding", offsetof(struct message, encoding) },
	{ "envelope_id", offsetof(struct message, envelope_id) },
	{ "log_client_name", offsetof(struct message, client_name) },
	{ "log_client_address", offsetof(struct message, client_addr) },
	{ "log_client_port", offsetof(struct message, client_port) },
	{ "log_protocol_name", offsetof(struct message, client_proto) },
	{ "log_helo_name", offsetof(struct message, client_helo) },
	{ "log_ident", offsetof(struct message, log_ident) },
	{ "sasl_method", offsetof(struct message, sasl_method) },
	{ "sasl_username", offsetof(struct message, sasl_username) },
	{ "sasl_sender", offsetof(struct message, sasl_sender) },
	{ "rewrite_context", offsetof(struct message, rewrite_context) },
};

static int64_t
number(struct span s, int64_t fallback)
{
	int64_t v;

	return span_to_i64(span_trim(s), &v) ? v : fallback;
}

static void
take_attribute(struct message *m, struct span payload)
{
	struct span name, value;

	if (!rec_parse_attr(payload, &name, &value))
		return;
	for (size_t i = 0; i < sizeof text_attributes / sizeof *text_attributes; i++) {
		if (span_is(name, text_attributes[i].name)) {
			struct span copy = span_copy(value, m->mem);

			memcpy((char *)m + text_attributes[i].offset, &copy, sizeof copy);
			return;
		}
	}
	if (span_is(name, "create_time"))
		m->create_time = number(value, m->create_time);
	else if (span_is(name, "ret_flags"))
		m->ret_flags = (unsigned)number(value, 0) & (DSN_RET_FULL | DSN_RET_HDRS);
	else if (span_is(name, "trace_flags"))
		m->trace_flags = (unsigned)number(value, 0) & (DELIVERY_FLAG_PROBE | DELIVERY_FLAG_RECORD | DELIVERY_FLAG_REC_DELAY);
}

/* One record ahead of the recipients. False: not legal here. */
static bool
take_envelope(struct message *m, const struct rec *r)
{
	struct span word, rest = r->payload;
	struct rec_size size;

	switch (r->type) {
	case REC_SIZE:
		if (!rec_parse_size(r->payload, &size) || size.data_size <= 0 || size.data_offset <= 0 || size.rcpt_count < 0 ||
		    (size.qmgr_flags & ~(int64_t)(REC_QMGR_MIXED | 15 << 1)) != 0)
			return false;
		m->data_offset = size.data_offset;
		m->data_size = size.data_size;
		m->cont_length = size.cont_length;
		m->rcpt_count = m->unread = (long)size.rcpt_count;
		m->sendopts = (unsigned)size.sendopts;
		if ((size.qmgr_flags & DSN_NOTIFY_SUCCESS << 1) != 0)
			m->logs |= DELIVERY_LOG_TRACE;	/* cleanup(8) reports the expansion of aliases */
		return true;
	case REC_TIME:
		m->arrival.tv_sec = span_take_word(&rest, " ", &word) ? number(word, 0) : 0;
		m->arrival.tv_usec = span_take_word(&rest, " ", &word) ? number(word, 0) : 0;
		return m->arrival.tv_sec > 0;
	case REC_CREATE_TIME:
		m->create_time = number(r->payload, m->create_time);
		return true;
	case REC_FROM:
		if (m->have_sender)
			return false;
		m->have_sender = true;
		m->sender = span_copy(r->payload, m->mem);
		return true;
	case REC_ATTR:
		take_attribute(m, r->payload);
		return true;
	case REC_FILTER:
		m->filter = span_copy(r->payload, m->mem);
		return true;
	case REC_REDIRECT:
		m->redirect = span_copy(r->payload, m->mem);
		return true;
	case REC_VERP:
		m->verp = span_copy(r->payload, m->mem);
		return true;
	case REC_WARN:
		m->warn_offset = r->offset;
		m->warn_time = number(span_trim(r->payload), 0);
		if (m->warn_time < 0 && conf.confirm_delay_cleared)
			m->trace_flags |= DELIVERY_FLAG_REC_DELAY;
		return true;
	default:
		return rec_type_in(r->type, "FIKOionre<");
	}
}

struct reading {
	struct arena *mem;
	struct vec all;			/* of struct recipient */
	struct recipient next;		/* what the coming R record will get */
	size_t limit;
	long seen;			/* recipients, done ones included */
};

static void
take_recipient_attribute(struct message *m, struct reading *in, struct span payload)
{
	struct span name, value;

	if (!rec_parse_attr(payload, &name, &value))
		return;
	if (span_is(name, "dsn_orig_rcpt"))
		in->next.dsn_orcpt = span_copy(value, in->mem);
	else if (span_is(name, "notify_flags"))
		in->next.notify = (unsigned)number(value, 0) & 15u;
	else
		take_attribute(m, payload);
}

static void
take_recipient(struct message *m, struct reading *in, const struct rec *r)
{
	if (r->type == REC_DONE)
		outcome_done_before(m, r->payload);
	if (r->type == REC_RCPT) {
		in->next.address = span_copy(r->payload, in->mem);
		in->next.offset = r->offset;
		*(struct recipient *)vec_add(&in->all) = in->next;
	}
	in->seen++;
	in->next = (struct recipient){0};
}

/* A record among the recipients. False: not legal here. */
static bool
take_recipient_record(struct message *m, struct reading *in, const struct rec *r)
{
	switch (r->type) {
	case REC_RCPT:
	case REC_DONE:
	case REC_CANCELED:
		take_recipient(m, in, r);
		return m->have_sender;
	case REC_ORIG_RCPT:
		in->next.original = span_copy(r->payload, in->mem);
		return true;
	case REC_ATTR:
		take_recipient_attribute(m, in, r->payload);
		return true;
	default:
		return take_envelope(m, r);
	}
}

/*
 * Read from where m->next_recipient (or the start) says until there are enough or the file ends. A recipient group
 * that there is no room for is read again next time: next_recipient points at its first record.
 */
static bool
read_records(struct message *m, int fd, struct reading *in, struct err *e)
{
	struct rec_reader reader;
	struct rec r;
	int64_t group = m->next_recipient;
	bool ok = true, done = false;

	rec_reader_init(&reader, fd, m->next_recipient);
	while (!done && (ok = rec_next(&reader, &r, e))) {
		if (r.type == REC_MESSAGE && !m->in_extracted && m->data_offset > 0) {
			rec_reader_seek(&reader, m->data_offset + m->data_size);
			m->in_extracted = true;
		} else if (r.type == REC_EXTRACT && m->in_extracted) {
			/* the marker itself */
		} else if (r.type == REC_END) {
			group = 0;
			done = true;
		} else if (!take_recipient_record(m, in, &r)) {
			ok = err_perm(e, "unexpected record type %d at offset %ld", r.type, (long)r.offset);
			done = true;
		}
		if (rec_type_in(r.type, "RD/M"))
			group = reader.at;
		if (in->all.n == in->limit && r.type == REC_RCPT)
			done = true;
	}
	m->next_recipient = ok ? group : 0;
	m->unread = m->next_recipient == 0 || m->unread < in->seen ? 0 : m->unread - in->seen;
	m->refilled = clock_ms();
	rec_reader_free(&reader);
	return ok;
}

static bool
is_probe(const struct message *m)
{
	return (m->trace_flags & DELIVERY_FLAG_MTA_PROBE) != 0;
}

bool
message_open(struct message *m, int flags, int *fd)
{
	*fd = queue_open_moving(m->queue, m->id, flags);
	return *fd >= 0;
}

void
message_free(struct message *m)
{
	if (is_probe(m))
		message_probes--;
	message_unwatch(m);
	arena_free(&m->mem);
	vec_free(&m->logged);
	free(m->id);
	free(m);
	message_count--;
	scan_message_gone();
}

int64_t
stuck_ms(void)
{
	const int64_t scan = (int64_t)conf.queue_run_delay * 1000;

	return scan < STUCK_MS ? scan : STUCK_MS;
}

bool
message_stuck(struct message *m, const char *to, void (*fn)(void *arg, unsigned events))
{
	if (errno == ENOENT)
		return false;
	if (!m->stuck)
		log_warning("rename %s from %s to %s: %s", m->id, m->queue, to, strerror(errno));
	m->stuck = true;
	(void)loop_after(qmgr_loop, stuck_ms(), fn, m);
	return true;
}

static void
set_aside(void *arg, unsigned events)
{
	struct message *m = arg;

	(void)events;
	if (queue_rename(m->id, m->queue, "corrupt") || !message_stuck(m, "corrupt", set_aside))
		message_free(m);
}

void
message_corrupt(struct message *m)
{
	log_warning("%s: %s", m->id, m->corrupt_why);
	log_warning("saving corrupt file \"%s\" from queue \"%s\" to queue \"corrupt\"", m->id, m->queue);
	set_aside(m, 0);
}

/* How many may be read at once: what the memory of all has left, but some for every message. */
static size_t
read_limit(long wanted)
{
	long left = conf.qmgr_message_recipient_limit - message_recipients;

	if (wanted > left)
		wanted = left;
	if (wanted < conf.qmgr_message_recipient_minimum)
		wanted = conf.qmgr_message_recipient_minimum;
	return wanted < BATCH_RECIPIENTS ? (size_t)wanted : BATCH_RECIPIENTS;
}

static bool
read_batch(struct message *m, int fd, long wanted, struct reading *in)
{
	struct err e = {0};

	*in = (struct reading){ .mem = arena_new(), .all = VEC_INIT(struct recipient), .limit = read_limit(wanted) };
	if (read_records(m, fd, in, &e))
		return true;
	m->corrupt_why = span_cstr(span_str(e.text), m->mem);
	vec_free(&in->all);
	arena_free(&in->mem);
	return false;
}

void
batch_release(struct batch *b)
{
	struct arena *mem = b->mem;	/* holds b itself */

	if (--b->entries == 0)
		arena_free(&mem);
}

/* Entries may come to their end at once; the message waits until all are assigned. */
static void
assign(struct message *m, struct reading *in)
{
	struct batch *b = ARENA_NEW(in->mem, struct batch);

	*b = (struct batch){ .mem = in->mem, .entries = 1 };
	m->entries++;
	recipients_assign(m, b, in->all.p, in->all.n);
	vec_free(&in->all);
	batch_release(b);
	if (--m->entries == 0)
		message_finish(m);
}

void
message_more_recipients(struct message *m, long limit)
{
	struct reading in;
	int fd;

	if (!message_open(m, O_RDONLY, &fd)) {
		log_warning("open %s %s: %s", m->queue, m->id, strerror(errno));
		m->next_recipient = 0;
		m->deferred = true;
		return;
	}
	bool ok = read_batch(m, fd, limit, &in);

	(void)close(fd);
	if (ok)
		assign(m, &in);
}

/* Act upon the group bits that flush(8) and postsuper(1) leave in the mode. */
static bool
check_mode(struct message *m, int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return false;
	if (st.st_mode & (QUEUE_MODE_UNTHROTTLE | QUEUE_MODE_EXPIRE)) {
		m->expire = (st.st_mode & QUEUE_MODE_EXPIRE) != 0;
		if (st.st_mode & QUEUE_MODE_UNTHROTTLE)
			transport_revive_all();
		(void)fchmod(fd, st.st_mode & ~(mode_t)(QUEUE_MODE_UNTHROTTLE | QUEUE_MODE_EXPIRE) & 07777);
	}
	return true;
}

static struct message *
new_message(const char *id, const char *queue, bool fresh)
{
	static uint64_t seq;
	struct message *m = calloc(1, sizeof *m);

	if (m == NULL)
		log_out_of_memory();
	m->mem = arena_new();
	m->id = span_strdup(span_str(id));
	m->queue = queue;
	m->seq = ++seq;
	m->active = clock_wall();
	m->entered = clock_ms();
	m->fresh = fresh;
	outcome_recover(m);
	return m;
}

static void
log_active(const struct message *m)
{
	struct arena *scratch = arena_new();

	log_info("%s: from=<%s>, size=%ld, nrcpt=%ld (queue active)", m->id, log_address(m->sender, scratch),
	    (long)m->cont_length, m->rcpt_count);
	arena_free(&scratch);
}

void
message_admit(const char *id, const char *queue, bool fresh, int fd)
{
	struct message *m = new_message(id, queue, fresh);
	struct reading in;

	message_watch(m);
	if (!m->fresh)
		(void)check_mode(m, fd);
	bool ok = read_batch(m, fd, BATCH_RECIPIENTS, &in);

	(void)close(fd);
	if (ok && (m->data_offset <= 0 || m->arrival.tv_sec == 0 || !m->have_sender)) {
		m->corrupt_why = "no size, time or sender record in the envelope";
		vec_free(&in.all);
		arena_free(&in.mem);
		ok = false;
	}
	if (is_probe(m))
		message_probes++;
	if (!ok) {
		message_corrupt(m);
		return;
	}
	if (m->expire && expired_read_log(m)) {
		m->logs |= DELIVERY_LOG_DEFER;
		m->deferred = true;
	} else if (!m->fresh) {
		(void)queue_unlink("defer", m->id);
	}
	if (m->create_time == 0)
		m->create_time = m->arrival.tv_sec;
	log_active(m);
	if (m->verp.n > 0 && m->sender.n == 0) {
		log_warning("%s: ignoring VERP request for null sender", m->id);
		m->verp = SPAN_NULL;
	}
	assign(m, &in);
}
