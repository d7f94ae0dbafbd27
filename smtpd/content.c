/*
 * content.c - message text on its way to cleanup(8): envelope records, Received:, text, the verdict at the end.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "mail/rec.h"
#include "smtp/address.h"
#include "smtpd/filter.h"
#include "smtpd/restrict.h"
#include "smtpd/smtpd.h"

const char *const smtpd_data_prompt = "354 End data with <CR><LF>.<CR><LF>";

static void
attr(struct smtpd *s, const char *name, const char *value)
{
	if (value != NULL)
		cleanup_attr(s->cleanup, name, span_str(value));
}

static void
attr_uint(struct smtpd *s, const char *name, unsigned value)
{
	if (value != 0)
		cleanup_attr(s->cleanup, name, span_str(arena_printf(s->work, "%u", value)));
}

static void
put_recipients(struct smtpd *s)
{
	for (size_t i = 0; i < s->nrcpt; i++) {
		const struct smtpd_rcpt *r = &s->rcpt[i];

		attr_uint(s, "notify_flags", r->notify);
		cleanup_attr(s->cleanup, "dsn_orig_rcpt", r->orcpt);
		cleanup_rec(s->cleanup, REC_RCPT, r->address);
	}
}

/* Text for whoever takes the message. */
static bool
put_text(struct smtpd *s, struct span text)
{
	if (s->filter == NULL)
		return cleanup_text(s->cleanup, text);
	filter_text(s, text);
	return true;
}

static const char *
with_version(struct smtpd *s, const char *address)
{
	return strchr(address, ':') == NULL ? address : arena_printf(s->work, "IPv6:%s", address);
}

/* Who the message is from, for the log and for filters: XFORWARD's word, or else the client. */
static void
put_origin(struct smtpd *s)
{
	const struct smtpd_client *c = &s->client;
	const struct smtpd_origin *o = &s->origin;
	const bool given = o->has_client;

	attr(s, "log_client_name", given ? o->name : c->name);
	attr(s, "log_client_address", with_version(s, given ? o->address : c->address));
	attr(s, "log_client_port", given ? o->port : c->port);
	attr(s, "log_message_origin", given ? smtpd_origin_text(s) : arena_printf(s->work, "%s[%s]", c->name, c->address));
	attr(s, "log_helo_name", given ? o->helo : s->helo);
	attr(s, "log_protocol_name", given ? o->protocol : s->protocol);
}

/* For maildrop: what a user may say. */
static void
put_own_envelope(struct smtpd *s)
{
	cleanup_rec(s->cleanup, REC_FROM, s->sender);
	attr(s, "encoding", s->encoding);
	put_recipients(s);
}

/* In the order of other queue files that came in by SMTP. */
static void
put_envelope(struct smtpd *s)
{
	const struct smtpd_client *c = &s->client;
	const struct smtpd_origin *o = &s->origin;
	bool v6 = strchr(c->address, ':') != NULL;

	cleanup_rec(s->cleanup, REC_TIME, span_str(arena_printf(s->work, "%lld %ld", (long long)s->arrival.tv_sec,
	    (long)s->arrival.tv_usec)));
	if (conf.content_filter[0] != '\0')
		cleanup_rec(s->cleanup, REC_FILTER, span_str(conf.content_filter));
	attr(s, "log_ident", o->ident != NULL ? o->ident : smtpd_queue_id(s));
	attr(s, "rewrite_context", s->rewrite_context);
	attr(s, "sasl_method", s->sasl_method);
	attr(s, "sasl_username", s->sasl_username);
	attr(s, "sasl_sender", s->sasl_sender);
	attr(s, "envelope_id", s->envelope_id);
	attr_uint(s, "ret_flags", s->ret_flags);
	cleanup_rec(s->cleanup, REC_FROM, s->sender);
	attr(s, "encoding", s->encoding);
	put_origin(s);
	attr(s, "client_name", c->name);
	attr(s, "reverse_client_name", c->reverse_name);
	attr(s, "client_address", c->address);
	attr(s, "client_port", c->port);
	attr(s, "server_address", s->server_address);
	attr(s, "server_port", s->server_port);
	attr(s, "helo_name", s->helo);
	attr(s, "protocol_name", s->protocol);
	attr_uint(s, "client_address_type", v6 ? 10 : 2);
	if (s->verp != NULL)
		cleanup_rec(s->cleanup, REC_VERP, span_str(s->verp));
	put_recipients(s);
}

