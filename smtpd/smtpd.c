/*
 * smtpd.c - SMTP server: one client at a time. Reads commands, gives replies, hands mail to cleanup(8).
 * Trusts no client and no DNS answer; never delivers, never touches a queue file itself.
 *
 * SPDX-License-Identifier: ISC
 */
#include <poll.h>
#include <pwd.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "mail/debug_peer.h"
#include "mail/dns_filter.h"
#include "mail/flush_client.h"
#include "map/match.h"
#include "map/maps.h"
#include "net/auth.h"
#include "smtp/address.h"
#include "smtpd/filter.h"
#include "smtpd/restrict.h"
#include "smtpd/smtpd.h"

#define LINGER_MS	10000		/* a reply waits at most so long for others while the session works */
#define LONG_LINE_SHOWN	30u
#define ESCAPED_MAX	100		/* bytes of client input in log lines */

static struct match *event_exceptions, *bare_lf_exclusions;
static struct maps *forbidden_tables, *command_filter;
static struct span forbidden_words, noop_words;
static bool stand_alone;		/* sendmail -bs of somebody who is not the mail owner */

/* In the order of the disconnect line. */
static const struct smtp_command commands[] = {
	{ "HELO", SMTP_COMMAND_LAST | SMTP_COMMAND_JUNK, cmd_helo },
	{ "EHLO", SMTP_COMMAND_LAST | SMTP_COMMAND_JUNK, cmd_ehlo },
	{ "XCLIENT", 0, cmd_xclient },
	{ "XFORWARD", 0, cmd_xforward },
	{ "STARTTLS", 0, cmd_starttls },
	{ "AUTH", 0, cmd_auth },
	{ "MAIL", 0, cmd_mail },
	{ "RCPT", 0, cmd_rcpt },
	{ "DATA", SMTP_COMMAND_LAST | SMTP_COMMAND_CONTENT, cmd_data },
	{ "BDAT", SMTP_COMMAND_CONTENT, cmd_bdat },
	{ "RSET", SMTP_COMMAND_JUNK, cmd_rset },
	{ "NOOP", SMTP_COMMAND_LAST | SMTP_COMMAND_JUNK, cmd_noop },
	{ "VRFY", SMTP_COMMAND_LAST | SMTP_COMMAND_JUNK, cmd_vrfy },
	{ "ETRN", SMTP_COMMAND_JUNK, cmd_etrn },
	{ "QUIT", 0, cmd_quit },
	{ "HELP", 0, cmd_help },
};

struct smtpd *smtpd_of(struct smtp_server *server) { return server->owner; }
const char *smtpd_queue_id(const struct smtpd *s) { return s->cleanup != NULL ? cleanup_queue_id(s->cleanup) : "NOQUEUE"; }

void
smtpd_sleep(int seconds)
{
	(void)poll(NULL, 0, seconds * 1000);
}

static const char *
escaped(struct span in, struct arena *mem)
{
	return smtpd_escaped(in, ESCAPED_MAX, mem);
}

static bool
word_in(struct span list, struct span word)
{
	struct span w;

	while (span_take_word_braced(&list, ", \t\r\n", &w))
		if (span_ieq(w, word))
			return true;
	return false;
}

/* "Subject: x" instead of a command. */
static bool
looks_like_header(struct span line)
{
	size_t colon = span_find(line, ':');

	if (colon == 0 || colon == line.n)
		return false;
	for (size_t i = 0; i < colon; i++)
		if (line.p[i] <= 32 || line.p[i] > 126)
			return false;
	return true;
}

static bool
is_forbidden(struct smtpd *s, struct span line, struct span word)
{
	struct span value;

	if (word_in(forbidden_words, word))
		return true;
	return maps_get(forbidden_tables, line, 0, s->work, &value, NULL) == MAP_FOUND || looks_like_header(line);
}

static bool
reject_bare_lf(struct smtpd *s)
{
	smtpd_log_event(s, "reject", "bare <LF> received");
	smtp_server_reply(&s->server, "%d 5.5.2 %s Error: bare <LF> received", conf.smtpd_forbid_bare_newline_reject_code,
	    conf.myhostname);
	smtp_server_close(&s->server);
	return false;
}

