/*
 * outcome.c - maillog_format = json: one line for each message that leaves the queue, appended to maillog_json_file, with what
 * became of its recipients. Agents tell that with their answers. What was delivered in an earlier attempt is kept in memory
 * while the message is deferred. Texts are strangers': every line is one JSON object of valid UTF-8, whatever they hold.
 * Costs nothing but a look at a flag when it is off.
 *
 * SPDX-License-Identifier: ISC
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "conf/json.h"
#include "mail/message_id.h"
#include "qmgr/qmgr.h"
#include "service/json_log.h"

#define SAVED_MAX	20000u		/* recipients of all deferred messages */
#define TEXT_MAX	500u		/* bytes of what a server said */

struct outcome {
	struct outcome *next;
	struct span address, original, relay, status, dsn, text;
	int64_t delay_ms;		/* -1: not known */
};

/* Recipients that are done, of a message that is deferred. */
struct saved {
	struct arena *mem;
	struct outcome *first;
	size_t n;
};

static bool on;
static struct hash *saved;		/* by queue ID */
static size_t saved_recipients;

bool outcome_wanted(void) { return on; }

/* --- start --- */

void
outcome_init(void)
{
	on = json_log_open();
	if (on)
		saved = hash_new();
}

/* --- what became of recipients --- */

/* At the end of the message's list; NULL: it is long enough. */
static struct outcome *
add(struct message *m)
{
	struct outcomes *all = &m->outcomes;
	struct outcome *o;

	all->total++;
	if (all->n == JSON_LOG_RECIPIENTS)
		return NULL;
	all->n++;
	o = ARENA_NEW(m->mem, struct outcome);
	o->delay_ms = -1;
	*(all->last != NULL ? &all->last->next : &all->first) = o;
	all->last = o;
	return o;
}

void
outcome_take(struct message *m, const struct ipc_delivered *answer)
{
	for (size_t i = 0; on && i < answer->result.n; i++) {
		const struct ipc_delivered_rcpt *r = &answer->result.p[i];
		struct outcome *o = add(m);

		if (o == NULL)
			continue;
		o->address = span_copy(r->address, m->mem);
		o->original = span_copy(r->original, m->mem);
		o->relay = span_copy(r->relay, m->mem);
		o->status = span_copy(r->status, m->mem);
		o->dsn = span_copy(r->dsn, m->mem);
		o->text = span_copy(span_to(r->text, TEXT_MAX), m->mem);
		o->delay_ms = r->delay_ms;
	}
}

void
outcome_note(struct message *m, const struct recipient *r, const char *status, struct dsn dsn, const char *text)
{
	struct outcome *o = on ? add(m) : NULL;

	if (o == NULL)
		return;
	o->address = span_copy(r->address, m->mem);
	o->original = span_copy(r->original, m->mem);
	o->relay = SPAN("none");
	o->status = span_copy(span_str(status), m->mem);
	o->dsn = span_str(dsn_str(dsn, m->mem));
	o->text = span_copy(span_str(text), m->mem);
}

void
outcome_done_before(struct message *m, struct span address)
{
	struct outcome *o = on && !m->outcomes.recovered ? add(m) : NULL;

	if (o == NULL)
		return;
	o->address = span_copy(address, m->mem);
	o->status = SPAN("done");
}

/* --- between attempts --- */

static bool
will_be_tried_again(const struct outcome *o)
{
	return span_is(o->status, "deferred") || span_is(o->status, "SOFTBOUNCE") || span_is(o->status, "expired");
}

static void
forget(struct saved *s)
{
	struct arena *mem = s->mem;

	saved_recipients -= s->n;
	arena_free(&mem);
}

static void
forget_oldest(void)
{
	struct span id;
	void *value;
	size_t pos = 0;

	if (hash_next(saved, &pos, &id, &value)) {
		(void)hash_remove(saved, id);
		forget(value);
	}
}

static struct outcome *
copy(const struct outcome *o, struct arena *mem)
{
	struct outcome *c = ARENA_NEW(mem, struct outcome);

	*c = (struct outcome){ .address = span_copy(o->address, mem), .original = span_copy(o->original, mem),
	    .relay = span_copy(o->relay, mem), .status = span_copy(o->status, mem), .dsn = span_copy(o->dsn, mem),
	    .text = span_copy(o->text, mem), .delay_ms = o->delay_ms };
	return c;
}

