/*
 * envelope.c - envelope records from the client: checked one by one, addresses brought to standard form, recipients
 * filtered for duplicates, and written in the order that queue readers expect.
 *
 * SPDX-License-Identifier: ISC
 */
#include "base/log.h"
#include "cleanup/cleanup.h"
#include "conf/conf.h"
#include "mail/dsn.h"
#include "mail/rewrite.h"

/* What a client may send; sizes, ends and pointers are ours alone. */
static const char client_types[] = "TFILSROVAfnoi>";

static void
copy_span(struct message *m, struct span *to, struct span from)
{
	*to = span_copy(from, m->mem);
}

static bool
is_mailer_daemon(struct message *m, struct span address)
{
	struct span daemon = span_str(arena_printf(m->mem, "MAILER-DAEMON@%s", conf.myorigin));

	return span_ieq(address, daemon);
}

static void
take_sender(struct message *m, struct span address)
{
	struct span copy;

	if (m->have_sender) {
		message_trouble(m, CLEANUP_STAT_BAD, NULL);
		return;
	}
	m->have_sender = true;
	copy_span(m, &m->sender, address);
	if (m->sender.n > 0 && !standard_address(m, m->sender, &m->sender))
		return;
	if (is_mailer_daemon(m, m->sender))
		m->sender = SPAN_NULL;
	if (!map_canonical(m, ENVELOPE_SENDER, m->sender, &m->sender))
		return;
	if (!span_is_ascii(m->sender) && span_valid_utf8(m->sender))
		m->size.sendopts |= SENDOPT_SENDER_UTF8 | utf8_detected(m);
	rec_put(&m->out, REC_FROM, m->sender);
	if (map_sender_bcc(m, m->sender, &copy) && copy.n > 0)
		recipient_add_bcc(m, copy);
}

static void
put_warning_time(struct message *m)
{
	if (m->warned || conf.delay_warning_time <= 0 || m->sender.n == 0)
		return;
	m->warned = true;
	rec_putf(&m->out, REC_WARN, "%15ld", (long)(m->arrival.tv_sec + conf.delay_warning_time));
}

static void
forget_pending(struct message *m)
{
	m->pending_orcpt = m->pending_orig = SPAN_NULL;
	m->pending_notify = 0;
	m->have_pending_orig = false;
}

static void
take_recipient(struct message *m, struct span given)
{
	struct recipient r = { .address = given, .original = m->have_pending_orig ? m->pending_orig : given,
	    .orcpt = m->pending_orcpt, .notify = m->pending_notify };

	if (!m->have_sender) {
		message_trouble(m, CLEANUP_STAT_BAD, NULL);
		return;
	}
	put_warning_time(m);
	m->size.qmgr_flags |= (int64_t)r.notify << 1;
	m->recipients_seen = true;
	recipient_add(m, &r);
	forget_pending(m);
}

static bool
take_notify(struct message *m, struct span value)
{
	uint64_t n;

	if (!span_to_u64(value, &n) || n > 15)
		return false;
	m->pending_notify = (unsigned)n;
	return true;
}

static void
remember_attribute(struct message *m, struct span name, struct span value)
{
	const struct {
		const char *name;
		struct span *to;
	} kept[] = {
		{ "encoding", &m->encoding }, { "rewrite_context", &m->context }, { "envelope_id", &m->envelope_id },
		{ "log_message_origin", &m->origin }, { "log_protocol_name", &m->protocol }, { "log_helo_name", &m->helo },
	};

	for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
		if (span_is(name, kept[i].name))
			copy_span(m, kept[i].to, value);
}

/* queue_file_attribute_count_limit */
static bool
has_room(struct message *m)
{
	if (m->attributes++ < (unsigned)conf.queue_file_attribute_count_limit)
		return true;
	if ((m->status & CLEANUP_STAT_BAD) == 0)
		log_warning("%s: message rejected: attribute count exceeds limit %d", m->id, conf.queue_file_attribute_count_limit);
	message_trouble(m, CLEANUP_STAT_BAD, NULL);
	return false;
}

static void
take_attribute(struct message *m, const struct rec *r)
{
	struct span name, value;

	if (!rec_parse_attr(r->payload, &name, &value)) {
		message_trouble(m, CLEANUP_STAT_BAD, NULL);
	} else if (span_is(name, "notify_flags")) {
		if (!take_notify(m, value))
			message_trouble(m, CLEANUP_STAT_BAD, NULL);
	} else if (span_is(name, "dsn_orig_rcpt")) {
		copy_span(m, &m->pending_orcpt, value);
	} else if (value.n > 0 && !span_is(name, "create_time") && has_room(m)) {
		if (m->recipients_seen)
			m->size.qmgr_flags |= REC_QMGR_MIXED;
		remember_attribute(m, name, value);
		rec_put(&m->out, REC_ATTR, r->payload);
	}
}

