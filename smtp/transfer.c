/*
 * transfer.c - one mail transaction: MAIL, RCPTs, DATA, content. With PIPELINING the commands leave in groups; at most
 * GROUP_BYTES are sent before the replies are read, so that neither side's buffers can fill up.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "io/sock.h"
#include "mail/rec.h"
#include "smtp/address.h"
#include "smtp/command.h"
#include "smtp/content.h"
#include "smtp/smtp.h"

#define GROUP_BYTES	4096u
#define CONTENT_BYTES	65536u		/* content is handed to the stream in pieces of this size */
#define DEADLINE_BYTES	4096u		/* the same while the time for a piece depends on its size */

#define END_STAGE	"sending end of data -- message may be sent more than once"

/* Steps of a transaction: 0 MAIL, 1..n RCPT, n + 1 DATA. */
struct transfer {
	struct smtp_work *w;
	struct delivery *d;
	struct smtp_session *s;
	struct delivery_rcpt **rcpt;	/* those still to be done */
	bool *accepted;
	size_t n, naccepted;
	size_t sent, got;		/* steps */
	bool mail_ok, data_ok, any_reply;
	struct span sender, *address;	/* of the envelope, as the server is told; address[i] is that of rcpt[i] */
	bool to_7bit;			/* the content is converted on its way */
	int64_t patience;		/* ms left for content, smtp_per_request_deadline */
	bool unread_xforward[2];	/* replies that come before that to MAIL */
};

static const char *
address_text(struct transfer *t, struct span internal)
{
	struct span s = conf.smtp_quote_rfc821_envelope ? address_quote(internal, t->d->mem) : internal;

	return span_cstr(s, t->d->mem);
}

static void
send_mail(struct transfer *t)
{
	struct delivery *d = t->d;
	unsigned f = t->s->features;
	struct buf b = {0};

	buf_printf(&b, "MAIL FROM:<%s>", address_text(t, t->sender));
	if ((f & FEATURE_SIZE) != 0 && !t->to_7bit)
		buf_printf(&b, " SIZE=%lld", (long long)d->data_size);
	if ((f & FEATURE_8BITMIME) != 0 && span_is(d->encoding, "8bit"))
		buf_str(&b, " BODY=8BITMIME");
	else if ((f & FEATURE_8BITMIME) != 0 && span_is(d->encoding, "7bit"))
		buf_str(&b, " BODY=7BIT");
	if ((f & FEATURE_DSN) != 0 && d->envelope_id.n > 0)
		buf_printf(&b, " ENVID=%.*s", SPAN_ARG(smtp_xtext_encode(d->envelope_id, d->mem)));
	if ((f & FEATURE_DSN) != 0 && d->ret_flags != 0)
		buf_printf(&b, " RET=%s", d->ret_flags == DSN_RET_HDRS ? "HDRS" : "FULL");
	if ((f & FEATURE_SMTPUTF8) != 0 && (d->sendopts & SENDOPT_SMTPUTF8) != 0)
		buf_str(&b, " SMTPUTF8");
	if ((f & FEATURE_AUTH) != 0 && conf.smtp_send_dummy_mail_auth)
		buf_str(&b, " AUTH=<>");
	smtp_command(t->s, "%s", buf_cstr(&b));
	buf_free(&b);
}

static void
put_notify(struct buf *b, unsigned notify)
{
	static const struct { unsigned bit; const char *word; } words[] = {
		{ DSN_NOTIFY_NEVER, "NEVER" }, { DSN_NOTIFY_SUCCESS, "SUCCESS" }, { DSN_NOTIFY_FAILURE, "FAILURE" },
		{ DSN_NOTIFY_DELAY, "DELAY" },
	};
	const char *sep = " NOTIFY=";

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		if ((notify & words[i].bit) == 0)
			continue;
		buf_printf(b, "%s%s", sep, words[i].word);
		sep = ",";
	}
}