void
outcome_save(const struct message *m)
{
	struct saved *s = NULL;
	struct outcome **end = NULL;

	for (const struct outcome *o = m->outcomes.first; o != NULL; o = o->next) {
		if (will_be_tried_again(o))
			continue;
		if (s == NULL) {
			struct arena *mem = arena_new();

			s = ARENA_NEW(mem, struct saved);
			s->mem = mem;
			end = &s->first;
		}
		*end = copy(o, s->mem);
		end = &(*end)->next;
		s->n++;
	}
	if (s == NULL)
		return;
	saved_recipients += s->n;
	if ((s = hash_put(saved, span_str(m->id), s)) != NULL)
		forget(s);
	while (saved_recipients > SAVED_MAX)
		forget_oldest();
}

void
outcome_recover(struct message *m)
{
	struct saved *s = on ? hash_remove(saved, span_str(m->id)) : NULL;

	if (s == NULL)
		return;
	m->outcomes.recovered = true;
	for (const struct outcome *o = s->first; o != NULL; o = o->next) {
		struct outcome *mine = add(m);

		if (mine != NULL) {
			struct outcome *next = mine->next;

			*mine = *copy(o, m->mem);
			mine->next = next;
		}
	}
	forget(s);
}

/* --- the line --- */

static void
put_outcome(struct buf *out, const struct outcome *o, bool expired, struct arena *mem)
{
	buf_byte(out, '{');
	json_text(out, "address", o->address, mem);
	if (!span_ieq(o->address, o->original))
		json_log_text(out, "orig_address", o->original, mem);
	json_log_text(out, "status", expired && will_be_tried_again(o) ? SPAN("expired") : o->status, mem);
	json_log_text(out, "dsn", o->dsn, mem);
	json_log_text(out, "relay", o->relay, mem);
	if (o->delay_ms >= 0)
		buf_printf(out, ", \"delay\": %lld.%03d", (long long)(o->delay_ms / 1000), (int)(o->delay_ms % 1000));
	json_log_text(out, "text", o->text, mem);
	buf_byte(out, '}');
}

static struct span
find_message_id(struct message *m, struct arena *mem)
{
	struct span id;
	int fd;

	if (!message_open(m, O_RDONLY, &fd))
		return SPAN_NULL;
	id = message_id_read(fd, m->data_offset, mem);
	(void)close(fd);
	return id;
}

static const char *
result_of(const struct message *m, bool expired)
{
	if (expired)
		return "expired";
	for (const struct outcome *o = m->outcomes.first; o != NULL; o = o->next)
		if (span_is(o->status, "bounced") || span_is(o->status, "undeliverable"))
			return "bounced";
	return "sent";
}

static void
put_client(struct buf *out, const struct message *m, struct arena *mem)
{
	json_log_text(out, "client_name", m->client_name, mem);
	json_log_text(out, "client_address", m->client_addr, mem);
	json_log_text(out, "client_port", m->client_port, mem);
	json_log_text(out, "protocol", m->client_proto, mem);
	json_log_text(out, "helo", m->client_helo, mem);
	json_log_text(out, "sasl_method", m->sasl_method, mem);
	json_log_text(out, "sasl_username", m->sasl_username, mem);
}

void
outcome_write(struct message *m, bool expired)
{
	struct buf line = {0};
	struct arena *mem;
	struct timeval now = clock_wall();

	if (!on)
		return;
	mem = arena_new();
	buf_byte(&line, '{');
	json_text(&line, "queue_id", span_str(m->id), mem);
	json_log_text(&line, "result", span_str(result_of(m, expired)), mem);
	json_log_time(&line, "arrival", m->arrival);
	json_log_time(&line, "end", now);
	buf_printf(&line, ", \"delay\": %.3f, ", clock_seconds_between(m->arrival, now));
	json_text(&line, "sender", m->sender, mem);
	json_log_text(&line, "message_id", find_message_id(m, mem), mem);
	buf_printf(&line, ", \"size\": %lld, \"nrcpt\": %ld", (long long)m->cont_length, m->rcpt_count);
	put_client(&line, m, mem);
	buf_str(&line, ", \"recipients\": [");
	for (const struct outcome *o = m->outcomes.first; o != NULL; o = o->next) {
		put_outcome(&line, o, expired, mem);
		if (o->next != NULL)
			buf_str(&line, ", ");
	}
	buf_byte(&line, ']');
	if (m->outcomes.total > m->outcomes.n)
		buf_printf(&line, ", \"recipients_not_listed\": %zu", m->outcomes.total - m->outcomes.n);
	buf_str(&line, "}\n");
	json_log_write(&line);
	buf_free(&line);
	arena_free(&mem);
}