static void
filter_command(struct smtpd *s, struct span *line)
{
	struct span value;

	if (maps_count(command_filter) == 0 || maps_get(command_filter, *line, 0, s->work, &value, NULL) != MAP_FOUND)
		return;
	log_info("%s: replacing command \"%.100s\" with \"%.100s\"", s->client.id,
	    span_cstr(span_printable(smtpd_without_secrets(*line, s->work), s->work), s->work), span_cstr(value, s->work));
	*line = value;
}

/* What is done with every line before the command table sees it. */
static bool
command_line(struct smtp_server *server, struct span *line)
{
	struct smtpd *s = smtpd_of(server);
	struct span rest, word = {0};
	const struct smtp_command *known = NULL;

	arena_reset(s->work);
	if (server->cut)
		log_warning("%s: request longer than %d: %.*s...", s->client.id, conf.line_length_limit,
		    SPAN_ARG(span_printable(span_to(smtpd_without_secrets(*line, s->work), LONG_LINE_SHOWN), s->work)));
	if (server->bare_lf) {
		s->saw_bare_lf = true;
		if (s->reject_bare_lf)
			return reject_bare_lf(s);
	}
	smtpd_history_input(s, smtpd_without_secrets(*line, s->work));
	filter_command(s, line);
	rest = *line;
	(void)span_take_word(&rest, " \t\r\n\v\f", &word);
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
		if (span_iis(word, commands[i].name))
			known = &commands[i];
	if (word.n > 0 && conf.smtputf8_enable && !span_is_ascii(*line) && !span_valid_utf8(*line)) {
		server->unknown++;
		server->errors++;
		server->command = NULL;
		server->where = "UNKNOWN";
		smtp_server_reply(server, "500 5.5.2 Error: bad UTF-8 syntax");
		return false;
	}
	if (word.n > 0 && word_in(noop_words, word)) {
		smtp_server_reply(server, "250 2.0.0 Ok");
		return false;
	}
	if (word.n > 0 && known == NULL && is_forbidden(s, span_trim(*line), word)) {
		server->unknown++;
		server->command = NULL;
		server->where = "UNKNOWN";
		smtpd_trouble(s, 0);
		log_warning("non-SMTP command from %s: %s", s->client.id, escaped(*line, s->work));
		smtp_server_reply(server, "221 2.7.0 Error: I can break rules, too. Goodbye.");
		smtp_server_close(server);
		return false;
	}
	if (s->denied == NULL || span_iis(word, "QUIT"))
		return true;
	smtpd_trouble(s, 0);
	server->errors++;
	if (known != NULL)
		server->total[known - commands]++;
	else
		server->unknown++;
	if (memcmp(s->denied, "421", 3) == 0 || memcmp(s->denied, "521", 3) == 0)
		smtp_server_reply(server, "%s", s->denied);
	else
		smtp_server_reply(server, "503 5.7.0 Error: access denied for %s", s->client.id);
	return false;
}

static void
unknown_command(struct smtp_server *server, struct span name)
{
	smtp_server_reply(server, name.n == 0 ? "500 5.5.2 Error: bad syntax" : "500 5.5.2 Error: command not recognized");
}

static bool
bad_pipelining(struct smtp_server *server, struct span input)
{
	struct smtpd *s = smtpd_of(server);
	const bool exchange = server->command != NULL && server->command->fn == cmd_auth;	/* a response may be in it */

	if (input.n == 0) {
		log_warning("%s: request longer than %d: %s...", s->client.id, conf.line_length_limit,
		    escaped(server->mode == SMTP_SERVER_ANSWER ? SPAN("***") : smtpd_without_secrets(buf_view(&server->line), s->work), s->work));
	} else {
		if (s->stand_alone)
			return false;
		log_info("improper command pipelining after %s from %s: %s", server->where, s->client.id,
		    escaped(exchange ? SPAN("***") : smtpd_without_secrets(input, s->work), s->work));
		if (!conf.smtpd_forbid_unauth_pipelining)
			return false;
	}
	smtpd_trouble(s, 0);
	smtp_server_reply(server, "554 5.5.0 Error: SMTP protocol synchronization");
	smtp_server_close(server);
	return true;
}

static void
edit_reply(struct smtp_server *server, struct buf *text)
{
	struct smtpd *s = smtpd_of(server);

	reply_edit(s, text);
	smtpd_history_output(s, buf_view(text));
	if (!smtp_server_tarpit(server))
		return;
	if (server->out.n > 0) {
		stream_put(s->peer, buf_view(&server->out));
		buf_reset(&server->out);
		(void)stream_flush(s->peer);
	}
	smtpd_sleep(conf.smtpd_error_sleep_time);
}