/* HELO names may hold anything: what could be taken for syntax becomes '?'. */
static const char *
neutral(const char *helo, struct arena *mem)
{
	char *text = span_cstr(span_str(helo), mem);

	for (char *p = text; *p != '\0'; p++)
		if (!ascii_print(*p) || strchr("<>()\\\";@", *p) != NULL)
			*p = '?';
	return text;
}

/* Text within a comment of a header (RFC 5322 3.2.2): it cannot end the comment, nor leave it open. */
static const char *
comment(const char *value, struct arena *mem)
{
	struct buf b = {0};
	unsigned open = 0;
	const char *text;

	for (const char *p = value; *p != '\0'; p++) {
		const bool bad = !ascii_print(*p) || *p == '\\' || (*p == ')' && open == 0);

		open += *p == '(';
		open -= *p == ')' && open > 0;
		buf_byte(&b, bad ? '?' : *p);
	}
	while (open-- > 0)
		buf_byte(&b, ')');
	text = span_cstr(buf_view(&b), mem);
	buf_free(&b);
	return text;
}

static void
put_received(struct smtpd *s)
{
	struct buf b = {0};
	char date[64];
	const char *id = "";
	const char *v6 = strchr(s->client.address, ':') != NULL ? "IPv6:" : "";
	const char *with = arena_printf(s->work, "%s%s", s->smtputf8 ? "UTF8SMTP" : s->protocol,
	    s->sasl_username != NULL && strcmp(s->protocol, "SMTP") != 0 ? "A" : "");

	if (s->filter == NULL)
		id = arena_printf(s->work, " id %s", smtpd_queue_id(s));
	clock_mail_date(s->arrival.tv_sec, date, sizeof date);
	if (!conf.smtpd_hide_client_session) {
		buf_printf(&b, "Received: from %s (%s [%s%s])", s->helo != NULL ? neutral(s->helo, s->work) : s->client.name, s->client.name, v6,
		    s->client.address);
		if (conf.smtpd_sasl_authenticated_header && s->sasl_username != NULL)
			buf_printf(&b, "\n\t(Authenticated sender: %s)", comment(s->sasl_username, s->work));
		buf_printf(&b, "\n\tby %s (%s) with %s%s", conf.myhostname, conf.mail_name, with, id);
	} else {
		buf_printf(&b, "Received: by %s (%s)%s", conf.myhostname, conf.mail_name, id);
	}
	if (s->nrcpt == 1)
		buf_printf(&b, "\n\tfor <%s>; %s\n", span_cstr(address_quote(s->rcpt[0].address, s->work), s->work), date);
	else
		buf_printf(&b, ";\n\t%s\n", date);
	(void)put_text(s, buf_view(&b));
	buf_free(&b);
}

const char *
smtpd_content_start(struct smtpd *s)
{
	const char *reply = s->filter != NULL ? filter_data(s) : NULL;

	if (reply != NULL)
		return reply;
	if (s->cleanup != NULL && s->stand_alone)
		put_own_envelope(s);
	else if (s->cleanup != NULL)
		put_envelope(s);
	(void)put_text(s, buf_view(&s->actions.prepend));
	if (s->filter == NULL || !s->origin.given)
		put_received(s);
	s->first_line = true;
	s->size = 0;
	s->content_status = 0;
	return NULL;
}

/* The first line may neither continue our header nor be a mailbox separator. */
static void
guard_first_line(struct smtpd *s, struct span text)
{
	struct span rest = text;

	s->first_line = false;
	if (text.p[0] == ' ' || text.p[0] == '\t') {
		(void)put_text(s, SPAN("\n"));
		return;
	}
	while (span_take_byte(&rest, '>'))
		;
	if (span_starts(rest, SPAN("From ")))
		(void)put_text(s, SPAN("X-Mailbox-Line: "));
}