/* "rfc822;a@b" with its text as xtext. */
static void
put_orcpt(struct transfer *t, struct buf *b, const struct delivery_rcpt *r)
{
	struct span type, text = r->dsn_orcpt;

	if (text.n == 0 && r->original.n > 0) {
		bool ascii = span_is_ascii(r->original);

		text = span_str(arena_printf(t->d->mem, "%s;%s", ascii ? "rfc822" : "utf-8", address_text(t, r->original)));
	}
	if (!span_take_until(&text, ';', &type))
		return;
	if (!span_is_ascii(text) && (t->s->features & FEATURE_SMTPUTF8) == 0)
		return;
	buf_printf(b, " ORCPT=%.*s;", SPAN_ARG(type));
	buf_span(b, span_is_ascii(text) ? smtp_xtext_encode(text, t->d->mem) : text);
}

static void
send_rcpt(struct transfer *t, size_t i)
{
	const struct delivery_rcpt *r = t->rcpt[i];
	struct buf b = {0};

	buf_printf(&b, "RCPT TO:<%s>", address_text(t, t->address[i]));
	if ((t->s->features & FEATURE_DSN) != 0) {
		put_orcpt(t, &b, r);
		put_notify(&b, r->notify);
	}
	smtp_command(t->s, "%s", buf_cstr(&b));
	buf_free(&b);
}

static bool
is_probe(const struct transfer *t)
{
	return (t->d->flags & DELIVERY_FLAG_PROBE) != 0 && strcmp(conf.smtp_address_verify_target, "data") != 0;
}

/* Send the next step. False: there is none. */
static bool
send_step(struct transfer *t)
{
	bool pipelining = (t->s->features & FEATURE_PIPELINING) != 0;

	if (t->sent == 0)
		send_mail(t);
	else if (t->sent <= t->n)
		send_rcpt(t, t->sent - 1);
	else if (t->sent > t->n + 1 || is_probe(t) || (!pipelining && t->naccepted == 0))
		return false;
	else
		smtp_command(t->s, "DATA");
	t->sent++;
	return true;
}

static void
got_mail(struct transfer *t)
{
	struct dsn_text why;

	t->mail_ok = t->s->reply.code / 100 == 2;
	if (t->mail_ok)
		return;
	why = smtp_said(t->s, "MAIL FROM", t->d->mem);
	smtp_fail_all(t->w, &why, false);
}

static void
got_rcpt(struct transfer *t, size_t i)
{
	struct dsn_text why;

	if (!t->mail_ok)
		return;
	if (t->s->reply.code / 100 == 2) {
		if (is_probe(t)) {
			why = smtp_said(t->s, "RCPT TO", t->d->mem);
			why.reason = smtp_reply_text(t->s, t->d->mem);
			delivery_sent(t->d, t->rcpt[i], t->w->relay, &why);
			return;
		}
		t->accepted[i] = true;
		t->naccepted++;
		return;
	}
	why = smtp_said(t->s, "RCPT TO", t->d->mem);
	smtp_fail_one(t->w, t->rcpt[i], &why);
}

/* Trouble for all recipients that the server had accepted. */
static void
fail_accepted(struct transfer *t, const struct dsn_text *why)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->accepted[i])
			smtp_fail_one(t->w, t->rcpt[i], why);
	t->naccepted = 0;
}

static void
got_data(struct transfer *t)
{
	struct dsn_text why;

	t->data_ok = t->s->reply.code / 100 == 3;
	if (t->data_ok || t->naccepted == 0)
		return;
	why = smtp_said(t->s, "DATA", t->d->mem);
	fail_accepted(t, &why);
}

static bool
read_xforward(struct transfer *t)
{
	for (int i = 0; i < 2; i++)
		if (t->unread_xforward[i]) {
			t->unread_xforward[i] = false;
			if (!smtp_read_xforward(t->s, i))
				return false;
		}
	return true;
}

