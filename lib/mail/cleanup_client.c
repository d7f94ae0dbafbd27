/*
 * cleanup_client.c - the sending side of cleanup(8)'s protocol. One connection, kept between messages.
 * Or, with the same steps, records for postdrop(1).
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "mail/cleanup_client.h"
#include "mail/postdrop_client.h"
#include "mail/queue.h"
#include "mail/rec.h"

#define CONTENT_CHUNK	65536u

struct cleanup_client {
	char id[256];
	struct buf envelope, text, extracted;
	bool envelope_sent, failed;
	struct postdrop *drop;		/* NULL: cleanup takes it */
};

static struct ipc_client service;
static char service_path[128];

static const struct cleanup_verdict verdicts[] = {
	{ CLEANUP_STAT_BAD, 451, "4.3.0", "internal error 1" },
	{ CLEANUP_STAT_RCPT, 550, "5.1.0", "no recipients specified" },
	{ CLEANUP_STAT_HOPS, 554, "5.4.0", "too many hops" },
	{ CLEANUP_STAT_SIZE, 552, "5.3.4", "message file too big" },
	{ CLEANUP_STAT_CONT, 550, "5.7.1", "message content rejected" },
	{ CLEANUP_STAT_WRITE, 451, "4.3.0", "queue file write error" },
	{ CLEANUP_STAT_NOPERM, 550, "5.7.1", "service denied" },
	{ CLEANUP_STAT_PROXY, 451, "4.3.0", "queue file write error" },
	{ CLEANUP_STAT_DEFER, 451, "4.7.1", "service unavailable" },
	{ 0, 250, "2.0.0", "Success" },
};

const struct cleanup_verdict *
cleanup_verdict(unsigned status)
{
	const struct cleanup_verdict *v = verdicts;

	while (v->status != 0 && (v->status & status) == 0)
		v++;
	return v;
}

unsigned
cleanup_received_flags(void)
{
	unsigned flags = CLEANUP_FLAG_EXTERNAL;

	if (span_ilists(span_str(conf.receive_override_options), "no_address_mappings"))
		flags &= ~(unsigned)(CLEANUP_FLAG_MAP_OK | CLEANUP_FLAG_BCC_OK);
	if (span_ilists(span_str(conf.receive_override_options), "no_header_body_checks"))
		flags &= ~(unsigned)CLEANUP_FLAG_FILTER;
	if (span_ilists(span_str(conf.receive_override_options), "no_milters"))
		flags &= ~(unsigned)CLEANUP_FLAG_MILTER;
	return flags;
}

unsigned
cleanup_internal_flags(const char *class)
{
	return CLEANUP_FLAG_INTERNAL |
	    (span_ilists(span_str(conf.internal_mail_filter_classes), class) ? CLEANUP_FLAG_FILTER | CLEANUP_FLAG_MILTER : 0u);
}

unsigned
cleanup_autodetect_flag(const char *class)
{
	const struct span classes = span_str(conf.smtputf8_autodetect_classes);

	return span_ilists(classes, "all") || span_ilists(classes, class) ? CLEANUP_FLAG_AUTOUTF8 : 0;
}

/* Send the request to open a file and wait for its ID. False: no such service, or the kept connection was stale. */
static bool
open_file(struct cleanup_client *c, unsigned flags, struct arena *mem, struct err *e)
{
	struct ipc_cleanup_open m = { .flags = flags };
	struct ipc_cleanup_opened answer;
	struct stream *s = ipc_client_stream(&service);

	if (s == NULL)
		return err_temp(e, "mail system is not available: no cleanup service");
	if (!ipc_send(s, IPC_cleanup_open, &m) || !ipc_expect(s, IPC_cleanup_opened, IPC_MAX, mem, &answer)) {
		ipc_client_close(&service);
		return err_temp(e, "cleanup service: lost connection");
	}
	if (answer.status != 0 || !queue_id_valid(answer.queue_id))
		return err_temp(e, "cleanup service: cannot create a queue file");
	(void)snprintf(c->id, sizeof c->id, "%.*s", SPAN_ARG(answer.queue_id));
	return true;
}

struct cleanup_client *
cleanup_start(unsigned flags, struct err *e)
{
	struct cleanup_client *c = calloc(1, sizeof *c);
	struct arena *mem = arena_new();

	if (c == NULL)
		log_out_of_memory();
	if (service.path == NULL) {
		(void)snprintf(service_path, sizeof service_path, "public/%s", conf.cleanup_service_name);
		service.path = service_path;
	}
	bool kept = service.stream != NULL;

	if (!open_file(c, flags, mem, e) && !(kept && service.stream == NULL && open_file(c, flags, mem, e))) {
		free(c);
		c = NULL;
	}
	arena_free(&mem);
	return c;
}

struct cleanup_client *
cleanup_start_maildrop(struct err *e)
{
	struct cleanup_client *c = calloc(1, sizeof *c);

	if (c == NULL)
		log_out_of_memory();
	c->drop = postdrop_start(e);
	if (c->drop == NULL) {
		free(c);
		return NULL;
	}
	(void)snprintf(c->id, sizeof c->id, "%s", postdrop_queue_id(c->drop));
	return c;
}