static int64_t
wire_size(struct span text)
{
	int64_t size = (int64_t)text.n;

	for (const char *p = text.p; p != NULL && (size_t)(p - text.p) < text.n; p++) {
		p = memchr(p, '\n', text.n - (size_t)(p - text.p));
		if (p == NULL)
			break;
		size++;
	}
	return size;
}

/* What came by BDAT counts each piece of line_length_limit as a line, in the reply to the last chunk, as in the reference. */
static int64_t
extra_lines(struct smtpd *s, struct span text)
{
	const size_t limit = conf.line_length_limit > 0 ? (size_t)conf.line_length_limit : REC_LINE_MAX;
	int64_t extra = 0;

	while (text.n > 0) {
		const size_t n = span_find(text, '\n');

		extra += (int64_t)((s->chunk_column + n) / limit * 2);
		s->chunk_column = n < text.n ? 0 : (s->chunk_column + n) % limit;
		text = span_from(text, n + 1);
	}
	return extra;
}

void
smtpd_content(struct smtp_server *server, struct span text, size_t raw)
{
	struct smtpd *s = smtpd_of(server);

	if (s->chunking && s->chunk_failed)
		return;
	if (server->dot.bare_lf && s->forbid_bare_lf)
		s->saw_bare_lf = true;
	s->size += wire_size(text);
	if (s->chunking)
		s->size += extra_lines(s, text);
	if (conf.message_size_limit > 0 && s->size > conf.message_size_limit) {
		if (s->content_status == 0)
			log_warning("%s: queue file size limit exceeded", smtpd_queue_id(s));
		s->content_status |= CLEANUP_STAT_SIZE;
	}
	(void)raw;
	if (s->content_status != 0 || text.n == 0 || (s->cleanup == NULL && s->filter == NULL))
		return;
	if (s->first_line)
		guard_first_line(s, text);
	if (!put_text(s, text))
		s->content_status |= CLEANUP_STAT_WRITE;
}

/* FILTER, REDIRECT and BCC of access tables go into the extracted segment. */
static void
put_actions(struct smtpd *s)
{
	struct span bcc = buf_view(&s->actions.bcc), line;

	if (s->actions.hold)
		cleanup_extracted(s->cleanup, REC_FLAGS, span_str(arena_printf(s->work, "%d", CLEANUP_FLAG_HOLD)));
	if (s->actions.filter != NULL)
		cleanup_extracted(s->cleanup, REC_FILTER, span_str(s->actions.filter));
	if (s->actions.redirect != NULL)
		cleanup_extracted(s->cleanup, REC_REDIRECT, span_str(s->actions.redirect));
	while (span_take_line(&bcc, &line)) {
		cleanup_extracted(s->cleanup, REC_DSN_NOTIFY, SPAN("1"));
		cleanup_extracted(s->cleanup, REC_RCPT, line);
	}
}

static const char *
queued_reply(struct smtpd *s, const char *id)
{
	if (s->chunking)
		return arena_printf(s->work, "250 2.0.0 Ok: %lld bytes queued as %s", (long long)s->size, id);
	return arena_printf(s->work, "250 2.0.0 Ok: queued as %s", id);
}

