/*
 * access.c - access(5): keys of hosts, addresses and mail addresses, and what the results do.
 * Tables are the administrator's, but their results may come from a network server: they are parsed with care.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "mail/dsn.h"
#include "map/address_map.h"
#include "map/match.h"
#include "smtp/address.h"
#include "smtpd/filter.h"
#include "smtpd/restrict.h"

struct result {
	struct check *c;
	const char *table;
	struct span key, text;		/* text: behind the first word */
	const char *about, *class;
	const char *verb;
};

/* x.1.N statuses are about an address: what they become for another subject. */
static const char *
adapt_dsn(struct result *r, struct dsn dsn)
{
	static const unsigned for_sender[] = { 0, 7, 8, 7, 7, 0, 7, 7, 8 }, for_rcpt[] = { 0, 1, 2, 3, 4, 5, 6, 3, 2 };
	struct dsn mapped = dsn;
	struct arena *mem = r->c->s->work;

	if (dsn.subject == 1) {
		if (strcmp(r->class, "Sender address") == 0)
			mapped.detail = dsn.detail < 9 ? for_sender[dsn.detail] : 0;
		else if (strcmp(r->class, "Recipient address") == 0)
			mapped.detail = dsn.detail < 9 ? for_rcpt[dsn.detail] : 0;
		else
			mapped.subject = mapped.detail = 0;
	}
	if (mapped.subject != dsn.subject || mapped.detail != dsn.detail)
		log_info("mapping DSN status %s into %s status %s", dsn_str(dsn, mem), r->class, dsn_str(mapped, mem));
	return dsn_str(mapped, mem);
}

/* "[X.Y.Z] text" apart. */
static const char *
take_status(struct result *r, const char *fallback, const char *default_text, const char **text)
{
	struct span in = r->text;
	struct dsn dsn;
	const char *status = fallback;

	if (dsn_take(&in, &dsn) && (in.n == 0 || ascii_space(in.p[0]))) {
		status = adapt_dsn(r, dsn);
		r->text = span_trim(in);
	}
	*text = r->text.n > 0 ? span_cstr(r->text, r->c->s->work) : default_text;
	return status;
}

static enum verdict
result_reject(struct result *r)
{
	const char *text, *dsn = take_status(r, "5.7.1", "Access denied", &text);

	return check_reject(r->c, ERROR_POLICY, conf.access_map_reject_code, dsn, "<%s>: %s rejected: %s", r->about, r->class, text);
}

static enum verdict
result_defer(struct result *r)
{
	const char *text, *dsn = take_status(r, "4.7.1", "Access denied", &text);

	return check_reject(r->c, ERROR_POLICY, conf.access_map_defer_code, dsn, "<%s>: %s rejected: %s", r->about, r->class, text);
}

static enum verdict
result_defer_if_permit(struct result *r)
{
	const char *text, *dsn = take_status(r, "4.7.1", "Service unavailable", &text);

	return check_defer_permit(r->c, conf.access_map_defer_code, dsn, "<%s>: %s rejected: %s", r->about, r->class, text);
}

static enum verdict
result_defer_if_reject(struct result *r)
{
	const char *text, *dsn = take_status(r, "4.7.1", "Service unavailable", &text);

	return check_defer_reject(r->c, conf.access_map_defer_code, dsn, "<%s>: %s rejected: %s", r->about, r->class, text);
}

static enum verdict
result_dunno(struct result *r)
{
	(void)r;
	return DUNNO;
}

static enum verdict
result_ok(struct result *r)
{
	(void)r;
	return OK;
}

static enum verdict
result_log(struct result *r)
{
	smtpd_log_event(r->c->s, span_iis(span_str(r->verb), "WARN") ? "warn" : "info", span_cstr(r->text, r->c->s->work));
	return DUNNO;
}

static enum verdict
result_hangup(struct result *r)
{
	smtpd_log_event(r->c->s, "hangup", span_cstr(r->text, r->c->s->work));
	smtp_server_close(&r->c->s->server);
	r->c->s->reply = "421 4.7.0 Connection dropped";
	return REJECT;
}

/* Actions on the message are not possible everywhere. */
static bool
action_possible(struct result *r)
{
	if (r->c->no_actions) {
		log_warning("access table %s: action %s is unavailable in smtpd_etrn_restrictions", r->table, r->verb);
		return false;
	}
	if (filter_wanted() && !span_iis(span_str(r->verb), "PREPEND")) {
		log_warning("access table %s: with smtpd_proxy_filter specified, action %s is unavailable", r->table, r->verb);
		return false;
	}
	if (!r->c->s->in_mail) {
		if (!conf.smtpd_delay_reject)
			log_warning("access table %s: with smtpd_delay_reject=no, action %s is always skipped in Client host or Helo command "
			    "restrictions", r->table, r->verb);
		return false;
	}
	return true;
}