/* "seconds microseconds" or "seconds" */
static bool
parse_time(struct span payload, struct timeval *out)
{
	struct span word;
	int64_t sec, usec = 0;

	if (!span_take_word(&payload, " ", &word) || !span_to_i64(word, &sec))
		return false;
	if (span_take_word(&payload, " ", &word) && !span_to_i64(word, &usec))
		return false;
	*out = (struct timeval){ sec, usec };
	return true;
}

static void
put_times(struct message *m)
{
	if (m->arrival.tv_sec == 0)
		m->arrival = m->created;
	rec_putf(&m->out, REC_TIME, "%ld %ld", (long)m->arrival.tv_sec, (long)m->arrival.tv_usec);
	rec_putf(&m->out, REC_ATTR, "create_time=%ld", (long)m->created.tv_sec);
}

/* Decimal CLEANUP_FLAG_* that come up while the client already sends: HOLD. */
static void
take_flags(struct message *m, struct span payload)
{
	const unsigned may_set = CLEANUP_FLAG_HOLD | CLEANUP_FLAG_DISCARD;
	uint64_t flags;

	if (!span_to_u64(payload, &flags) || (flags & ~(uint64_t)may_set) != 0)
		message_trouble(m, CLEANUP_STAT_BAD, NULL);
	else
		m->flags |= (unsigned)flags;
}

static void
take_record(struct message *m, const struct rec *r)
{
	switch (r->type) {
	case REC_FROM:
		take_sender(m, r->payload);
		break;
	case REC_RCPT:
		take_recipient(m, r->payload);
		break;
	case REC_DSN_NOTIFY:		/* of a BCC action: shows in the C record, as in the reference, and nowhere else */
		if (take_notify(m, r->payload))
			m->size.qmgr_flags |= (int64_t)m->pending_notify << 1;
		m->pending_notify = 0;
		break;
	case REC_ORIG_RCPT:
		copy_span(m, &m->pending_orig, r->payload);
		m->have_pending_orig = true;
		break;
	case REC_ATTR:
		take_attribute(m, r);
		break;
	case REC_FLAGS:
		take_flags(m, r->payload);
		break;
	case REC_TIME:
		break;			/* put_times() */
	case REC_FULL_NAME:
		copy_span(m, &m->full_name, r->payload);
		rec_put(&m->out, r->type, r->payload);
		break;
	default:
		if (m->recipients_seen)
			m->size.qmgr_flags |= REC_QMGR_MIXED;
		rec_put(&m->out, r->type, r->payload);
	}
}

/* A line break inside an envelope record could become a header or a log line of its own somewhere: refused. */
static bool
is_acceptable(const struct rec *r)
{
	return rec_type_in(r->type, client_types) && !span_has(r->payload, '\n') &&
	    !span_has(r->payload, '\r') && !span_has(r->payload, '\0');
}

/* FILTER and REDIRECT results: written by extracted_start(). */
static bool
is_for_message(enum rec_type type)
{
	return type == REC_FILTER || type == REC_REDIRECT;
}

void
extracted_start(struct message *m, struct span records)
{
	struct rec r;

	while (rec_take(&records, &r)) {
		if (!is_acceptable(&r))
			continue;	/* envelope_records() will say so */
		if (r.type == REC_FILTER && m->filter.n == 0)
			copy_span(m, &m->filter, r.payload);
		else if (r.type == REC_REDIRECT && m->redirect.n == 0)
			copy_span(m, &m->redirect, r.payload);
	}
	if (m->filter.n > 0)
		rec_put(&m->out, REC_FILTER, m->filter);
	if (m->redirect.n > 0)
		rec_put(&m->out, REC_REDIRECT, m->redirect);
	rec_put_attr(&m->out, "message_id", m->message_id);
	rec_put_attr(&m->out, "encoding", m->encoding);
	m->recipients_seen = false;
}

void
envelope_records(struct message *m, struct span records, bool extracted)
{
	struct span rest = records;
	struct rec r;

	if (!extracted) {
		/* The arrival time stands first in the file, wherever the client has put its own. */
		for (struct span peek = records; rec_take(&peek, &r); )
			if (r.type == REC_TIME && parse_time(r.payload, &m->arrival))
				break;
		put_times(m);
	}
	while (rest.n > 0 && message_wanted(m)) {
		if (!rec_take(&rest, &r) || !is_acceptable(&r)) {
			log_warning("%s: bad envelope record from a client", m->id);
			message_trouble(m, CLEANUP_STAT_BAD, NULL);
			return;
		}
		if (!extracted || !is_for_message(r.type))
			take_record(m, &r);
		message_flush(m, 65536);
	}
}

void
envelope_end(struct message *m)
{
	m->envelope_done = true;
	if (!m->have_sender)
		message_trouble(m, CLEANUP_STAT_BAD, NULL);
	put_warning_time(m);
	rec_put(&m->out, REC_MESSAGE, SPAN_NULL);
	m->size.data_offset = message_offset(m);
}