static const struct smtp_server_ops ops = {
	.commands = commands, .ncommands = sizeof commands / sizeof commands[0],
	.line = command_line, .unknown = unknown_command, .pipelining = bad_pipelining,
	.content = smtpd_content, .content_end = smtpd_content_end, .answer = smtpd_auth_answer, .reply = edit_reply,
};

static void
put_replies(struct smtpd *s)
{
	stream_put(s->peer, buf_view(&s->server.out));
	buf_reset(&s->server.out);
}

static bool
send_replies(struct smtpd *s)
{
	put_replies(s);
	return stream_flush(s->peer);
}

/* smtpd_per_request_deadline limits the waiting for a whole request; content buys itself time, smtpd_min_data_rate. */
static bool
wait_for_input(struct smtpd *s)
{
	int64_t begin, limit = conf.smtpd_timeout * INT64_C(1000);
	size_t had = stream_buffered(s->peer).n;
	bool ok;

	if (!conf.smtpd_per_request_deadline)
		return stream_fill(s->peer);
	begin = clock_ms();
	stream_set_deadline(s->peer, begin + s->patience);
	ok = stream_fill(s->peer);
	s->patience -= clock_ms() - begin;
	if (s->server.mode == SMTP_SERVER_DATA || s->server.mode == SMTP_SERVER_CHUNK) {
		s->patience += (int64_t)(stream_buffered(s->peer).n - had) * 1000 / conf.smtpd_min_data_rate;
		s->patience = s->patience < limit ? s->patience : limit;
	}
	stream_set_deadline(s->peer, clock_ms() + limit);		/* the response's own */
	return ok;
}

/* True: there was something to do in what has arrived. */
static bool
step(struct smtpd *s)
{
	struct span in = stream_buffered(s->peer), rest = in;
	bool command = s->server.mode == SMTP_SERVER_COMMAND || s->server.mode == SMTP_SERVER_ANSWER;
	bool whole = smtp_server_step(&s->server, &rest);	/* else a part of it may have been taken */

	stream_consume(s->peer, in.n - rest.n);
	if (whole && (command || s->server.mode == SMTP_SERVER_COMMAND))
		s->patience = conf.smtpd_timeout * INT64_C(1000);
	return whole || rest.n < in.n;
}

/* Why the session ended when it did not end well: "lost connection", "timeout", "too many errors". */
static const char *
converse(struct smtpd *s)
{
	enum smtp_server_mode mode;

	s->patience = conf.smtpd_timeout * INT64_C(1000);
	for (;;) {
		if (s->server.mode == SMTP_SERVER_CLOSED) {
			put_replies(s);
			(void)stream_finish(s->peer);
			return NULL;
		}
		if (s->server.mode == SMTP_SERVER_COMMAND && s->server.errors >= (unsigned)conf.smtpd_hard_error_limit) {
			smtpd_trouble(s, 0);
			smtp_server_reply(&s->server, "421 4.7.0 %s Error: too many errors", conf.myhostname);
			(void)send_replies(s);
			return "too many errors";
		}
		if (step(s))
			continue;
		if (!send_replies(s))
			return "lost connection";
		if (wait_for_input(s)) {
			service_progress();
			continue;
		}
		if (stream_state(s->peer) != STREAM_TIMEOUT)
			return "lost connection";
		stream_clear_timeout(s->peer);
		stream_set_deadline(s->peer, 0);
		smtpd_trouble(s, 0);
		mode = s->server.mode;
		smtp_server_reply(&s->server, "421 4.4.2 %s Error: timeout exceeded", conf.myhostname);
		s->server.mode = mode == SMTP_SERVER_ANSWER ? mode : s->server.mode;	/* what was not done counts as tried */
		(void)send_replies(s);
		return "timeout";
	}
}

static void
set_bare_lf_policy(struct smtpd *s)
{
	const char *policy = conf.smtpd_forbid_bare_newline;
	bool excluded = match_host(bare_lf_exclusions, span_str(s->client.name), span_str(s->client.address)) == MATCH_YES;

	s->forbid_bare_lf = !excluded && strcmp(policy, "no") != 0;
	s->reject_bare_lf = !excluded && strcmp(policy, "reject") == 0;
	s->note_bare_lf = !excluded && strcmp(policy, "note") == 0;
	s->server.dot.lenient = !s->forbid_bare_lf;
}

