/*
 * rate_limit.c - smtpd_rate_limit_maps and check_rate_limit: how many messages or recipients a user, a sender, a sender's
 * domain and a recipient's domain may have in a while. Counted by anvil(8), for all servers together; without anvil there
 * are no limits. Tables are the administrator's, keys are a client's: they are cut at KEY_SHOWN bytes.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "ipc/ipc.h"
#include "map/map.h"
#include "smtp/address.h"
#include "smtpd/restrict.h"

#define KEY_SHOWN	512u
#define LIMITS_MAX	32u		/* that one recipient is held to */

enum action { DEFER_IT, HOLD_IT, REJECT_IT };

struct limit {
	const char *key;		/* "sender=user@example.com" */
	struct span rate;		/* "100/1h", as the table has it */
	uint32_t n, window;
	bool messages;			/* else recipients */
	enum action action;
};

struct limits {
	struct limit p[LIMITS_MAX];
	size_t n;
};

/* A message counts once for each key. */
struct rate_counted {
	struct rate_counted *next;
	const char *ident;
};

static struct maps *parameter;
static struct ipc_client anvil = { .path = "private/anvil", .timeout_ms = 10000 };

void
rate_limit_init(void)
{
	parameter = maps_open("smtpd_rate_limit_maps", conf.smtpd_rate_limit_maps, MAP_FOLD | MAP_UTF8);
}

/* --- values --- */

/* "100/1h [messages|recipients] [defer|hold|reject]" */
static bool
parse_limit(struct span in, struct limit *out)
{
	struct span number, word;
	uint64_t n;
	int window;

	*out = (struct limit){0};
	if (!span_take_word(&in, " \t", &out->rate))
		return false;
	struct span time = out->rate;

	if (!span_take_until(&time, '/', &number) || !span_to_u64(number, &n) || n > UINT32_MAX || !conf_parse_time(time, 's', &window) ||
	    window <= 0)
		return false;
	out->n = (uint32_t)n;
	out->window = (uint32_t)window;
	while (span_take_word(&in, " \t", &word)) {
		if (span_iis(word, "messages") || span_iis(word, "recipients"))
			out->messages = span_iis(word, "messages");
		else if (span_iis(word, "hold"))
			out->action = HOLD_IT;
		else if (span_iis(word, "reject"))
			out->action = REJECT_IT;
		else if (!span_iis(word, "defer"))
			return false;
	}
	return true;
}

/* Limits of one key, commas between them; "none" has none. */
static bool
parse_value(struct span value, const char *key, struct limits *out)
{
	struct span one;

	if (span_iis(span_trim(value), "none"))
		return true;
	while (value.n > 0) {
		if (!span_take_until(&value, ',', &one)) {
			one = value;
			value.n = 0;
		}
		if (out->n == LIMITS_MAX || !parse_limit(one, &out->p[out->n]))
			return false;
		out->p[out->n++].key = key;
	}
	return true;
}

/* --- keys --- */

static const char *
make_key(const char *name, struct span value, struct arena *mem)
{
	return span_cstr(span_to(span_lower(span_str(arena_printf(mem, "%s=%.*s", name, SPAN_ARG(value))), mem), KEY_SHOWN), mem);
}

/* user+extension@domain counts as user@domain: an extension costs nothing. */
static struct span
without_extension(struct span address, struct arena *mem)
{
	struct span local, domain;

	if (!address_split(address, &local, &domain))
		local = address, domain = SPAN_NULL;
	for (size_t i = 1; i < local.n; i++)
		if (strchr(conf.recipient_delimiter, local.p[i]) != NULL && local.p[i] != '\0') {
			local.n = i;
			break;
		}
	return domain.n == 0 ? local : span_str(arena_printf(mem, "%.*s@%.*s", SPAN_ARG(local), SPAN_ARG(domain)));
}

static struct span
domain_of(struct span address)
{
	struct span local, domain = SPAN_NULL;

	return address_split(address, &local, &domain) ? domain : SPAN_NULL;
}

/* What a table has for the key, or for all keys of its kind. DUNNO: go on. */
static enum verdict
look_up(struct check *c, struct maps *maps, const char *name, struct span subject, struct limits *out)
{
	struct arena *mem = c->s->work;
	struct span value;

	if (subject.n == 0)
		return DUNNO;
	const char *key = make_key(name, subject, mem), *found = key;
	enum map_status st = maps_get(maps, span_str(key), 0, mem, &value, NULL);

	if (st == MAP_NOT_FOUND) {
		found = make_key(name, SPAN("*"), mem);
		st = maps_get(maps, span_str(found), MAPS_FIXED_ONLY, mem, &value, NULL);
	}
	if (st == MAP_FAILED)
		return check_lookup_failed(c, c->s->recipient);
	if (st == MAP_NOT_FOUND || parse_value(value, key, out))
		return DUNNO;
	log_warning("%s: table %s, key \"%s\": bad rate limit \"%.*s\" -- need count/time, messages or recipients, and defer, hold or reject",
	    maps_title(maps), map_spec(maps_last(maps)), found, SPAN_ARG(value));
	return check_config_error(c);
}

