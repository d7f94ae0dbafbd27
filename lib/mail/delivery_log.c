/*
 * delivery_log.c - delivery log lines.
 *
 * SPDX-License-Identifier: ISC
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "mail/delivery_log.h"
#include "smtp/address.h"

#define RESULTS_MAX	1000u
#define RESULT_TEXT	500u

const char *
delay_text(double seconds, int resolution, struct arena *mem)
{
	int decimals = seconds >= 10 ? 0 : seconds >= 1 ? 1 : 2;
	double unit = 1;

	if (seconds <= 0)
		return "0";
	if (seconds < 1)
		for (double v = seconds; v < 0.1 && decimals < resolution; v *= 10)
			decimals++;
	if (decimals > resolution)
		decimals = resolution;
	for (int i = 0; i < decimals; i++)
		unit *= 10;
	char *text = arena_printf(mem, "%.*f", decimals, floor(seconds * unit + 0.5) / unit);

	if (decimals > 0) {
		size_t n = strlen(text);

		while (text[n - 1] == '0')
			n--;
		if (text[n - 1] == '.')
			n--;
		text[n] = '\0';
	}
	return text;
}

const char *
log_address(struct span internal, struct arena *mem)
{
	if (strcmp(conf.info_log_address_format, "internal") == 0)
		return span_cstr(internal, mem);
	return span_cstr(address_quote(internal, mem), mem);
}

static const char *
delays(const struct delivery *d, struct timeval now, struct arena *mem)
{
	bool known = d->request.tv_sec != 0;
	double part[4] = { clock_seconds_between(d->arrival, known ? d->active : now), 0, 0, 0 };
	int res = conf.delay_logging_resolution_limit;

	if (known) {
		bool connected = d->connected.tv_sec != 0;

		part[1] = clock_seconds_between(d->active, d->request);
		part[2] = connected ? clock_seconds_between(d->request, d->connected) : 0;
		part[3] = clock_seconds_between(connected ? d->connected : d->request, now);
	}
	return arena_printf(mem, "%s/%s/%s/%s", delay_text(part[0], res, mem), delay_text(part[1], res, mem),
	    delay_text(part[2], res, mem), delay_text(part[3], res, mem));
}

/* For the queue manager's record of the message. */
static void
note_result(struct delivery *d, const struct delivery_rcpt *r, const char *relay, const struct dsn_text *t, const char *status,
    double delay)
{
	struct ipc_delivered_rcpt *out;

	if (d->results.n == RESULTS_MAX)
		return;
	out = vec_add(&d->results);
	*out = (struct ipc_delivered_rcpt){ .address = span_copy(r->address, d->mem), .original = span_copy(r->original, d->mem),
	    .relay = span_copy(span_str(relay), d->mem), .status = span_str(status), .dsn = span_str(dsn_str(t->code, d->mem)),
	    .text = span_copy(span_to(t->reason, RESULT_TEXT), d->mem), .delay_ms = delay > 0 ? (int64_t)(delay * 1000) : 0 };
}

void
delivery_log(struct delivery *d, const struct delivery_rcpt *r, const char *relay, const struct dsn_text *t,
    const char *status)
{
	struct arena *mem = d->mem;
	struct timeval now = clock_wall();
	const char *to = log_address(r->address, mem);
	const char *orig = "", *use = "", *tls = "";
	const double delay = clock_seconds_between(d->arrival, now);

	if (r->original.n > 0 && !span_ieq(r->original, r->address))
		orig = arena_printf(mem, "orig_to=<%s>, ", log_address(r->original, mem));
	if (d->conn_use > 1)
		use = arena_printf(mem, "conn_use=%u, ", d->conn_use);
	if (d->tls_level != NULL)
		tls = arena_printf(mem, "tls=%s, ", d->tls_level);
	log_info("%.*s: to=<%s>, %srelay=%s, %sdelay=%s, delays=%s, %sdsn=%u.%u.%u, status=%s (%.*s)", SPAN_ARG(d->queue_id), to,
	    orig, relay, use, delay_text(delay, conf.delay_logging_resolution_limit, mem),
	    delays(d, now, mem), tls, t->code.class, t->code.subject, t->code.detail, status, SPAN_ARG(t->reason));
	if ((d->flags & DELIVERY_FLAG_RESULTS) != 0)
		note_result(d, r, relay, t, status, delay);
}
