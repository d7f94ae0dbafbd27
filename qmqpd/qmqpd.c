/*
 * qmqpd.c - QMQP server: one message for each connection, from the clients in qmqpd_authorized_clients only.
 * A request is a netstring of netstrings: the message, its sender, each recipient. The client is a stranger all the same:
 * lengths are limited before anything is kept, addresses with control characters are no addresses.
 *
 * SPDX-License-Identifier: ISC
 */
#include <poll.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "mail/cleanup_client.h"
#include "mail/rec.h"
#include "map/match.h"
#include "map/maps.h"
#include "net/client_name.h"
#include "service/service.h"
#include "smtp/address.h"
#include "smtp/header.h"

#define LENGTH_MAX	INT64_C(0x7fffffff)	/* of any netstring */

struct qmqpd {
	struct session *session;
	struct stream *peer;
	struct arena *mem;
	struct client_name client;
	const char *address, *port, *id;	/* "192.0.2.1", "4711", "name[192.0.2.1]" */
	struct timeval arrival;
	int64_t left;			/* bytes of the outer netstring */
	struct buf message;
	struct span sender;
	struct buf recipients;		/* R records */
	size_t nrcpt;
	struct span one_rcpt;		/* the only one */
	const char *verp;
	const char *what;		/* "message content": what is being received */
	struct cleanup_client *cleanup;
};

static struct match *authorized;

static void
reply(struct qmqpd *q, char status, const char *text)
{
	if (status == 'D' && conf.soft_bounce)
		status = 'Z';
	if (status != 'K' && conf.qmqpd_error_delay > 0)
		(void)poll(NULL, 0, conf.qmqpd_error_delay * 1000);
	stream_printf(q->peer, "%zu:%c%s,", strlen(text) + 1, status, text);
	(void)stream_flush(q->peer);
}

/* The request cannot be understood. Always false. */
static bool
malformed(struct qmqpd *q, const char *why)
{
	const char *text = arena_printf(q->mem, "%s while receiving %s", why, q->what);

	log_info("%s: %s: %s", cleanup_queue_id(q->cleanup), q->id, text);
	reply(q, 'D', text);
	return false;
}

/* The client has gone, or is too slow. Always false. */
static bool
broken(struct qmqpd *q)
{
	log_info("%s: %s: %s while receiving %s", cleanup_queue_id(q->cleanup), q->id,
	    stream_state(q->peer) == STREAM_TIMEOUT ? "read/write timeout" : "lost connection", q->what);
	return false;
}

static bool
take_byte(struct qmqpd *q, char *out)
{
	if (stream_buffered(q->peer).n == 0 && !stream_fill(q->peer))
		return broken(q);
	*out = stream_buffered(q->peer).p[0];
	stream_consume(q->peer, 1);
	q->left--;
	return true;
}

/* "123:" */
static bool
take_length(struct qmqpd *q, int64_t max, int64_t *out)
{
	bool any = false;
	char c = 0;

	for (*out = 0;; any = true) {
		if (!take_byte(q, &c))
			return false;
		if (c == ':' && any)
			return true;
		if (!ascii_digit(c))
			return malformed(q, "netstring format error");
		*out = *out * 10 + (c - '0');
		if (*out > max)
			return malformed(q, "netstring length exceeds storage limit");
	}
}

static bool
take_comma(struct qmqpd *q)
{
	char c = 0;

	if (!take_byte(q, &c))
		return false;
	return c == ',' || malformed(q, "netstring format error");
}

/* A netstring of at most max bytes behind out. */
static bool
take_netstring(struct qmqpd *q, const char *what, int64_t max, struct buf *out)
{
	int64_t length;

	q->what = what;
	if (!take_length(q, max, &length))
		return false;
	while (length > 0) {
		struct span in = stream_buffered(q->peer);

		if (in.n == 0) {
			if (!stream_fill(q->peer))
				return broken(q);
			continue;
		}
		in = span_to(in, (uint64_t)length < in.n ? (size_t)length : in.n);
		buf_span(out, in);
		stream_consume(q->peer, in.n);
		length -= (int64_t)in.n;
		q->left -= (int64_t)in.n;
	}
	return take_comma(q);
}

