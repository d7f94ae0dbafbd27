/*
 * auth_dovecot.c - logins through a server that speaks Dovecot's protocol. One connection a process, made by the worker and kept; the server
 * is trusted for who may log in and for nothing else: a line that is too long, incomplete or malformed ends the connection, and the client is
 * told to try again later.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "io/stream.h"
#include "map/peer.h"
#include "net/auth_type.h"
#include "net/dovecot_line.h"

#define WAIT_MS		10000		/* connecting; an answer */
#define LINE_MAX_SIZE	16384		/* twice what Dovecot itself allows */
#define MECHANISMS_MAX	100
#define BAD_ANSWER	"Authentication backend error"
#define GONE		"Connection lost to authentication server"

struct mechanism {
	char *name;
	unsigned properties;
};

static struct {
	const struct auth_settings *settings;
	struct stream *stream;		/* NULL: never connected, or could not be */
	pid_t owner;
	uint64_t number;		/* of the last request */
	struct mechanism mechanisms[MECHANISMS_MAX];
	size_t nmechanisms;
} server;

/* Of one session. */
struct login {
	unsigned security;
	uint64_t number;		/* of the exchange at hand */
	char *offered;
	char *user;			/* who tried last, as the server said; NULL */
};

static bool
dovecot_prepare(const struct auth_settings *s, struct err *e)
{
	(void)e;
	server.settings = s;
	return true;
}

static void
forget_mechanisms(void)
{
	for (size_t i = 0; i < server.nmechanisms; i++)
		free(server.mechanisms[i].name);
	server.nmechanisms = 0;
}

static bool
add_mechanism(const struct dovecot_line *l)
{
	if (server.nmechanisms == MECHANISMS_MAX)
		return false;
	server.mechanisms[server.nmechanisms++] = (struct mechanism){ span_strdup(l->word), l->properties };
	return true;
}

/* A whole line. False: there will be none, which was logged unless the connection just ended. */
static bool
read_line(struct dovecot_line *out)
{
	struct span line;

	if (!stream_line(server.stream, LINE_MAX_SIZE, &line))
		return false;
	if (line.n == 0 || line.p[line.n - 1] != '\n') {
		if (line.n >= LINE_MAX_SIZE)
			log_warning("SASL: too long line from authentication server '%s'", server.settings->path);
		return false;
	}
	line.n--;
	if (!dovecot_line_parse(line, out)) {
		log_warning("SASL: Protocol %serror", out->verb == DOVECOT_VERSION ? "version " : "");
		return false;
	}
	return true;
}

/* Up to DONE. False: logged where there is something to say. */
static bool
read_greeting(void)
{
	struct dovecot_line l;

	for (;;) {
		if (!read_line(&l))
			return false;
		if (l.verb == DOVECOT_DONE)
			return true;
		if (l.verb == DOVECOT_VERSION && l.number != 1) {
			log_warning("SASL: Protocol version mismatch (%llu vs. 1)", (unsigned long long)l.number);
			return false;
		}
		if (l.verb == DOVECOT_SPID && server.nmechanisms == 0) {
			log_warning("SASL: Connected to wrong auth socket (auth-master instead of auth-client)");
			return false;
		}
		if (l.verb == DOVECOT_MECH && !add_mechanism(&l)) {
			log_warning("SASL: more than %d mechanisms from authentication server '%s'", MECHANISMS_MAX, server.settings->path);
			return false;
		}
	}
}

/* The server takes what comes next, and answers, within WAIT_MS. */
static void
set_limits(void)
{
	stream_set_timeout(server.stream, WAIT_MS);
	stream_set_deadline(server.stream, clock_ms() + WAIT_MS);
}

static int
dial(const char *where)
{
	struct span rest = span_str(where);

	if (span_take(&rest, SPAN("inet:")))
		return peer_dial(rest.p, false, WAIT_MS);
	(void)span_take(&rest, SPAN("unix:"));
	return peer_dial(rest.p, true, WAIT_MS);
}

static bool
connect_server(void)
{
	const char *where = server.settings->path;
	int fd;

	stream_free(&server.stream);
	forget_mechanisms();
	fd = dial(where);
	if (fd < 0) {
		log_warning("SASL: Connect to Dovecot auth socket '%s' failed: %s", where, strerror(errno));
		return false;
	}
	server.stream = stream_new(fd);
	server.owner = getpid();
	set_limits();
	stream_printf(server.stream, "VERSION\t1\t0\nCPID\t%ld\n", (long)getpid());
	if (!stream_flush(server.stream))
		log_warning("SASL: Couldn't send handshake: %s", stream_reason(server.stream));
	else if (read_greeting())
		return true;
	stream_free(&server.stream);
	forget_mechanisms();
	return false;
}

static bool
connected(void)
{
	return server.stream != NULL && server.owner == getpid();
}

static char *
offer(unsigned security)
{
	const unsigned weak = AUTH_NO_PLAINTEXT | AUTH_NO_ACTIVE | AUTH_NO_DICTIONARY | AUTH_NO_ANONYMOUS, strong = AUTH_FORWARD_SECRECY | AUTH_MUTUAL;
	struct buf b = {0};
	char *text;

	for (size_t i = 0; i < server.nmechanisms; i++) {
		const struct mechanism *m = &server.mechanisms[i];

		if ((m->properties & AUTH_PRIVATE) != 0 || (m->properties & security & weak) != 0 || (security & strong & ~m->properties) != 0)
			continue;
		buf_printf(&b, "%s%s", b.n > 0 ? " " : "", m->name);
	}
	text = span_strdup(buf_view(&b));
	buf_free(&b);
	return text;
}