/* Where the message came from; with PIPELINING the replies are read later. False: the connection broke. */
static bool
send_xforward(struct transfer *t)
{
	bool pipelining = (t->s->features & FEATURE_PIPELINING) != 0;

	for (int i = 0; i < 2; i++) {
		t->unread_xforward[i] = smtp_send_xforward(t->s, i);
		if (!pipelining && !read_xforward(t))
			return false;
	}
	return true;
}

/* Read the reply to the next step. False: the connection is gone. */
static bool
read_step(struct transfer *t)
{
	size_t step = t->got++;
	bool ok;

	if (!read_xforward(t))
		return false;
	if (step == 0)
		ok = smtp_read_reply(t->s, conf.smtp_mail_timeout, "sending MAIL FROM");
	else if (step <= t->n)
		ok = smtp_read_reply(t->s, conf.smtp_rcpt_timeout, "sending RCPT TO");
	else
		ok = smtp_read_reply(t->s, conf.smtp_data_init_timeout, "sending DATA command");
	if (!ok)
		return false;
	t->any_reply = true;
	if (step == 0)
		got_mail(t);
	else if (step <= t->n)
		got_rcpt(t, step - 1);
	else
		got_data(t);
	return true;
}

/* MAIL, RCPTs and DATA. False: the connection broke. */
static bool
envelope(struct transfer *t)
{
	bool pipelining = (t->s->features & FEATURE_PIPELINING) != 0, more = true;

	if (!send_xforward(t))
		return false;
	while (more) {
		do {
			more = send_step(t);
		} while (more && pipelining && stream_pending(t->s->stream) < GROUP_BYTES);
		while (t->got < t->sent)
			if (!read_step(t))
				return false;
		if (!t->mail_ok && !pipelining)
			break;
	}
	return true;
}

enum sent { SENT_OK, SENT_NOT_READ, SENT_NOT_CHECKED, SENT_LOST };

/* With smtp_per_request_deadline content has smtp_data_xfer_timeout in all; what is sent buys time, smtp_min_data_rate. */
static bool
flush_content(struct transfer *t, struct buf *out)
{
	const int64_t limit = (int64_t)conf.smtp_data_xfer_timeout * 1000, begin = clock_ms();
	bool ok;

	stream_put(t->s->stream, buf_view(out));
	if (!t->s->unsent_limited) {
		sock_limit_unsent(stream_fd(t->s->stream), (int)CONTENT_BYTES);
		t->s->unsent_limited = true;
	}
	if (conf.smtp_per_request_deadline)
		stream_set_deadline(t->s->stream, begin + t->patience);
	ok = stream_flush(t->s->stream);
	t->patience += (int64_t)out->n * 1000 / conf.smtp_min_data_rate - (clock_ms() - begin);
	if (t->patience > limit)
		t->patience = limit;
	buf_reset(out);
	return ok;
}

/* The last piece, dot included, which some firewalls want in a packet of its own. */
static bool
put_end(struct transfer *t, struct buf *out)
{
	const struct timespec pause = { conf.smtp_pix_workaround_delay_time, 0 };

	if (t->s->delay_dot) {
		buf_cut(out, out->n - strlen(".\r\n"));
		if (!flush_content(t, out))
			return false;
		(void)nanosleep(&pause, NULL);
		buf_str(out, ".\r\n");
	}
	if (conf.smtp_per_request_deadline)
		return flush_content(t, out);
	stream_put(t->s->stream, buf_view(out));
	return true;
}