/* What depends on who the client is. */
static void
set_rights(struct smtpd *s)
{
	smtpd_client_set_id(s);
	set_bare_lf_policy(s);
	smtpd_ehlo_hide(s);
	s->may_xclient = !s->stand_alone && smtpd_may_xclient(s);
	s->may_xverp = !s->stand_alone && smtpd_may_xverp(s);
	s->trusted_events = s->may_xclient || s->stand_alone ||
	    match_host(event_exceptions, span_str(s->client.name), span_str(s->client.address)) == MATCH_YES;
}

/* The first reply of a session. False: there will be no session. */
static bool
greet(struct smtpd *s)
{
	const char *reply;

	if (smtpd_rate_exceeded(s, SMTPD_EVENT_CONNECT)) {
		smtpd_trouble(s, TROUBLE_POLICY);
		smtp_server_reply(&s->server, "421 4.7.0 %s Error: too many connections from %s", conf.myhostname, s->client.address);
		return false;
	}
	if (!conf.smtpd_delay_reject && (reply = check_client(s)) != NULL) {
		s->denied = span_cstr(span_str(reply), s->mem);
		smtp_server_reply(&s->server, "%s", reply);
	} else {
		smtp_server_reply(&s->server, "220 %s", conf.smtpd_banner);
	}
	return true;
}

void
smtpd_restart(struct smtpd *s)
{
	s->saved_client = s->saved_helo = s->saved_sender = (struct smtpd_defer_if){0};
	s->origin = (struct smtpd_origin){0};
	s->server.esmtp = strcmp(s->protocol, "ESMTP") == 0;
	set_rights(s);
	smtp_server_uncounted(&s->server);
	if (s->server.following.n == 0 || !conf.smtpd_forbid_unauth_pipelining || !bad_pipelining(&s->server, s->server.following))
		(void)greet(s);
}

/* Nobody may speak before the greeting. */
static bool
speaks_too_early(struct smtpd *s)
{
	return !s->stand_alone && stream_input_ready(s->peer, 0) && conf.smtpd_forbid_unauth_pipelining &&
	    (stream_buffered(s->peer).n > 0 || stream_fill(s->peer)) && bad_pipelining(&s->server, stream_buffered(s->peer));
}

static void
log_end(struct smtpd *s, const char *why)
{
	struct buf b = {0};

	if (why != NULL && (strcmp(s->server.where, "END-OF-MESSAGE") != 0 || strcmp(why, "lost connection") != 0)) {
		buf_printf(&b, "%s: %s after %s", smtpd_queue_id(s), why, s->server.where);
		if (s->server.mode == SMTP_SERVER_DATA || s->server.mode == SMTP_SERVER_CHUNK)
			buf_printf(&b, " (%lld bytes)", (long long)s->size);
		log_info("%s from %s", buf_cstr(&b), s->client.id);
	}
	if (why != NULL && s->server.mode != SMTP_SERVER_COMMAND && s->server.mode != SMTP_SERVER_CLOSED)
		s->server.total[s->server.command - commands]++;
	smtpd_mail_reset(s);
	smtpd_history_end(s, why);
	buf_reset(&b);
	smtp_server_statistics(&s->server, &b);
	if (s->note_bare_lf && s->saw_bare_lf)
		buf_str(&b, " notes=bare_lf");
	log_info("disconnect from %s%s", s->client.id, buf_cstr(&b));
	buf_free(&b);
}