static void
log_action(struct result *r, const char *action, const char *text)
{
	smtpd_log_event(r->c->s, action, arena_printf(r->c->s->work, "<%s>: %s %s", r->about, r->class, text));
}

static enum verdict
result_hold(struct result *r)
{
	struct smtpd *s = r->c->s;

	if (!action_possible(r) || s->actions.hold)
		return DUNNO;
	s->actions.hold = true;
	log_action(r, "hold", r->text.n > 0 ? span_cstr(r->text, s->work) : "triggers HOLD action");
	if (s->cleanup != NULL)
		cleanup_rec(s->cleanup, 'f', span_str(arena_printf(s->work, "%d", CLEANUP_FLAG_HOLD)));
	return DUNNO;
}

static enum verdict
result_discard(struct result *r)
{
	struct smtpd *s = r->c->s;

	if (!action_possible(r))
		return DUNNO;
	s->actions.discard = true;
	log_action(r, "discard", r->text.n > 0 ? span_cstr(r->text, s->work) : "triggers DISCARD action");
	return OK;
}

static enum verdict
bad_value(struct result *r, const char *what)
{
	log_warning("access table %s entry \"%s\" %s", r->table, span_cstr(r->key, r->c->s->work), what);
	return DUNNO;
}

static enum verdict
result_filter(struct result *r)
{
	struct smtpd *s = r->c->s;

	if (!action_possible(r))
		return DUNNO;
	if (r->text.n == 0)
		return bad_value(r, "has FILTER entry without value");
	if (!span_has(r->text, ':'))
		return bad_value(r, "requires transport:destination");
	s->actions.filter = span_cstr(r->text, s->tmem);
	log_action(r, "filter", arena_printf(s->work, "triggers FILTER %s", s->actions.filter));
	return DUNNO;
}

static enum verdict
result_redirect(struct result *r)
{
	struct smtpd *s = r->c->s;

	if (!action_possible(r))
		return DUNNO;
	if (!span_has(r->text, '@'))
		return bad_value(r, "requires user@domain target");
	s->actions.redirect = span_cstr(r->text, s->tmem);
	log_action(r, "redirect", arena_printf(s->work, "triggers REDIRECT %s", s->actions.redirect));
	return DUNNO;
}

static enum verdict
result_bcc(struct result *r)
{
	struct smtpd *s = r->c->s;

	if (!action_possible(r))
		return DUNNO;
	if (!span_has(r->text, '@'))
		return bad_value(r, "requires user@domain target");
	log_action(r, "bcc", arena_printf(s->work, "triggers BCC %s", span_cstr(r->text, s->work)));
	buf_span(&s->actions.bcc, r->text);
	buf_byte(&s->actions.bcc, '\n');
	return DUNNO;
}

static enum verdict
result_prepend(struct result *r)
{
	struct smtpd *s = r->c->s;
	size_t colon = span_find(r->text, ':');

	if (strcmp(r->c->name, "END-OF-MESSAGE") == 0) {
		log_warning("access table %s: action PREPEND must be used before smtpd_end_of_data_restrictions", r->table);
		return DUNNO;
	}
	if (!action_possible(r))
		return DUNNO;
	if (colon == 0 || colon == r->text.n || span_find_any(span_to(r->text, colon), " \t") < colon)
		return bad_value(r, "requires header: text");
	buf_span(&s->actions.prepend, r->text);
	buf_byte(&s->actions.prepend, '\n');
	return DUNNO;
}

static const struct {
	const char *verb;
	enum verdict (*fn)(struct result *);
} verbs[] = {
	{ "DUNNO", result_dunno }, { "OK", result_ok }, { "RELAY", result_ok }, { "REJECT", result_reject },
	{ "DEFER", result_defer }, { "DEFER_IF_PERMIT", result_defer_if_permit }, { "DEFER_IF_REJECT", result_defer_if_reject },
	{ "INFO", result_log }, { "WARN", result_log }, { "HANGUP", result_hangup }, { "HOLD", result_hold },
	{ "DISCARD", result_discard }, { "FILTER", result_filter }, { "REDIRECT", result_redirect }, { "BCC", result_bcc },
	{ "PREPEND", result_prepend },
};

/* Anything else is a list of restrictions, without tables of its own. */
static enum verdict
result_rules(struct check *c, const char *table, struct span value)
{
	struct rules *rules;
	enum verdict v;

	if (span_has(value, ':')) {
		log_warning("access table %s has entry with lookup table: %.*s", table, SPAN_ARG(value));
		log_warning("do not specify lookup tables inside SMTPD access maps");
		log_warning("define a restriction class and specify its name instead.");
		return check_config_error(c);
	}
	rules = rules_parse(span_cstr(value, c->s->work), false);
	v = rules_run(c, rules);
	rules_free(&rules);
	return v;
}

