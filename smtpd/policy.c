/*
 * policy.c - one policy server: connection kept and reused, attempts, time limits, the default action. What the server
 * says is not trusted: answers are limited to ANSWER_MAX bytes, and every attempt to the time limit as a whole.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "map/peer.h"
#include "smtpd/policy.h"

#define ANSWER_MAX	1000000u

struct policy {
	struct peer *peer;
	char *text;			/* as configured, for the log */
	char *context, *default_action;
	int timeout, max_idle, max_ttl, retry_delay;	/* seconds */
	int request_limit, try_limit;
};

enum attempt { ANSWERED, FAILED, REFUSED };	/* REFUSED: another attempt would end the same way */

static bool
set_number(int *to, struct span value, int min)
{
	int64_t n;

	if (!span_to_i64(value, &n) || n < min || n > INT32_MAX)
		return false;
	*to = (int)n;
	return true;
}

static bool
set_text(char **to, struct span value)
{
	free(*to);
	*to = span_strdup(value);
	return true;
}

static bool
set_one(struct policy *p, struct span name, struct span value)
{
	const struct {
		const char *name;
		int *seconds, *number, min;
		char **text;
	} rows[] = {
		{ "timeout", &p->timeout, NULL, 1, NULL }, { "max_idle", &p->max_idle, NULL, 1, NULL },
		{ "max_ttl", &p->max_ttl, NULL, 1, NULL }, { "retry_delay", &p->retry_delay, NULL, 1, NULL },
		{ "request_limit", NULL, &p->request_limit, 0, NULL }, { "try_limit", NULL, &p->try_limit, 1, NULL },
		{ "default_action", NULL, NULL, 0, &p->default_action }, { "policy_context", NULL, NULL, 0, &p->context },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (!span_is(name, rows[i].name))
			continue;
		if (rows[i].text != NULL)
			return set_text(rows[i].text, value);
		if (rows[i].number != NULL)
			return set_number(rows[i].number, value, rows[i].min);
		return conf_parse_time(value, 's', rows[i].seconds) && *rows[i].seconds >= rows[i].min;
	}
	return false;
}

static bool
set_overrides(struct policy *p, struct span in, struct err *e)
{
	struct span word, name;

	while (span_take_word_braced(&in, ", \t\r\n", &word)) {
		struct span value = word;

		if (word.n >= 2 && word.p[0] == '{')
			value = span_trim(span(word.p + 1, word.n - 2));
		if (!span_take_until(&value, '=', &name) || !set_one(p, span_trim(name), span_trim(value)))
			return err_perm(e, "policy service %s: bad attribute: %.*s", p->text, SPAN_ARG(word));
	}
	return true;
}

static struct policy *
policy_new(const char *text)
{
	struct policy *p = calloc(1, sizeof *p);

	if (p == NULL)
		log_out_of_memory();
	p->text = span_strdup(span_str(text));
	p->context = span_strdup(span_str(conf.smtpd_policy_service_policy_context));
	p->default_action = span_strdup(span_str(conf.smtpd_policy_service_default_action));
	p->timeout = conf.smtpd_policy_service_timeout;
	p->max_idle = conf.smtpd_policy_service_max_idle;
	p->max_ttl = conf.smtpd_policy_service_max_ttl;
	p->retry_delay = conf.smtpd_policy_service_retry_delay;
	p->request_limit = conf.smtpd_policy_service_request_limit;
	p->try_limit = conf.smtpd_policy_service_try_limit;
	return p;
}

struct policy *
policy_open(const char *text, struct err *e)
{
	struct policy *p = policy_new(text);
	struct span in = span_str(text), endpoint = in;
	char *where;

	if (in.n >= 2 && in.p[0] == '{' && in.p[in.n - 1] == '}') {
		in = span(in.p + 1, in.n - 2);
		endpoint = SPAN_NULL;
		(void)span_take_word_braced(&in, ", \t\r\n", &endpoint);
		if (!set_overrides(p, in, e)) {
			policy_close(&p);
			return NULL;
		}
	}
	where = span_strdup(endpoint);
	p->peer = peer_open(where, e);
	free(where);
	if (p->peer == NULL)
		policy_close(&p);
	return p;
}

void
policy_close(struct policy **pp)
{
	struct policy *p = *pp;

	if (p == NULL)
		return;
	if (p->peer != NULL)
		peer_close(&p->peer);
	free(p->text);
	free(p->context);
	free(p->default_action);
	free(p);
	*pp = NULL;
}