static enum verdict
collect(struct check *c, struct maps *maps, struct limits *out)
{
	struct smtpd *s = c->s;
	const struct {
		const char *name;
		struct span subject;
	} keys[] = {
		{ "sasl_username", s->sasl_username != NULL ? span_str(s->sasl_username) : SPAN_NULL },
		{ "sender", s->sender.n > 0 ? without_extension(s->sender, s->work) : SPAN("<>") },
		{ "sender_domain", domain_of(s->sender) },
		{ "recipient_domain", domain_of(s->recipient_internal) },
	};
	enum verdict v = DUNNO;

	for (size_t i = 0; i < sizeof keys / sizeof keys[0] && v == DUNNO; i++)
		v = look_up(c, maps, keys[i].name, keys[i].subject, out);
	return v;
}

/* --- counting --- */

static bool
was_counted(const struct smtpd *s, const char *ident)
{
	const struct rate_counted *r = s->rate_counted;

	while (r != NULL && strcmp(r->ident, ident) != 0)
		r = r->next;
	return r != NULL;
}

static void
note_counted(struct smtpd *s, struct span ident)
{
	struct rate_counted *r = ARENA_NEW(s->tmem, struct rate_counted);

	r->ident = span_cstr(ident, s->tmem);
	r->next = s->rate_counted;
	s->rate_counted = r;
}

/* The limit that is exceeded; NULL: none, and the recipient is counted. */
static const struct limit *
count(struct smtpd *s, const struct limits *limits)
{
	struct ipc_anvil_rate rate[LIMITS_MAX];
	const struct limit *of[LIMITS_MAX];
	struct ipc_anvil_rates ask = { .rate = { .p = rate } };
	struct ipc_anvil_over over = {0};
	size_t n = 0;

	for (size_t i = 0; i < limits->n; i++) {
		const struct limit *l = &limits->p[i];
		const char *ident = arena_printf(s->work, "%c%u:%s", l->messages ? 'm' : 'r', l->window, l->key);

		if (l->messages && was_counted(s, ident))
			continue;
		of[n] = l;
		rate[n++] = (struct ipc_anvil_rate){ .ident = span_str(ident), .limit = l->n, .window = l->window,
		    .firm = l->action != HOLD_IT };
	}
	ask.rate.n = n;
	if (n == 0 || !ipc_call(&anvil, IPC_anvil_rates, &ask, IPC_anvil_over, s->work, &over) || over.which > n)
		return NULL;
	for (size_t i = 0; i < n; i++)
		if (of[i]->messages && (over.which == 0 || of[over.which - 1]->action == HOLD_IT))
			note_counted(s, rate[i].ident);
	return over.which == 0 ? NULL : of[over.which - 1];
}

static enum verdict
hold(struct check *c, const char *text)
{
	struct smtpd *s = c->s;

	if (s->actions.hold)
		return DUNNO;
	s->actions.hold = true;
	smtpd_log_event(s, "hold", arena_printf(s->work, "<%s>: %s %s", c->name, c->class, text));
	if (s->cleanup != NULL)
		cleanup_rec(s->cleanup, 'f', span_str(arena_printf(s->work, "%d", CLEANUP_FLAG_HOLD)));
	return DUNNO;
}

static enum verdict
run(struct check *c, struct maps *maps)
{
	struct limits limits = { .n = 0 };
	const struct limit *over;
	enum verdict v;

	if ((v = collect(c, maps, &limits)) != DUNNO || limits.n == 0 || (over = count(c->s, &limits)) == NULL)
		return v;
	const char *text = arena_printf(c->s->work, "Rate limit exceeded: %.*s %s for %s", SPAN_ARG(over->rate),
	    over->messages ? "messages" : "recipients", over->key);

	switch (over->action) {
	case HOLD_IT:
		return hold(c, text);
	case REJECT_IT:
		return check_reject(c, ERROR_POLICY, conf.access_map_reject_code, "5.7.1", "<%s>: %s rejected: %s", c->name, c->class, text);
	case DEFER_IT:
		break;
	}
	return check_reject(c, ERROR_POLICY, conf.access_map_defer_code, "4.7.1", "<%s>: %s rejected: %s", c->name, c->class, text);
}

enum verdict
restrict_rate_limit(struct check *c, const struct rule *r)
{
	return run(c, r->maps);
}

const char *
rate_limit_check(struct smtpd *s)
{
	struct check c = { .s = s, .name = s->recipient, .class = "Recipient address" };

	if (maps_count(parameter) == 0 || s->actions.discard)
		return NULL;
	return run(&c, parameter) == REJECT ? s->reply : NULL;
}