static void
smtpd_serve(struct session *session)
{
	struct smtpd s = { .session = session, .peer = session->peer, .mem = session->mem, .protocol = "SMTP" };
	const char *why = NULL;
	bool known;

	s.stand_alone = stand_alone;
	s.work = arena_new();
	s.tmem = arena_new();
	smtp_server_init(&s.server, &ops, &s);
	s.server.line_limit = (size_t)conf.line_length_limit;
	s.server.soft_limit = (unsigned)conf.smtpd_soft_error_limit;
	s.server.junk_limit = (unsigned)conf.smtpd_junk_command_limit;
	stream_set_timeout(s.peer, conf.smtpd_timeout * 1000);
	known = smtpd_upstream(&s, session);
	smtpd_client_find(&s, session);
	debug_peer_begin(s.client.name, s.client.address, NULL);
	log_info("connect from %s", s.client.id);
	set_rights(&s);
	s.may_xforward = !stand_alone && smtpd_may_xforward(&s);
	if (known)
		smtpd_auth_begin(&s);
	if (!known)
		smtp_server_reply(&s.server, "421 4.3.0 %s Server local error", conf.myhostname);
	else if (!speaks_too_early(&s) && greet(&s))
		why = converse(&s);
	(void)send_replies(&s);
	log_end(&s, why);
	(void)smtpd_rate_exceeded(&s, SMTPD_EVENT_DISCONNECT);
	auth_free(&s.auth);
	debug_peer_end();
	smtp_server_free(&s.server);
	arena_free(&s.work);
	arena_free(&s.tmem);
}

/* smtpd_forbidden_commands mixes words and tables. */
static void
split_forbidden(void)
{
	struct span in = span_str(conf.smtpd_forbidden_commands), word;
	struct buf words = {0}, tables = {0};

	while (span_take_word_braced(&in, ", \t\r\n", &word)) {
		struct buf *to = span_has(word, ':') ? &tables : &words;

		buf_span(to, word);
		/* "regexp:{{...} {...}}": a table with its own braces stays one word */
		buf_byte(to, ' ');
	}
	forbidden_words = span_str(span_strdup(buf_view(&words)));
	forbidden_tables = maps_open("smtpd_forbidden_commands", buf_cstr(&tables), MAP_FOLD);
	buf_free(&words);
	buf_free(&tables);
}

static bool
is_mail_owner(void)
{
	const struct passwd *pw = getpwnam(conf.mail_owner);

	return pw != NULL && pw->pw_uid == geteuid();
}

/* A user who runs this program could as well run postdrop. The tables may be beyond a user's reach, too. */
static void
no_access_control(void)
{
	const char **const none[] = { &conf.smtpd_client_restrictions, &conf.smtpd_helo_restrictions, &conf.smtpd_sender_restrictions,
	    &conf.smtpd_relay_restrictions, &conf.smtpd_recipient_restrictions, &conf.smtpd_data_restrictions,
	    &conf.smtpd_end_of_data_restrictions, &conf.smtpd_etrn_restrictions, &conf.smtpd_restriction_classes,
	    &conf.local_recipient_maps, &conf.relay_recipient_maps, &conf.smtpd_proxy_filter };

	for (size_t i = 0; i < sizeof none / sizeof *none; i++)
		*none[i] = "";
	conf.smtpd_reject_unlisted_recipient = conf.smtpd_reject_unlisted_sender = false;
}

static void
smtpd_init(void)
{
	stand_alone = service_env.stand_alone && !is_mail_owner();
	if (stand_alone)
		no_access_control();
	dns_prepare();
	dns_filter_open("smtpd_dns_reply_filter", conf.smtpd_dns_reply_filter);
	(void)smtpd_client_is_own(&(struct smtpd){ .client.peer = "" });	/* reads the interfaces now */
	event_exceptions = match_open(MATCH_HOST, "smtpd_client_event_limit_exceptions", conf.smtpd_client_event_limit_exceptions, NULL);
	bare_lf_exclusions = match_open(MATCH_HOST, "smtpd_forbid_bare_newline_exclusions", conf.smtpd_forbid_bare_newline_exclusions,
	    NULL);
	command_filter = maps_open("smtpd_command_filter", conf.smtpd_command_filter, MAP_FOLD);
	noop_words = span_str(conf.smtpd_noop_commands);
	split_forbidden();
	smtpd_upstream_init();
	filter_init();
	smtpd_ehlo_init();
	smtpd_xclient_init();
	smtpd_auth_init();
	reply_edit_init();
	debug_peer_init();
	rbl_reply_init();
	recipient_init();
	flush_prepare();
	restrict_init(stand_alone);
	rate_limit_init();
}

static const struct service smtpd_service = {
	.name = "smtpd", .kind = SERVICE_SINGLE, .init = smtpd_init, .tables_changed = maps_restart_wanted, .serve = smtpd_serve,
};

int
main(int argc, char **argv)
{
	return service_main(&smtpd_service, argc, argv);
}