static bool
take_address(struct qmqpd *q, const char *what, struct span *out)
{
	struct buf b = {0};
	int64_t max = conf.line_length_limit > 0 ? conf.line_length_limit : (int64_t)REC_LINE_MAX;
	bool ok = take_netstring(q, what, max, &b);

	for (size_t i = 0; ok && i < b.n; i++)
		if ((unsigned char)b.p[i] < 32 || b.p[i] == 127)
			ok = malformed(q, "bad character in an address");
	*out = span_copy(buf_view(&b), q->mem);
	buf_free(&b);
	return ok;
}

static bool
receive(struct qmqpd *q)
{
	int64_t max = conf.message_size_limit > 0 && conf.message_size_limit < LENGTH_MAX ? conf.message_size_limit : LENGTH_MAX, length;
	struct span address;

	q->what = "QMQP packet header";
	if (!take_length(q, LENGTH_MAX, &length))
		return false;
	q->left = length;
	if (!take_netstring(q, "message content", max, &q->message) || !take_address(q, "sender address", &q->sender))
		return false;
	q->what = "recipient address";
	while (q->left > 0) {
		if (!take_address(q, "recipient address", &address))
			return false;
		rec_put(&q->recipients, REC_RCPT, address);
		q->one_rcpt = address;
		q->nrcpt++;
		service_progress();
	}
	return take_comma(q);
}

/* Sender "list-@example.com-@[]": each recipient gets a sender of its own. False: replied. */
static bool
take_verp(struct qmqpd *q)
{
	struct span sender = q->sender, local, domain;
	const char *error;

	if (!span_ends(sender, SPAN("-@[]")))
		return true;
	sender.n -= strlen("-@[]");
	if (!address_split(sender, &local, &domain) || local.n == 0)
		return true;
	q->verp = arena_printf(q->mem, "%c=", local.p[local.n - 1]);
	q->sender = span_str(arena_printf(q->mem, "%.*s@%.*s", (int)local.n - 1, local.p, SPAN_ARG(domain)));
	if (strspn(q->verp, conf.verp_delimiter_filter) == strlen(q->verp))
		return true;
	error = arena_printf(q->mem, "Error: Invalid VERP delimiters: \"%s\". Need two characters from \"%s\"", q->verp,
	    conf.verp_delimiter_filter);
	log_warning("%s: %s: %s", cleanup_queue_id(q->cleanup), q->id, error);
	reply(q, 'D', error);
	return false;
}

static void
attr(struct qmqpd *q, const char *name, const char *value)
{
	cleanup_attr(q->cleanup, name, span_str(value));
}

/* In the order of other queue files that came in by QMQP. */
static void
put_envelope(struct qmqpd *q)
{
	const bool v6 = strchr(q->address, ':') != NULL;
	struct span recipients = buf_view(&q->recipients);
	struct rec r;

	cleanup_rec(q->cleanup, REC_TIME, span_str(arena_printf(q->mem, "%lld %ld", (long long)q->arrival.tv_sec, (long)q->arrival.tv_usec)));
	if (conf.content_filter[0] != '\0')
		cleanup_rec(q->cleanup, REC_FILTER, span_str(conf.content_filter));
	cleanup_rec(q->cleanup, REC_FROM, q->sender);
	if (q->verp != NULL)
		cleanup_rec(q->cleanup, REC_VERP, span_str(q->verp));
	attr(q, "log_client_name", q->client.name);
	attr(q, "log_client_address", v6 ? arena_printf(q->mem, "IPv6:%s", q->address) : q->address);
	attr(q, "log_client_port", q->port);
	attr(q, "log_message_origin", q->id);
	attr(q, "log_protocol_name", "QMQP");
	attr(q, "client_name", q->client.name);
	attr(q, "client_address", q->address);
	attr(q, "client_port", q->port);
	attr(q, "client_address_type", v6 ? "10" : "2");
	attr(q, "protocol_name", "QMQP");
	while (rec_take(&recipients, &r))
		cleanup_rec(q->cleanup, REC_RCPT, r.payload);
}

static void
put_received(struct qmqpd *q)
{
	struct span rcpt = q->one_rcpt.n > 0 ? address_quote(q->one_rcpt, q->mem) : SPAN("\"\"");
	struct buf b = {0};
	char date[64];

	clock_mail_date(q->arrival.tv_sec, date, sizeof date);
	buf_printf(&b, "Received: from %s (%s [%s%s])\n\tby %s (%s) with QMQP", q->client.name, q->client.name,
	    strchr(q->address, ':') != NULL ? "IPv6:" : "", q->address, conf.myhostname, conf.mail_name);
	if (q->nrcpt == 1)
		buf_printf(&b, " id %s\n\tfor <%.*s>; %s\n", cleanup_queue_id(q->cleanup), SPAN_ARG(rcpt), date);
	else
		buf_printf(&b, "\n\tid %s; %s\n", cleanup_queue_id(q->cleanup), date);
	(void)cleanup_text(q->cleanup, buf_view(&b));
	buf_free(&b);
}