/* Queue file content to the wire. */
static enum sent
send_content(struct transfer *t)
{
	struct outbound o;
	struct rec_reader reader;
	struct rec rec = {0};
	struct err e = {0};
	bool ok, looked = true;
	const size_t piece = conf.smtp_per_request_deadline ? DEADLINE_BYTES : CONTENT_BYTES;

	outbound_init(&o, t->d, t->to_7bit);
	rec_reader_init(&reader, t->d->fd, t->d->data_offset);
	while ((ok = rec_next(&reader, &rec, &e)) && (rec.type == REC_NORM || rec.type == REC_CONT)) {
		if (!(looked = outbound_add(&o, rec.payload, rec.type == REC_NORM)))
			break;
		if (o.out.n < piece)
			continue;
		if (!flush_content(t, &o.out))
			break;
	}
	ok = ok && looked && rec.type == REC_EXTRACT;
	if (ok && (ok = looked = outbound_end(&o)))
		ok = put_end(t, &o.out);
	rec_reader_free(&reader);
	outbound_free(&o);
	return ok ? SENT_OK : stream_state(t->s->stream) != STREAM_OK ? SENT_LOST : looked ? SENT_NOT_READ : SENT_NOT_CHECKED;
}

static void
report_end(struct transfer *t, struct delivery_rcpt *r)
{
	struct dsn_text text = smtp_said(t->s, "end of DATA", t->d->mem);

	if (t->s->reply.code / 100 != 2) {
		smtp_fail_one(t->w, r, &text);
		return;
	}
	text.reason = smtp_reply_text(t->s, t->d->mem);
	text.action = "relayed";
	delivery_sent(t->d, r, t->w->relay, &text);
}

/* Replies to the final dot: one, or with LMTP one for each accepted recipient. */
static bool
read_end(struct transfer *t)
{
	bool first = true;

	for (size_t i = 0; i < t->n; i++) {
		if (!t->accepted[i])
			continue;
		if ((first || smtp_is_lmtp) && !smtp_read_reply(t->s, conf.smtp_data_done_timeout, END_STAGE))
			return false;
		first = false;
		report_end(t, t->rcpt[i]);
		t->accepted[i] = false;
	}
	return true;
}

/* The message cannot be sent from here: the connection is of no use any more. */
static void
local_trouble(struct transfer *t, enum sent sent)
{
	struct dsn_text why;

	if (sent == SENT_NOT_READ) {
		log_warning("%.*s: unreadable mail queue entry", SPAN_ARG(t->d->queue_id));
		why = dsn_printf(t->d->mem, (struct dsn){ 4, 3, 0 }, "unreadable mail queue entry");
	} else {
		why = dsn_printf(t->d->mem, (struct dsn){ 4, 3, 0 }, "local data error while talking to %s", t->s->id);
	}
	fail_accepted(t, &why);
	stream_discard_input(t->s->stream);
	t->s->quit_sent = true;		/* it would be content */
}

/* The last command of this session, ahead of the reply to the one before. */
static void
quit_early(struct transfer *t)
{
	smtp_command(t->s, "QUIT");
	t->s->quit_sent = true;
}

static bool
data(struct transfer *t, bool keep)
{
	enum sent sent;

	t->s->stage = "sending message body";
	stream_set_timeout(t->s->stream, (int64_t)conf.smtp_data_xfer_timeout * 1000);
	stream_set_deadline(t->s->stream, 0);
	t->patience = (int64_t)conf.smtp_data_xfer_timeout * 1000;
	sent = send_content(t);
	if (sent != SENT_OK) {
		t->s->bad = true;
		if (sent != SENT_LOST)
			local_trouble(t, sent);
		return sent != SENT_LOST;
	}
	smtp_note_sent(t->s, ".");
	if (!keep && (t->s->features & FEATURE_PIPELINING) != 0)
		quit_early(t);
	return read_end(t);
}

/* Nobody wants the message: leave the transaction. */
static bool
leave(struct transfer *t, bool keep)
{
	const bool early = !keep && (t->s->features & FEATURE_PIPELINING) != 0;

	t->s->bad = t->s->bad || t->data_ok;
	if (t->data_ok) {
		stream_puts(t->s->stream, ".\r\n");
		smtp_note_sent(t->s, ".");
		if (early)
			quit_early(t);
		return smtp_read_reply(t->s, conf.smtp_data_done_timeout, END_STAGE);
	}
	smtp_command(t->s, "RSET");
	if (early)
		quit_early(t);
	return smtp_read_reply(t->s, conf.smtp_rset_timeout, "sending final RSET");
}

