/*
 * session.c - a connection to a server: connecting, greeting, what it can do, commands and replies.
 * The server is a stranger: lines, replies and their number are bounded, every wait has a limit.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "io/sock.h"
#include "mail/debug_peer.h"
#include "map/map.h"
#include "smtp/smtp.h"

void
smtp_command(struct smtp_session *s, const char *fmt, ...)
{
	struct buf line = {0};
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&line, fmt, ap);
	va_end(ap);
	/* An address from the queue must not become a second command. */
	for (size_t i = 0; i < line.n; i++)
		if (line.p[i] == '\r' || line.p[i] == '\n')
			line.p[i] = ' ';
	transcript_add(&s->history, "Out: ", buf_view(&line));
	log_debug("> %s: %.*s", s->relay, SPAN_ARG(buf_view(&line)));
	buf_str(&line, "\r\n");
	stream_put(s->stream, buf_view(&line));
	buf_free(&line);
}

void
smtp_note_sent(struct smtp_session *s, const char *what)
{
	transcript_add(&s->history, "Out: ", span_str(what));
	log_debug("> %s: %s", s->relay, what);
}

static void
note_received(struct smtp_session *s, struct span line)
{
	while (line.n > 0 && (line.p[line.n - 1] == '\n' || line.p[line.n - 1] == '\r'))
		line.n--;
	transcript_add(&s->history, "In:  ", line);
	log_debug("< %s: %.*s", s->relay, SPAN_ARG(line));
}

/* A server that does not understand what we say, or that says what nobody understands. */
static void
judge(struct smtp_session *s)
{
	int code = s->reply.code;

	if (code / 100 == 2)
		return;
	if (code < 400 || code > 599 || code == 555 || (code >= 500 && code < 510))
		s->trouble |= TROUBLE_PROTOCOL;
}

static void
tell_postmaster(const struct smtp_session *s)
{
	struct arena *mem = arena_new();
	const struct letter l = { .trouble = s->trouble, .transcript = &s->history,
	    .subject = arena_printf(mem, "%s client: errors from %s", smtp_is_lmtp ? "LMTP" : "SMTP", s->relay),
	    .lead = arena_printf(mem, "Unexpected response from %s.", s->relay) };

	postmaster_tell(&l);
	arena_free(&mem);
}

static struct map *reply_filter;

void
smtp_session_init(void)
{
	debug_peer_init();
	if (*conf.smtp_reply_filter != '\0')
		reply_filter = map_open(conf.smtp_reply_filter, 0);
}

/* What smtp_reply_filter makes of a line. False: it failed, which is logged. */
static bool
filter_reply(struct smtp_session *s, struct span *line)
{
	struct span text = span_rtrim(*line), value;
	struct err e = {0};

	if (reply_filter == NULL)
		return true;
	switch (map_get(reply_filter, text, s->d->mem, &value, &e)) {
	case MAP_FOUND:
		log_info("%s: replacing server reply \"%.*s\" with \"%.*s\"", s->relay, SPAN_ARG(text), SPAN_ARG(value));
		*line = value;
		break;
	case MAP_NOT_FOUND:
		break;
	case MAP_FAILED:
		log_warning("%.*s: table %s lookup error for %.*s", SPAN_ARG(s->d->queue_id), map_spec(reply_filter), SPAN_ARG(text));
		s->local_trouble = true;
		return false;
	}
	return true;
}

/* A reply that looks like none: commands and replies may be out of step. */
static void
note_garbage(struct smtp_session *s, struct span line)
{
	if ((s->features & FEATURE_PIPELINING) == 0 || s->d == NULL)
		return;
	log_warning("%.*s: non-ESMTP response from %s: %.*s", SPAN_ARG(s->d->queue_id), s->relay, SPAN_ARG(span_rtrim(line)));
	log_warning("to prevent loss of mail, turn off command pipelining for %s with the %s_discard_ehlo_keyword_address_maps parameter",
	    s->addr, smtp_is_lmtp ? "lmtp" : "smtp");
}

/* One line of a reply. False: the connection is gone, or it cannot be judged. */
static bool
read_line(struct smtp_session *s, enum smtp_reply_state *state)
{
	struct span line, text;
	bool more = true, was_garbage = s->reply.garbage;

	if (!stream_line(s->stream, SMTP_REPLY_LINE_MAX, &line))
		return false;
	if (line.n > 0 && line.p[line.n - 1] != '\n' && line.n >= SMTP_REPLY_LINE_MAX)
		log_warning("%s: response longer than %d: %.30s...", s->relay, SMTP_REPLY_LINE_MAX, line.p);
	note_received(s, line);
	text = line;
	if (s->d != NULL && !filter_reply(s, &text))
		return false;
	*state = smtp_reply_line(&s->reply, text);
	if (s->reply.garbage || *state == SMTP_REPLY_ENDLESS)
		s->trouble |= TROUBLE_PROTOCOL;
	if (s->reply.garbage && !was_garbage)
		note_garbage(s, text);
	while (line.n > 0 && line.p[line.n - 1] != '\n' && (more = stream_line(s->stream, SMTP_REPLY_LINE_MAX, &line)))
		;			/* the rest of an overlong line */
	return more || *state == SMTP_REPLY_DONE;
}