static bool
all_digits(struct span s)
{
	size_t i = 0;

	while (i < s.n && ascii_digit(s.p[i]))
		i++;
	return s.n > 0 && i == s.n;
}

enum verdict
access_result(struct check *c, const char *table, struct span key, struct span value, const char *about, const char *class)
{
	struct result r = { .c = c, .table = table, .key = key, .about = about, .class = class };
	struct span rest = value, word = {0};
	int64_t code;

	if (!span_take_word(&rest, " \t", &word)) {
		log_warning("access table %s entry %.*s has empty value", table, SPAN_ARG(value));
		return OK;
	}
	if (ascii_space(value.p[0]))
		return result_rules(c, table, value);
	r.text = span_trim(rest);
	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
		r.verb = verbs[i].verb;
		if (span_iis(word, verbs[i].verb))
			return verbs[i].fn(&r);
	}
	if (all_digits(value))
		return OK;
	if (word.n == 3 && all_digits(word) && (word.p[0] == '4' || word.p[0] == '5') && r.text.n > 0) {
		const char *text, *dsn = take_status(&r, word.p[0] == '4' ? "4.7.1" : "5.7.1", "Access denied", &text);

		(void)span_to_i64(word, &code);
		return check_reject(c, ERROR_POLICY, (int)code, dsn, "<%s>: %s rejected: %s", about, class, text);
	}
	return result_rules(c, table, value);
}

static enum verdict
failed(struct check *c, const char *about, const char *class)
{
	return check_reject(c, ERROR_ACCESS, 451, "4.3.5", "<%s>: %s rejected: Server configuration error", about, class);
}

/* One key. DUNNO with *found unset: nothing there. */
static enum verdict
look_up(struct check *c, struct maps *maps, struct span key, unsigned how, const char *about, const char *class, bool *found)
{
	struct span value;
	enum map_status status = maps_get(maps, key, how, c->s->work, &value, NULL);

	*found = status != MAP_NOT_FOUND;
	if (status == MAP_FAILED)
		return failed(c, about, class);
	if (status == MAP_NOT_FOUND)
		return DUNNO;
	return access_result(c, map_spec(maps_last(maps)), key, value, about, class);
}

enum verdict
access_host(struct check *c, struct maps *maps, const char *name, const char *about, const char *class, bool *found)
{
	bool parents = match_parents("smtpd_access_maps");
	struct span key = span_str(name);
	enum verdict v = look_up(c, maps, key, 0, about, class, found);

	while (!*found && key.n > 0) {
		size_t dot = span_find(span_from(key, 1), '.');

		if (dot + 1 >= key.n)
			break;
		key = span_from(key, dot + 1);		/* ".parent" */
		v = look_up(c, maps, parents ? span_from(key, 1) : key, MAPS_FIXED_ONLY, about, class, found);
	}
	return v;
}

enum verdict
access_address(struct check *c, struct maps *maps, const char *address, const char *about, const char *class, bool *found)
{
	struct span key = span_str(address);
	char separator = strchr(address, ':') != NULL ? ':' : '.';
	unsigned how = 0;
	enum verdict v;

	for (;;) {
		size_t cut;

		v = look_up(c, maps, key, how, about, class, found);
		cut = span_rfind(key, separator);
		if (*found || cut == key.n || cut == 0)
			return v;
		key = span_to(key, cut);
		while (key.n > 0 && key.p[key.n - 1] == separator)
			key.n--;
		how = MAPS_FIXED_ONLY;
	}
}

enum verdict
access_word(struct check *c, struct maps *maps, const char *word, const char *about, const char *class)
{
	bool found;

	return look_up(c, maps, span_str(word), 0, about, class, &found);
}

enum verdict
access_mail(struct check *c, struct maps *maps, struct span internal, const char *about, const char *class)
{
	struct address_keys keys = { .keys = ADDRESS_ACCESS, .delimiters = conf.recipient_delimiter,
	    .parents_match = match_parents("smtpd_access_maps") };
	struct arena *mem = c->s->work;
	struct span value, external;
	enum map_status status;

	external = address_quote(internal, mem);
	if (span_is(internal, conf.smtpd_null_access_lookup_key)) {
		keys.keys = ADDRESS_FULL;
		external = internal;	/* "<>" is no address: no quotes */
	}
	status = address_map_get(maps, &keys, external, internal, mem, &value, NULL, NULL);
	if (status == MAP_FAILED)
		return failed(c, about, class);
	if (status == MAP_NOT_FOUND)
		return DUNNO;
	return access_result(c, map_spec(maps_last(maps)), internal, value, about, class);
}
