/*
 * deliver.c - a delivery request: next hops, their servers one by one, the kept session, and who is told what.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "smtp/smtp.h"

static struct smtp_session *kept;	/* open and clean, for the next request */

bool
smtp_has_session(void)
{
	return kept != NULL;
}

void
smtp_idle(void)
{
	smtp_close(&kept, false);
}

static bool
is_final(const struct smtp_work *w, const struct dsn_text *why)
{
	return w->last || why->code.class == 5;
}

void
smtp_fail_one(struct smtp_work *w, struct delivery_rcpt *r, const struct dsn_text *why)
{
	w->why = *why;
	if (is_final(w, why))
		delivery_report(w->d, r, w->relay, why);
	else
		log_info("%.*s: %.*s", SPAN_ARG(w->d->queue_id), SPAN_ARG(why->reason));
}

void
smtp_fail_all(struct smtp_work *w, const struct dsn_text *why, bool site)
{
	struct delivery *d = w->d;

	w->why = *why;
	w->site_failed = site;
	if (!is_final(w, why)) {
		log_info("%.*s: %.*s", SPAN_ARG(d->queue_id), SPAN_ARG(why->reason));
		return;
	}
	for (size_t i = 0; i < d->nrcpt; i++)
		if (!d->rcpt[i].done)
			delivery_report(d, &d->rcpt[i], w->relay, why);
	if (site && !w->dialogue_done)
		delivery_site_trouble(d, why);
}

static bool
all_done(const struct delivery *d)
{
	for (size_t i = 0; i < d->nrcpt; i++)
		if (!d->rcpt[i].done)
			return false;
	return true;
}

/* TLS is not built yet: what demands it is deferred, never sent in clear. */
static bool
tls_allows(struct smtp_work *w)
{
	const char *level = conf.smtp_tls_security_level;
	bool none = *level == '\0' || strcmp(level, "none") == 0;
	struct dsn_text why;

	w->d->tls_level = !conf.smtp_log_tls_feature_status ? NULL : none ? "none?" : "may?";
	if (none || strcmp(level, "may") == 0)
		return true;
	why = dsn_printf(w->d->mem, (struct dsn){ 4, 7, 5 }, "TLS is required, but our TLS engine is unavailable");
	w->last = true;
	smtp_fail_all(w, &why, false);
	return false;
}

static void
note_tls(struct smtp_work *w, bool reused)
{
	const char *level = conf.smtp_tls_security_level;

	if (conf.smtp_log_tls_feature_status)
		w->d->tls_level = strcmp(level, "may") != 0 ? "none" : reused ? "may?" : "may:none";
}

/* The destination's name without brackets and port. */
static bool
in_cache_destinations(const char *nexthop)
{
	struct span list = span_str(conf.smtp_connection_cache_destinations), word, hop = span_str(nexthop), host = hop;

	if (span_take_byte(&host, '['))
		host = span_to(host, span_find(host, ']'));
	else
		host = span_to(host, span_find(host, ':'));
	while (span_take_word(&list, ", \t", &word))
		if (span_ieq(word, host) || span_ieq(word, hop))
			return true;
	return false;
}

static bool
wants_keeping(const struct delivery *d, const char *nexthop)
{
	bool asked = conf.smtp_connection_cache_on_demand && (d->flags & DELIVERY_FLAG_CONN_STORE) != 0;

	return (asked || in_cache_destinations(nexthop)) && (d->flags & DELIVERY_FLAG_PROBE) == 0;
}

static bool
may_be_used_again(const struct smtp_session *s)
{
	return !s->bad && stream_state(s->stream) == STREAM_OK &&
	    (conf.smtp_connection_reuse_count_limit == 0 || s->uses < (unsigned)conf.smtp_connection_reuse_count_limit) &&
	    clock_ms() - s->opened < (int64_t)conf.smtp_connection_reuse_time_limit * 1000;
}

/* After a transaction: keep the session for the next request, or end it. */
static void
settle(struct smtp_work *w, bool keep)
{
	struct smtp_session *s = w->session;
	w->session = NULL;
	if (keep && may_be_used_again(s)) {
		smtp_close(&kept, true);
		kept = s;
		kept->d = NULL;
		w->d->session_kept = true;
		return;
	}
	smtp_close(&s, !s->quit_sent);
}