bool
smtp_read_reply(struct smtp_session *s, int timeout, const char *stage)
{
	enum smtp_reply_state state = SMTP_REPLY_MORE;

	s->stage = stage;
	smtp_reply_reset(&s->reply);
	stream_set_timeout(s->stream, (int64_t)timeout * 1000);
	if (conf.smtp_per_request_deadline)
		stream_set_deadline(s->stream, clock_ms() + (int64_t)timeout * 1000);
	if (!stream_flush(s->stream))
		return false;
	while (state == SMTP_REPLY_MORE)
		if (!read_line(s, &state))
			return false;
	if (s->reply.code == 421 || s->reply.garbage || state == SMTP_REPLY_ENDLESS)
		s->bad = true;
	return state == SMTP_REPLY_DONE;
}

struct dsn_text
smtp_broken(const struct smtp_session *s, struct arena *mem)
{
	const struct dsn code = { 4, 4, 2 };

	if (s->local_trouble)
		return dsn_printf(mem, (struct dsn){ 4, 3, 0 }, "local data error while talking to %s", s->id);
	if (stream_state(s->stream) == STREAM_TIMEOUT)
		return dsn_printf(mem, code, "conversation with %s timed out while %s", s->id, s->stage);
	return dsn_printf(mem, code, "lost connection with %s while %s", s->id, s->stage);
}

struct span
smtp_reply_text(const struct smtp_session *s, struct arena *mem)
{
	struct span text = span_copy(buf_view(&s->reply.text), mem);
	char *p = span_cstr(text, mem);

	for (char *q = p; *q != '\0'; q++)
		if (*q == '\n')
			*q = ' ';
	return span(p, text.n);
}

static struct dsn_text
with_reply(const struct smtp_session *s, struct dsn_text t, struct arena *mem)
{
	struct span code = span_str(s->reply.dsn);
	int class = s->reply.code / 100;

	t.code = (struct dsn){ class == 2 || class == 4 ? (unsigned)class : 5, 0, 0 };
	if (class != 2 && class != 4 && class != 5)
		t.code = (struct dsn){ 5, 5, 0 };
	(void)dsn_take(&code, &t.code);
	t.diag_type = SPAN("smtp");
	t.diag_text = smtp_reply_text(s, mem);
	t.mta_type = SPAN("dns");
	t.mta_name = span_str(arena_printf(mem, "%s", s->host));
	return t;
}

struct dsn_text
smtp_said(struct smtp_session *s, const char *command, struct arena *mem)
{
	int class = s->reply.code / 100;

	judge(s);
	struct dsn_text t = dsn_printf(mem, (struct dsn){0}, "%shost %s said: %.*s (in reply to %s command)",
	    class == 4 || class == 5 ? "" : "Protocol error: ", s->id, SPAN_ARG(smtp_reply_text(s, mem)), command);

	return with_reply(s, t, mem);
}

static struct dsn_text
refused(struct smtp_session *s, struct arena *mem)
{
	judge(s);
	struct dsn_text t = dsn_printf(mem, (struct dsn){0}, "host %s refused to talk to me: %.*s", s->id,
	    SPAN_ARG(smtp_reply_text(s, mem)));

	return with_reply(s, t, mem);
}

/* The first word behind "250-" is our own name: we talk to ourselves. */
static bool
is_myself(const struct smtp_session *s)
{
	struct span in = span_from(buf_view(&s->reply.text), 4), word;

	return span_take_word(&in, " \t\n", &word) && span_iis(word, conf.myhostname) && strcmp(s->port, "25") == 0;
}

static bool
helo(struct smtp_session *s, struct arena *mem, struct dsn_text *why)
{
	const char *hello = smtp_is_lmtp ? "LHLO" : "EHLO", *name = smtp_is_lmtp ? conf.lmtp_lhlo_name : conf.smtp_helo_name;
	int timeout = smtp_is_lmtp ? conf.lmtp_lhlo_timeout : conf.smtp_helo_timeout;
	bool esmtp_greeting = span_find_span(buf_view(&s->reply.text), SPAN("ESMTP")) < s->reply.text.n;
	bool use_ehlo = smtp_is_lmtp || (!s->no_esmtp && !conf.smtp_never_send_ehlo && (conf.smtp_always_send_ehlo || esmtp_greeting));

	if (use_ehlo) {
		smtp_command(s, "%s %s", hello, name);
		if (!smtp_read_reply(s, timeout, smtp_is_lmtp ? "performing the LHLO handshake" : "performing the EHLO handshake")) {
			*why = smtp_broken(s, mem);
			return false;
		}
		if (s->reply.code / 100 == 2 && !smtp_take_features(s, mem)) {
			s->local_trouble = true;
			*why = smtp_broken(s, mem);
			return false;
		}
	}
	if (!use_ehlo || (s->reply.code / 100 != 2 && !smtp_is_lmtp && s->reply.code != 421)) {
		smtp_command(s, "HELO %s", name);
		if (!smtp_read_reply(s, timeout, "performing the HELO handshake")) {
			*why = smtp_broken(s, mem);
			return false;
		}
	}
	if (s->reply.code / 100 != 2) {
		*why = refused(s, mem);
		return false;
	}
	if (!is_myself(s))
		return true;
	log_warning("host %s replied to HELO/EHLO with my own hostname %s", s->relay, conf.myhostname);
	*why = dsn_printf(mem, (struct dsn){ 5, 4, 6 }, "mail for %s loops back to myself", s->key);
	return false;
}