const char *cleanup_queue_id(const struct cleanup_client *c) { return c->id; }
void cleanup_rec(struct cleanup_client *c, char type, struct span p) { rec_put(&c->envelope, (enum rec_type)(unsigned char)type, p); }
void cleanup_attr(struct cleanup_client *c, const char *name, struct span v) { rec_put_attr(&c->envelope, name, v); }
void cleanup_extracted(struct cleanup_client *c, char type, struct span p) { rec_put(&c->extracted, (enum rec_type)(unsigned char)type, p); }

static void
queue_frame(enum ipc_kind kind, const void *m)
{
	struct buf out = {0};

	ipc_encode(&out, kind, m);
	stream_put(service.stream, buf_view(&out));
	buf_free(&out);
}

static void
queue_envelope(struct cleanup_client *c)
{
	struct ipc_cleanup_envelope m = { .records = buf_view(&c->envelope) };

	if (c->envelope_sent)
		return;
	c->envelope_sent = true;
	queue_frame(IPC_cleanup_envelope, &m);
}

static void
queue_text(struct cleanup_client *c)
{
	struct ipc_cleanup_content m = { .text = buf_view(&c->text) };

	if (c->text.n == 0)
		return;
	queue_frame(IPC_cleanup_content, &m);
	buf_reset(&c->text);
}

/* To postdrop: the envelope once, then each line that is complete, an over-long one in pieces. */
static void
drop_text(struct cleanup_client *c)
{
	const size_t limit = conf.line_length_limit > 0 ? (size_t)conf.line_length_limit : REC_LINE_MAX;
	struct span rest = buf_view(&c->text), line;
	struct buf out = {0};

	if (!c->envelope_sent) {
		rec_put(&c->envelope, REC_MESSAGE, SPAN_NULL);
		postdrop_put(c->drop, buf_view(&c->envelope));
		c->envelope_sent = true;
	}
	while (rest.n > 0) {
		if (span_find(rest, '\n') <= limit && span_take_until(&rest, '\n', &line)) {
			rec_put(&out, REC_NORM, line);
		} else if (rest.n > limit) {
			rec_put(&out, REC_CONT, span_to(rest, limit));
			rest = span_from(rest, limit);
		} else {
			break;
		}
	}
	buf_drop(&c->text, c->text.n - rest.n);
	postdrop_put(c->drop, buf_view(&out));
	buf_free(&out);
}

static unsigned
drop_finish(struct cleanup_client *c, struct arena *mem, struct span *reason)
{
	struct buf tail = {0};

	drop_text(c);
	if (c->text.n > 0)
		rec_put(&tail, REC_NORM, buf_view(&c->text));
	rec_put(&tail, REC_EXTRACT, SPAN_NULL);
	buf_span(&tail, buf_view(&c->extracted));
	rec_put(&tail, REC_END, SPAN_NULL);
	postdrop_put(c->drop, buf_view(&tail));
	buf_free(&tail);
	return postdrop_finish(&c->drop, mem, reason);
}

void
cleanup_put_received(const struct cleanup_client *c, struct buf *out)
{
	char date[64];

	clock_mail_date(clock_wall().tv_sec, date, sizeof date);
	buf_printf(out, "Received: by %s (%s)\n\tid %s; %s\n", conf.myhostname, conf.mail_name, c->id, date);
}

bool
cleanup_text(struct cleanup_client *c, struct span text)
{
	if (c->failed)
		return false;
	buf_span(&c->text, text);
	if (c->text.n < CONTENT_CHUNK)
		return true;
	if (c->drop != NULL) {
		drop_text(c);
		return true;
	}
	queue_envelope(c);
	queue_text(c);
	c->failed = !stream_flush(service.stream);
	return !c->failed;
}

static void
destroy(struct cleanup_client **cp)
{
	struct cleanup_client *c = *cp;

	buf_free(&c->envelope);
	buf_free(&c->text);
	buf_free(&c->extracted);
	free(c);
	*cp = NULL;
}

unsigned
cleanup_finish(struct cleanup_client **cp, struct arena *mem, struct span *reason)
{
	struct cleanup_client *c = *cp;
	struct ipc_cleanup_end end = { .extracted = buf_view(&c->extracted) };
	struct ipc_cleanup_done done = { .status = CLEANUP_STAT_WRITE };

	*reason = SPAN_NULL;
	if (c->drop != NULL) {
		done.status = drop_finish(c, mem, reason);
		destroy(cp);
		return done.status;
	}
	if (!c->failed) {
		queue_envelope(c);
		queue_text(c);
		queue_frame(IPC_cleanup_end, &end);
		c->failed = !stream_flush(service.stream) ||
		    !ipc_expect(service.stream, IPC_cleanup_done, IPC_MAX, mem, &done);
	}
	if (c->failed) {
		ipc_client_close(&service);
		done = (struct ipc_cleanup_done){ .status = CLEANUP_STAT_WRITE };
	}
	*reason = done.reason;
	destroy(cp);
	return done.status;
}

void
cleanup_cancel(struct cleanup_client **cp)
{
	struct ipc_cleanup_abort m = {0};

	if (*cp == NULL)
		return;
	if ((*cp)->drop != NULL)
		postdrop_cancel(&(*cp)->drop);
	else if ((*cp)->failed || !ipc_send(service.stream, IPC_cleanup_abort, &m))
		ipc_client_close(&service);
	destroy(cp);
}