const char *
policy_context(const struct policy *p)
{
	return p->context;
}

/* A kept connection that is too old, too idle or closed by the server is not used again. */
static void
drop_stale(struct policy *p)
{
	const struct peer *peer = p->peer;
	const int64_t now = clock_ms();

	if (peer->stream == NULL)
		return;
	if (now - peer->used > p->max_idle * INT64_C(1000) || now - peer->opened > p->max_ttl * INT64_C(1000) ||
	    (p->request_limit > 0 && peer->requests >= (unsigned)p->request_limit) || stream_input_ready(peer->stream, 0))
		peer_drop(p->peer);
}

/* Why the connection is of no use; sets errno (0: the server's fault). */
static enum attempt
broken(struct policy *p, const char *part)
{
	const enum stream_state state = stream_state(p->peer->stream);
	const int why = state == STREAM_TIMEOUT ? ETIMEDOUT : state == STREAM_ERROR ? stream_errno(p->peer->stream) : 0;

	if (part != NULL)
		log_warning("%s on %s while reading input attribute %s", state == STREAM_TIMEOUT ? "timeout" : "premature end-of-input",
		    p->peer->where, part);
	errno = why;
	return FAILED;
}

static enum attempt
bad_answer(const struct policy *p, const char *what)
{
	log_warning("%s in input from %s", what, p->peer->where);
	errno = 0;
	return FAILED;
}

/* "name=value" lines up to an empty one; the first "action" counts. */
static enum attempt
read_answer(struct policy *p, struct arena *mem, struct span *action)
{
	struct stream *from = p->peer->stream;
	struct span line, piece, name;
	struct buf all = {0};
	enum attempt result = FAILED;
	const char *part;
	bool found = false;

	for (size_t start = 0; all.n <= ANSWER_MAX;) {
		if (!stream_line(from, ANSWER_MAX, &piece)) {
			buf_span(&all, stream_buffered(from));
			part = span_has(span_from(buf_view(&all), start), '=') ? "value" : "name";
			result = broken(p, all.n == 0 ? NULL : part);
			break;
		}
		buf_span(&all, piece);
		if (piece.n == 0 || piece.p[piece.n - 1] != '\n')
			continue;
		line = span_from(buf_view(&all), start);
		line.n--;
		start = all.n;
		if (span_has(line, '\0')) {
			result = bad_answer(p, "NUL byte");
			break;
		}
		if (line.n == 0) {
			result = found ? ANSWERED : bad_answer(p, "missing attribute action");
			break;
		}
		if (!found && span_take_until(&line, '=', &name) && span_is(name, "action")) {
			*action = span_copy(line, mem);
			found = true;
		}
	}
	if (all.n > ANSWER_MAX)
		result = bad_answer(p, "too long answer");
	buf_free(&all);
	return result;
}

static enum attempt
attempt(struct policy *p, struct span request, struct arena *mem, struct span *action)
{
	enum attempt result;

	drop_stale(p);
	if (!peer_connect(p->peer, "", p->timeout * INT64_C(1000)))
		return FAILED;
	p->peer->requests++;
	stream_put(p->peer->stream, request);
	stream_puts(p->peer->stream, "\n");
	result = stream_flush(p->peer->stream) ? read_answer(p, mem, action) : broken(p, NULL);
	if (result != ANSWERED) {
		const int why = errno;

		peer_drop(p->peer);
		errno = why;
		return result;
	}
	p->peer->used = clock_ms();
	if (conf.smtputf8_enable && !span_valid_utf8(*action)) {
		log_warning("malformed UTF-8 in policy server %s response: \"%s\"", p->text, span_cstr(span_printable(*action, mem), mem));
		return REFUSED;
	}
	return ANSWERED;
}

void
policy_ask(struct policy *p, struct span request, struct arena *mem, struct span *action)
{
	for (int n = 1; n <= p->try_limit; n++) {
		enum attempt result;

		if (n > 1)
			(void)poll(NULL, 0, p->retry_delay * 1000);
		result = attempt(p, request, mem, action);
		if (result == ANSWERED)
			return;
		if (result == REFUSED)
			break;
		/* A server that went away between two questions is nothing to speak of, unless it stays away. */
		if (n == p->try_limit || (errno != 0 && errno != EPIPE && errno != ENOENT && errno != ECONNRESET))
			log_warning("problem talking to server %s: %s", p->peer->where, errno == 0 ? "Application error" : strerror(errno));
	}
	*action = span_str(p->default_action);
}