/* The session of an earlier request. False: there is none that fits, or it had died meanwhile. */
static bool
try_kept(struct smtp_work *w, const char *nexthop)
{
	bool keep = wants_keeping(w->d, nexthop);

	if (kept == NULL)
		return false;
	if (strcmp(kept->key, nexthop) != 0 || !may_be_used_again(kept)) {
		smtp_close(&kept, true);
		return false;
	}
	w->session = kept;
	w->session->d = w->d;
	kept = NULL;
	w->relay = span_cstr(span_str(w->session->relay), w->d->mem);
	w->d->connected = clock_wall();
	note_tls(w, true);
	if (smtp_transfer(w, keep)) {
		settle(w, keep);
		return true;
	}
	smtp_close(&w->session, false);
	w->relay = "none";
	w->d->connected = (struct timeval){0};
	w->d->conn_use = 0;
	return false;
}

/* One server. True: a session got through its greeting. */
static bool
try_target(struct smtp_work *w, const struct smtp_target *t, const char *nexthop)
{
	struct delivery *d = w->d;
	bool keep = wants_keeping(d, nexthop), talked;
	struct dsn_text why;

	w->session = smtp_open(t, nexthop, d, &why, &talked);
	if (talked)
		w->relay = t->unix_path != NULL ? arena_printf(d->mem, "%s[%s]", t->host, t->unix_path) :
		    arena_printf(d->mem, "%s[%s]:%s", t->host, t->address.host, t->address.port);
	else
		w->relay = "none";
	if (w->session == NULL) {
		if (w->last || why.code.class == 5 || talked)
			smtp_fail_all(w, &why, true);
		w->why = why;
		return false;
	}
	d->connected = clock_wall();
	note_tls(w, false);
	(void)smtp_transfer(w, keep);
	settle(w, keep);
	return true;
}

/* The servers of one next hop; another one follows unless last_hop. */
static void
try_hop(struct smtp_work *w, const char *nexthop, bool last_hop)
{
	struct delivery *d = w->d;
	struct smtp_targets targets;
	struct dsn_text why;
	int sessions = 0;
	size_t n;

	if (!smtp_find_targets(nexthop, d->mem, &targets, &why)) {
		bool relay = strcmp(nexthop, conf.relayhost) == 0, fallback = !span_is(d->nexthop, nexthop);

		if (why.code.class == 5 && (relay || fallback)) {
			log_warning("%s configuration problem", relay ? "relayhost" : "smtp_fallback_relay");
			why.code = (struct dsn){ 4, 3, 5 };
		}
		w->last = last_hop;
		w->relay = "none";
		d->tls_level = NULL;
		if (last_hop || why.code.class == 5)
			smtp_fail_all(w, &why, true);
		w->why = why;
		return;
	}
	n = targets.n;
	if (conf.smtp_mx_address_limit > 0 && n > (size_t)conf.smtp_mx_address_limit)
		n = (size_t)conf.smtp_mx_address_limit;
	for (size_t i = 0; i < n && !all_done(d); i++) {
		bool last_session = conf.smtp_mx_session_limit > 0 && sessions + 1 >= conf.smtp_mx_session_limit;

		w->last = last_hop && (i + 1 == n || last_session);
		if (try_target(w, &targets.p[i], nexthop))
			sessions++;
		if (conf.smtp_mx_session_limit > 0 && sessions >= conf.smtp_mx_session_limit)
			break;
	}
}

static size_t
hop_list(struct delivery *d, const char **hops, size_t max)
{
	struct span lists[2] = { d->nexthop, span_str(smtp_is_lmtp ? "" : conf.smtp_fallback_relay) }, word;
	size_t n = 0;

	for (size_t i = 0; i < 2; i++)
		while (n < max && span_take_word(&lists[i], ", \t\r\n", &word))
			hops[n++] = span_cstr(word, d->mem);
	return n;
}

void
smtp_deliver(struct delivery *d)
{
	struct smtp_work w = { .d = d, .relay = "none", .why = dsn_printf(d->mem, (struct dsn){ 4, 3, 0 }, "no server could be tried") };
	const char *hops[32];
	size_t n = hop_list(d, hops, sizeof hops / sizeof hops[0]);

	if (!tls_allows(&w))
		return;
	w.last = n == 1;
	if (n > 0 && !try_kept(&w, hops[0])) {
		for (size_t i = 0; i < n && !all_done(d); i++)
			try_hop(&w, hops[i], i + 1 == n);
	}
	/* Soft failures whose next server turned out not to exist. */
	w.last = true;
	if (!all_done(d))
		smtp_fail_all(&w, &w.why, w.site_failed);
}
