/*
 * selection.c - compares messages of the queue with what was asked for.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conf/conf.h"
#include "io/sock.h"
#include "mail/selection.h"
#include "smtp/address.h"

#define CONNECT_MS	10000

static bool
take_time(const char *option, const char *value, int64_t *out, struct err *e)
{
	int seconds;

	if (!conf_parse_time(span_str(value), 's', &seconds))
		return err_perm(e, "%s: bad time value: %s (a number and s, m, h, d or w)", option, value);
	*out = seconds;
	return true;
}

/* A number of bytes, with k or m behind it for 1024 or 1024 * 1024 of them. */
static bool
take_bytes(const char *option, const char *value, int64_t *out, struct err *e)
{
	struct span rest = span_str(value);
	uint64_t n;
	unsigned shift = 0;

	if (span_take_u64(&rest, &n) && rest.n == 1)
		shift = ascii_lower(rest.p[0]) == 'k' ? 10 : ascii_lower(rest.p[0]) == 'm' ? 20 : 0;
	if (rest.n > (shift > 0 ? 1u : 0u) || value[0] == '\0' || n > (uint64_t)INT64_MAX >> 20)
		return err_perm(e, "%s: bad size: %s (bytes, or a number and k or m)", option, value);
	*out = (int64_t)(n << shift);
	return true;
}

bool
selection_take(struct selection *s, int option, const char *value, struct err *e)
{
	switch (option) {
	case SELECT_SENDER: s->sender = value; return true;
	case SELECT_RECIPIENT: s->recipient = value; return true;
	case SELECT_DOMAIN: s->domain = value; return true;
	case SELECT_REASON: s->reason = value; return true;
	case SELECT_TRANSPORT: s->transport = value; return true;
	case SELECT_QUEUE: s->queue = value; return true;
	case SELECT_OLDER: return take_time("--older-than", value, &s->older, e);
	case SELECT_NEWER: return take_time("--newer-than", value, &s->newer, e);
	case SELECT_LARGER: return take_bytes("--larger-than", value, &s->larger, e);
	default: return take_bytes("--smaller-than", value, &s->smaller, e);
	}
}

bool
selection_is_empty(const struct selection *s)
{
	return s->sender == NULL && !selection_needs_recipient(s) && s->queue == NULL && s->older < 0 && s->newer < 0 &&
	    s->larger < 0 && s->smaller < 0;
}

static bool
matches(const char *pattern, struct span text)
{
	struct arena *mem;
	bool yes;

	if (pattern == NULL)
		return true;
	mem = arena_new();
	yes = fnmatch(pattern, span_cstr(text, mem), FNM_CASEFOLD) == 0;
	arena_free(&mem);
	return yes;
}

/* The null sender is asked for as "" or "<>", or as it is shown. */
static bool
sender_matches(const struct selection *s, struct span sender)
{
	bool null = span_is(sender, conf.empty_address_recipient);

	if (s->sender != NULL && null && (s->sender[0] == '\0' || strcmp(s->sender, "<>") == 0))
		return true;
	return matches(s->sender, sender);
}

bool
selection_has_message(const struct selection *s, const struct view *v, int64_t now)
{
	int64_t age = now - v->time;

	return matches(s->queue, v->queue_name) && sender_matches(s, v->sender) && (s->older < 0 || age > s->older) &&
	    (s->newer < 0 || age < s->newer) && (s->larger < 0 || v->size > s->larger) && (s->smaller < 0 || v->size < s->smaller);
}

bool
selection_needs_recipient(const struct selection *s)
{
	return s->recipient != NULL || s->domain != NULL || s->reason != NULL || s->transport != NULL;
}

bool selection_needs_transport(const struct selection *s) { return s->transport != NULL; }

bool
selection_can_tell_transports(struct err *e)
{
	char path[256];

	(void)snprintf(path, sizeof path, "private/%s", conf.rewrite_service_name);
	int fd = sock_connect_unix(path, CONNECT_MS, NULL);

	if (fd < 0)
		return err_perm(e, "--transport: the mail system must be running (connect to %s: %s)", path, strerror(errno));
	(void)close(fd);
	return true;
}

bool
selection_has_recipient(const struct selection *s, const struct view_rcpt *r)
{
	struct span local, domain;

	(void)address_split(r->address, &local, &domain);
	return matches(s->recipient, r->address) && matches(s->domain, domain) && matches(s->reason, r->reason) &&
	    matches(s->transport, r->transport);
}

struct question {
	const struct selection *s;
	int64_t now;
	bool yes;
};

static bool
see_message(void *arg, const struct view *v)
{
	struct question *q = arg;
	bool meant = selection_has_message(q->s, v, q->now);

	q->yes = meant && !selection_needs_recipient(q->s);
	return meant && !q->yes;
}

static bool
see_recipient(void *arg, const struct view_rcpt *r)
{
	struct question *q = arg;

	q->yes = selection_has_recipient(q->s, r);
	return !q->yes;
}

bool
selection_has_file(const struct selection *s, const char *queue, const char *id, const char *path, int64_t now)
{
	const struct view_reader reader = { see_message, see_recipient, s->transport != NULL };
	struct question q = { .s = s, .now = now };
	struct viewer *viewer;
	struct arena *mem;

	if (selection_is_empty(s))
		return true;
	if (!matches(s->queue, span_str(queue)))
		return false;
	mem = arena_new();
	viewer = viewer_new();
	(void)view_read(viewer, &(struct view_file){ queue, id, AT_FDCWD, path }, mem, &reader, &q);
	viewer_free(&viewer);
	arena_free(&mem);
	return q.yes;
}