static bool
greeting(struct smtp_session *s, struct arena *mem, struct dsn_text *why)
{
	if (!smtp_read_reply(s, conf.smtp_helo_timeout, "receiving the initial server greeting")) {
		*why = smtp_broken(s, mem);
		return false;
	}
	if (s->reply.code / 100 == 2) {
		smtp_find_workarounds(s, mem);
		return helo(s, mem, why);
	}
	*why = refused(s, mem);
	if (conf.smtp_skip_5xx_greeting && why->code.class == 5)
		why->code.class = 4;
	return false;
}

/* Source address. NULL: any. False: smtp_bind_address_enforce, and it is not ours. */
static bool
source_address(const struct smtp_target *t, struct sock_addr *local, bool *bind_it)
{
	const char *from = t->address.sa.ss_family == AF_INET6 ? conf.smtp_bind_address6 : conf.smtp_bind_address;
	struct err e = {0};

	*bind_it = *from != '\0' && sock_addr_parse(span_str(from), 0, local);
	if (!*bind_it || sock_may_bind(local, &e))
		return true;
	log_warning("smtp_connect_addr: %s", e.text);
	*bind_it = false;
	return !conf.smtp_bind_address_enforce;
}

/* -1: *why. */
static int
connect_to(const struct smtp_session *s, const struct smtp_target *t, struct arena *mem, struct dsn_text *why)
{
	int64_t timeout = (int64_t)conf.smtp_connect_timeout * 1000;
	struct sock_addr local;
	struct err e = {0};
	bool bind_it = false;
	int fd;

	if (t->unix_path == NULL && !source_address(t, &local, &bind_it)) {
		*why = dsn_printf(mem, (struct dsn){ 4, 4, 0 }, "server configuration error");
		return -1;
	}
	if (t->unix_path != NULL)
		fd = sock_connect_unix(t->unix_path, timeout, &e);
	else
		fd = sock_connect_inet(&t->address, bind_it ? &local : NULL, timeout, &e);
	if (fd < 0) {
		const char *reason = errno == EAGAIN || errno == EINPROGRESS ? strerror(ETIMEDOUT) : strerror(errno);

		*why = dsn_printf(mem, (struct dsn){ 4, 4, 1 }, "connect to %s: %s", s->relay, reason);
	}
	return fd;
}

static void
set_names(struct smtp_session *s, const struct smtp_target *t, const char *key)
{
	const char *addr = t->unix_path != NULL ? t->unix_path : t->address.host;

	(void)snprintf(s->key, sizeof s->key, "%s", key);
	(void)snprintf(s->host, sizeof s->host, "%s", t->host);
	(void)snprintf(s->addr, sizeof s->addr, "%s", addr);
	(void)snprintf(s->port, sizeof s->port, "%s", t->unix_path != NULL ? "" : t->address.port);
	(void)snprintf(s->id, sizeof s->id, "%s[%s]", s->host, s->addr);
	(void)snprintf(s->relay, sizeof s->relay, "%s%s%s", s->id, *s->port != '\0' ? ":" : "", s->port);
}

struct smtp_session *
smtp_open(const struct smtp_target *t, const char *key, const struct delivery *d, struct dsn_text *why, bool *talked)
{
	struct smtp_session *s = calloc(1, sizeof *s);
	int fd;

	if (s == NULL)
		log_out_of_memory();
	set_names(s, t, key);
	s->d = d;
	*talked = false;
	debug_peer_begin(s->host, s->addr, s->key);
	fd = connect_to(s, t, d->mem, why);
	if (fd < 0) {
		log_info("%.*s", SPAN_ARG(why->reason));
		debug_peer_end();
		free(s);
		return NULL;
	}
	*talked = true;
	s->stream = stream_new(fd);
	s->opened = clock_ms();
	if (!greeting(s, d->mem, why))
		smtp_close(&s, stream_state(s->stream) == STREAM_OK);
	return s;
}

void
smtp_close(struct smtp_session **sp, bool quit)
{
	struct smtp_session *s = *sp;

	if (s == NULL)
		return;
	if (quit && stream_state(s->stream) == STREAM_OK) {
		smtp_command(s, "QUIT");
		if (conf.smtp_skip_quit_response)
			(void)stream_flush(s->stream);
		else
			(void)smtp_read_reply(s, conf.smtp_quit_timeout, "sending QUIT");
	}
	if (s->trouble != 0)
		tell_postmaster(s);
	stream_free(&s->stream);
	smtp_reply_free(&s->reply);
	transcript_free(&s->history);
	debug_peer_end();
	free(s);
	*sp = NULL;
}