/* Lines before the header that are none of it keep their text, but not their place. */
static bool
put_message(struct qmqpd *q)
{
	struct span rest = buf_view(&q->message), line;

	while (span_take_until(&rest, '\n', &line)) {
		if (!header_is_mbox_line(line)) {
			rest = span(line.p, line.n + 1 + rest.n);
			break;
		}
		(void)cleanup_text(q->cleanup, SPAN("X-Mailbox-Line: "));
		(void)cleanup_text(q->cleanup, span(line.p, line.n + 1));
	}
	if (rest.n > 0 && (rest.p[0] == ' ' || rest.p[0] == '\t'))
		(void)cleanup_text(q->cleanup, SPAN("\n"));
	return cleanup_text(q->cleanup, rest) && (rest.n == 0 || rest.p[rest.n - 1] == '\n' || cleanup_text(q->cleanup, SPAN("\n")));
}

static void
queue(struct qmqpd *q)
{
	const char *id = span_cstr(span_str(cleanup_queue_id(q->cleanup)), q->mem), *text;
	struct span reason;
	unsigned status;

	put_envelope(q);
	put_received(q);
	(void)put_message(q);
	status = cleanup_finish(&q->cleanup, q->mem, &reason);
	if (status == 0) {
		reply(q, 'K', arena_printf(q->mem, "Ok: queued as %s", id));
		return;
	}
	text = reason.n > 0 ? arena_printf(q->mem, "Error: %.*s", SPAN_ARG(reason)) : arena_printf(q->mem, "Error: %s", cleanup_verdict(status)->text);
	log_warning("%s: %s: %s", id, q->id, text);
	reply(q, cleanup_verdict(status)->smtp_code >= 500 ? 'D' : 'Z', text);
}

static void
find_client(struct qmqpd *q)
{
	const struct sock_addr *addr = q->session->client;

	q->client = (struct client_name){ .name = "unknown", .reverse_name = "unknown" };
	q->address = q->port = "unknown";
	if (addr != NULL && addr->len > 0) {
		q->address = addr->host;
		q->port = addr->port;
		client_name_find(addr, q->mem, &q->client);
	}
	q->id = arena_printf(q->mem, conf.qmqpd_client_port_logging ? "%s[%s]:%s" : "%s[%s]", q->client.name, q->address, q->port);
}

static void
serve_client(struct qmqpd *q)
{
	struct err e = {0};

	if (match_host(authorized, span_str(q->client.name), span_str(q->address)) != MATCH_YES) {
		reply(q, 'D', arena_printf(q->mem, "Error: %s is not authorized to use this service", q->id));
		return;
	}
	q->arrival = clock_wall();
	q->cleanup = cleanup_start(cleanup_received_flags() | (conf.smtputf8_enable ? cleanup_autodetect_flag("qmqpd") : 0u), &e);
	if (q->cleanup == NULL) {
		log_warning("%s: %s", q->id, e.text);
		reply(q, 'Z', "Error: queue file write error");
		return;
	}
	log_info("%s: client=%s", cleanup_queue_id(q->cleanup), q->id);
	if (receive(q) && take_verp(q))
		queue(q);
	cleanup_cancel(&q->cleanup);
}

static void
qmqpd_serve(struct session *session)
{
	struct qmqpd q = { .session = session, .peer = session->peer, .mem = session->mem };

	stream_set_timeout(q.peer, conf.qmqpd_timeout * INT64_C(1000));
	find_client(&q);
	log_info("connect from %s", q.id);
	serve_client(&q);
	log_info("disconnect from %s", q.id);
	buf_free(&q.message);
	buf_free(&q.recipients);
}

static void
qmqpd_init(void)
{
	dns_prepare();
	authorized = match_open(MATCH_HOST, "qmqpd_authorized_clients", conf.qmqpd_authorized_clients, NULL);
}

static const struct service qmqpd = {
	.name = "qmqpd", .kind = SERVICE_SINGLE, .init = qmqpd_init, .tables_changed = maps_restart_wanted, .serve = qmqpd_serve,
};

int
main(int argc, char **argv)
{
	return service_main(&qmqpd, argc, argv);
}