static bool
collect(struct transfer *t)
{
	struct delivery *d = t->d;

	t->rcpt = ARENA_ARRAY(d->mem, struct delivery_rcpt *, d->nrcpt + 1);
	t->accepted = ARENA_ARRAY(d->mem, bool, d->nrcpt + 1);
	t->address = ARENA_ARRAY(d->mem, struct span, d->nrcpt + 1);
	t->sender = d->sender;
	for (size_t i = 0; i < d->nrcpt; i++)
		if (!d->rcpt[i].done) {
			t->address[t->n] = d->rcpt[i].address;
			t->rcpt[t->n++] = &d->rcpt[i];
		}
	return t->n > 0;
}

/* The envelope as smtp_generic_maps wants it shown. */
static bool
map_envelope(struct transfer *t)
{
	bool ok = smtp_generic_address(&t->sender, t->d->mem);

	for (size_t i = 0; ok && i < t->n; i++)
		ok = smtp_generic_address(&t->address[i], t->d->mem);
	return ok;
}

/* What the server has announced excludes this message. */
static bool
unsuitable(struct transfer *t)
{
	struct smtp_session *s = t->s;
	struct delivery *d = t->d;
	struct dsn_text why;

	if (s->size_limit > 0 && d->data_size > s->size_limit) {
		why = dsn_printf(d->mem, (struct dsn){ 5, 3, 4 }, "message size %lld exceeds size limit %lld of server %s",
		    (long long)d->data_size, (long long)s->size_limit, s->id);
		s->quit_sent = true;	/* no word is lost on it, as in the reference */
	} else if ((d->sendopts & SENDOPT_SMTPUTF8) != 0 && (d->sendopts & SENDOPT_ANY_UTF8) != 0 && (s->features & FEATURE_SMTPUTF8) == 0) {
		why = dsn_printf(d->mem, (struct dsn){ t->w->last ? 5u : 4u, 6, 7 }, "message requires SMTPUTF8, but no server was found that "
		    "supports SMTPUTF8. The last attempted server was %s", s->id);
	} else {
		return false;
	}
	smtp_fail_all(t->w, &why, false);
	return true;
}

bool
smtp_transfer(struct smtp_work *w, bool keep)
{
	struct transfer t = { .w = w, .d = w->d, .s = w->session };
	struct dsn_text why;
	bool ok;

	if (!collect(&t) || unsuitable(&t))
		return true;
	if (!map_envelope(&t)) {
		why = dsn_printf(t.d->mem, (struct dsn){ 4, 3, 0 }, "address lookup problem");
		smtp_fail_all(w, &why, false);
		return true;
	}
	t.to_7bit = !span_is(t.d->encoding, "7bit") && (t.s->features & FEATURE_8BITMIME) == 0 && !conf.disable_mime_output_conversion;
	t.s->uses++;
	w->d->dsn_passed_on = (t.s->features & FEATURE_DSN) != 0;
	w->d->conn_use = t.s->uses;
	ok = envelope(&t);
	if (ok && t.naccepted > 0 && t.data_ok)
		ok = data(&t, keep && !t.s->bad);
	else if (ok)
		ok = leave(&t, keep && !t.s->bad) || t.naccepted == 0;
	if (ok) {
		w->dialogue_done = true;
		return true;
	}
	t.s->bad = true;
	if (!t.any_reply && t.s->uses > 1 && stream_state(t.s->stream) != STREAM_TIMEOUT)
		return false;
	why = smtp_broken(t.s, w->d->mem);
	smtp_fail_all(w, &why, true);
	return true;
}
