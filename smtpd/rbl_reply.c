/*
 * rbl_reply.c - what a client is told that stands in a DNS list: rbl_reply_maps, default_rbl_reply.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "conf/expand.h"
#include "mail/dsn.h"
#include "map/maps.h"
#include "smtpd/restrict.h"

static struct maps *reply_maps;

void
rbl_reply_init(void)
{
	reply_maps = maps_open("rbl_reply_maps", conf.rbl_reply_maps, MAP_FOLD | MAP_UTF8);
}

struct names {
	struct smtpd *s;
	const struct rbl *rbl;
};

static const char *
value_of(const char *name, enum expand_mode mode, void *arg)
{
	const struct names *n = arg;
	const struct { const char *name, *value; } plain[] = {
		{ "rbl_domain", n->rbl->zone }, { "rbl_reason", n->rbl->text }, { "rbl_txt", n->rbl->text },
		{ "rbl_what", n->rbl->what }, { "rbl_class", n->rbl->class },
	};

	(void)mode;
	if (strcmp(name, "rbl_code") == 0)
		return arena_printf(n->s->work, "%d", conf.maps_rbl_reject_code);
	for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
		if (strcmp(name, plain[i].name) == 0)
			return reply_safe(n->s, plain[i].value);
	return reply_value(n->s, name);
}

/* "554 text" or "554 5.7.1 text". A template that gives anything else makes check_reject() warn and answer 450. */
static enum verdict
reject_with(struct check *c, struct span reply)
{
	struct span text = reply;
	struct dsn dsn;
	const char *status = "5.7.1";
	int code = 0;

	for (size_t i = 0; i < 3 && i < reply.n && ascii_digit(reply.p[i]); i++)
		code = code * 10 + (reply.p[i] - '0');
	if (code > 99 && reply.n > 3 && ascii_space(reply.p[3]))
		text = span_trim(span_from(reply, 3));
	else
		code = 0;
	reply = text;
	if (dsn_take(&text, &dsn) && (text.n == 0 || ascii_space(text.p[0])))
		status = dsn_str(dsn, c->s->work);
	else
		text = reply;
	return check_reject(c, ERROR_POLICY, code, status, "%s", span_cstr(span_trim(text), c->s->work));
}

enum verdict
rbl_reject(struct check *c, const struct rbl *rbl)
{
	struct names names = { c->s, rbl };
	struct span template = span_str(conf.default_rbl_reply);
	struct buf reply = {0};
	enum map_status found = maps_get(reply_maps, span_str(rbl->arg), 0, c->s->work, &template, NULL);
	enum verdict v;

	if (found == MAP_NOT_FOUND && strcmp(rbl->arg, rbl->zone) != 0)
		found = maps_get(reply_maps, span_str(rbl->zone), 0, c->s->work, &template, NULL);
	if (found == MAP_FAILED)
		return check_config_error(c);
	if (found == MAP_NOT_FOUND)
		template = span_str(conf.default_rbl_reply);
	if ((expand(template, 0, value_of, &names, &reply) & EXPAND_ERROR) != 0)
		buf_reset(&reply);
	v = reject_with(c, buf_view(&reply));
	buf_free(&reply);
	return v;
}