static void *
dovecot_start(const struct auth_settings *s, unsigned security, struct err *e)
{
	struct login *x = calloc(1, sizeof *x);

	(void)s;
	(void)e;
	if (x == NULL)
		log_out_of_memory();
	x->security = security;
	if (server.nmechanisms == 0 && !connected())
		(void)connect_server();
	x->offered = offer(security);
	return x;
}

static void
dovecot_end(void *arg)
{
	struct login *x = arg;

	free(x->offered);
	free(x->user);
	free(x);
}

static const char *
dovecot_mechanisms(const void *arg)
{
	const struct login *x = arg;

	return x->offered;
}

static void
remember_user(struct login *x, const struct dovecot_line *l, struct arena *mem)
{
	if (!l->has_user)
		return;
	free(x->user);
	x->user = span_strdup(span_printable(l->user, mem));
}

static void
judge(struct login *x, const struct dovecot_line *l, struct arena *mem, struct auth_reply *reply)
{
	const struct span reason = span_printable(l->reason, mem);

	remember_user(x, l, mem);
	switch (l->verb) {
	case DOVECOT_OK:
		if (l->has_user) {
			auth_say(reply, AUTH_OK, NULL, auth_user(l->user, mem));
			return;
		}
		log_warning("missing Dovecot server OK username field");
		break;
	case DOVECOT_CONT:
		if (l->word.p != NULL) {
			auth_say(reply, AUTH_MORE, span_cstr(span_printable(l->word, mem), mem), NULL);
			return;
		}
		log_warning("missing Dovecot server CONT reply field");
		break;
	default:
		auth_say(reply, AUTH_FAIL, reason.n > 0 ? span_cstr(reason, mem) : "(reason unavailable)", x->user);
		return;
	}
	auth_say(reply, AUTH_FAIL, BAD_ANSWER, x->user);
}

/* The answer to the exchange at hand; what belongs to another, one that was given up, is passed over. */
static void
read_answer(struct login *x, struct arena *mem, struct auth_reply *reply)
{
	struct dovecot_line l;

	do {
		if (!read_line(&l)) {
			stream_free(&server.stream);
			auth_say(reply, AUTH_TEMPORARY, GONE, x->user);
			return;
		}
	} while ((l.verb != DOVECOT_OK && l.verb != DOVECOT_CONT && l.verb != DOVECOT_FAIL) || l.number != x->number);
	judge(x, &l, mem, reply);
}

/* One attempt to ask. A connection that has failed still takes a number: others count like that, too. */
static bool
ask(struct login *x, const struct auth_client *c, struct span mechanism, struct span initial)
{
	x->number = ++server.number;
	if (server.stream == NULL || (stream_input_ready(server.stream, 0) && stream_buffered(server.stream).n == 0 && !stream_fill(server.stream)))
		return false;			/* ended meanwhile */
	set_limits();
	stream_printf(server.stream, "AUTH\t%llu\t%.*s\tservice=%s\tnologin\tlip=%s\trip=%s", (unsigned long long)x->number, SPAN_ARG(mechanism),
	    server.settings->service, c->server, c->client);
	if (c->secured)
		stream_puts(server.stream, "\tsecured");
	if (initial.p != NULL)
		stream_printf(server.stream, "\tresp=%.*s", SPAN_ARG(initial));
	stream_puts(server.stream, "\n");
	return stream_flush(server.stream);
}

static void
dovecot_first(void *arg, const struct auth_client *c, struct span mechanism, struct span initial, struct arena *mem, struct auth_reply *reply)
{
	struct login *x = arg;
	struct span offered = span_str(x->offered), word;
	bool known = false;

	while (span_take_word(&offered, " ", &word))
		known = known || span_ieq(word, mechanism);
	if (!known) {
		auth_say(reply, AUTH_FAIL, arena_printf(mem, "Invalid authentication mechanism: '%s'", auth_user(mechanism, mem)), x->user);
		return;
	}
	if (!dovecot_base64_ok(initial)) {
		auth_say(reply, AUTH_FAIL, "Invalid base64 data in initial response", x->user);
		return;
	}
	if (!ask(x, c, mechanism, initial) && !(connect_server() && ask(x, c, mechanism, initial))) {
		auth_say(reply, AUTH_TEMPORARY, "(reason unavailable)", x->user);
		return;
	}
	read_answer(x, mem, reply);
}

static void
dovecot_next(void *arg, struct span response, struct arena *mem, struct auth_reply *reply)
{
	struct login *x = arg;

	if (!dovecot_base64_ok(response)) {
		auth_say(reply, AUTH_FAIL, "Invalid base64 data in continued response", x->user);
		return;
	}
	if (server.stream == NULL) {
		auth_say(reply, AUTH_TEMPORARY, GONE, x->user);
		return;
	}
	set_limits();
	stream_printf(server.stream, "CONT\t%llu\t%.*s\n", (unsigned long long)x->number, SPAN_ARG(response));
	if (stream_flush(server.stream))
		read_answer(x, mem, reply);
	else
		auth_say(reply, AUTH_TEMPORARY, GONE, x->user);
}

const struct auth_type auth_dovecot = {
	.name = "dovecot", .prepare = dovecot_prepare, .start = dovecot_start, .mechanisms = dovecot_mechanisms,
	.first = dovecot_first, .next = dovecot_next, .end = dovecot_end,
};