static unsigned
trouble_of(unsigned status)
{
	static const struct { unsigned status, trouble; } rows[] = {
		{ CLEANUP_STAT_BAD, TROUBLE_SOFTWARE }, { CLEANUP_STAT_RCPT | CLEANUP_STAT_HOPS | CLEANUP_STAT_SIZE, TROUBLE_BOUNCE },
		{ CLEANUP_STAT_CONT | CLEANUP_STAT_NOPERM | CLEANUP_STAT_DEFER, TROUBLE_POLICY }, { CLEANUP_STAT_WRITE, TROUBLE_RESOURCE },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if ((rows[i].status & status) != 0)
			return rows[i].trouble;
	return 0;
}

/* cleanup's verdict as a reply. */
static const char *
verdict_reply(struct smtpd *s, unsigned status, struct span reason)
{
	const struct cleanup_verdict *v = cleanup_verdict(status);
	struct span rest = reason;
	uint64_t code;

	if (reason.n == 0)
		return arena_printf(s->work, (status & CLEANUP_STAT_CONT) != 0 ? "%d %s %s" : "%d %s Error: %s", v->smtp_code, v->dsn,
		    v->text);
	if (span_take_u64(&rest, &code) && code >= 400 && code <= 599 && span_take_byte(&rest, ' '))
		return span_cstr(reason, s->work);
	if (reason.n > 5 && reason.p[1] == '.' && (reason.p[0] == '4' || reason.p[0] == '5'))
		return arena_printf(s->work, "%c%s %.*s", reason.p[0], reason.p[0] == '4' ? "51" : "50", SPAN_ARG(reason));
	return arena_printf(s->work, "%d %s %.*s", v->smtp_code, v->dsn, SPAN_ARG(reason));
}

static const char *
reject_at_end(struct smtpd *s)
{
	if (s->content_status == 0 && s->reject_bare_lf && s->server.dot.bare_lf) {
		smtpd_log_event(s, "reject", "bare <LF> received");
		return arena_printf(s->work, "%d 5.5.2 %s Error: bare <LF> received", conf.smtpd_forbid_bare_newline_reject_code,
		    conf.myhostname);
	}
	if (s->content_status != 0) {
		smtpd_trouble(s, trouble_of(s->content_status));
		const struct cleanup_verdict *v = cleanup_verdict(s->content_status);

		return arena_printf(s->work, "%d %s Error: %s", v->smtp_code, v->dsn, v->text);
	}
	return check_end_of_data(s);
}

/* The message is complete: to disk, and only then 250. */
static bool
finish(struct smtpd *s)
{
	const char *id = span_cstr(span_str(smtpd_queue_id(s)), s->work), *reply;
	struct span reason = {0};
	unsigned status;

	reply = reject_at_end(s);
	if (reply == NULL && s->filter != NULL) {
		reply = filter_end(s);
		smtpd_log_filter(s, reply[0] == '2' ? "proxy-accept" : "proxy-reject", reply);
	} else if (reply == NULL && s->actions.discard) {
		cleanup_cancel(&s->cleanup);
		reply = queued_reply(s, id);
	} else if (reply == NULL) {
		put_actions(s);
		status = cleanup_finish(&s->cleanup, s->work, &reason);
		smtpd_trouble(s, trouble_of(status));
		reply = status == 0 ? queued_reply(s, id) : verdict_reply(s, status, reason);
	}
	smtp_server_reply(&s->server, "%s", reply);
	if (reply[0] == '2')
		s->trouble = 0;
	return reply[0] == '2';
}

/* A chunk that is not the last: only acknowledged. */
static bool
chunk_done(struct smtpd *s)
{
	if (s->content_status == 0 && !(s->reject_bare_lf && s->server.dot.bare_lf)) {
		smtp_server_reply(&s->server, "250 2.0.0 Ok: %llu bytes", (unsigned long long)s->chunk_size);
		return true;
	}
	smtp_server_reply(&s->server, "%s", reject_at_end(s));
	s->chunk_failed = true;
	return false;
}

/* What is still held back of the last line. */
static void
flush_chunks(struct smtpd *s)
{
	struct buf tail = {0};

	smtp_chunk_end(&s->server.dot, &tail);
	if (span_is(buf_view(&tail), "\n") && s->chunk_column == 0 && s->size > 0)
		s->size -= 2;			/* the last line was cut at its very end */
	smtpd_content(&s->server, buf_view(&tail), 0);
	buf_free(&tail);
}

bool
smtpd_content_end(struct smtp_server *server)
{
	struct smtpd *s = smtpd_of(server);
	bool ok;

	arena_reset(s->work);
	if (s->chunking && s->chunk_failed) {
		smtp_server_reply(server, "%s", s->reply);
		ok = false;
	} else if (s->chunking && !s->chunk_last) {
		return chunk_done(s);
	} else {
		if (s->chunking)
			flush_chunks(s);
		ok = finish(s);
	}
	if (s->chunking && !s->chunk_last)
		return ok;
	server->where = "END-OF-MESSAGE";
	smtpd_mail_reset(s);
	smtpd_history_flush(s);
	return ok;
}
