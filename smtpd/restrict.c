/*
 * restrict.c - the machine of access restrictions: the table of names, compiled lists, and the stages of a session.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/vec.h"
#include "conf/conf.h"
#include "mail/verify_client.h"
#include "smtp/address.h"
#include "smtpd/policy.h"
#include "smtpd/restrict.h"

#define RECURSION_MAX	100		/* classes and access results inside each other */

static const struct restriction table[] = {
#define ROW(name, flags, fn)	{ name, flags, fn },
#include "smtpd/restrictions.def"
#undef ROW
};

/* The eight lists. */
static struct {
	struct rules *client, *helo, *sender, *relay, *recipient, *data, *end_of_data, *etrn;
} lists;

static struct {
	const char *name;
	struct rules *rules;
} *classes;
static size_t nclasses;

const struct restriction *
restriction_find(struct span name)
{
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		if (span_iis(name, table[i].name))
			return &table[i];
	return NULL;
}

static struct rules *
class_find(struct span name)
{
	for (size_t i = 0; i < nclasses; i++)
		if (span_is(name, classes[i].name))
			return classes[i].rules;
	return NULL;
}

static char *
strdup_span(struct span s)
{
	return span_strdup(s);
}

/* A word, and its argument when it needs one. */
static void
parse_rule(struct span *in, struct span word, bool with_tables, struct rule *rule)
{
	struct span arg, ahead = *in;
	struct err e = {0};

	rule->word = strdup_span(word);
	rule->r = restriction_find(word);
	rule->class = rule->r == NULL ? class_find(word) : NULL;
	if (rule->r == NULL && rule->class == NULL && span_has(word, ':') && with_tables)
		rule->maps = maps_open("smtpd restriction", rule->word, MAP_FOLD | MAP_UTF8);
	if (rule->r == NULL || (rule->r->flags & (ARG_MAP | ARG_DOMAIN | ARG_NUMBER | ARG_SERVER)) == 0)
		return;
	if (!span_take_word_braced(&ahead, ", \t\r\n", &arg))
		return;
	*in = ahead;
	rule->arg = strdup_span(arg);
	if ((rule->r->flags & ARG_SERVER) != 0 && with_tables && (rule->policy = policy_open(rule->arg, &e)) == NULL)
		log_fatal("%s", e.text);
	if ((rule->r->flags & ARG_MAP) != 0 && with_tables && span_has(arg, ':'))
		rule->maps = maps_open(rule->word, rule->arg, MAP_FOLD | MAP_UTF8);
}

struct rules *
rules_parse(const char *text, bool with_tables)
{
	struct rules *rules = calloc(1, sizeof *rules);
	struct vec v = VEC_INIT(struct rule);
	struct span in = span_str(text), word;

	if (rules == NULL)
		log_out_of_memory();
	while (span_take_word_braced(&in, ", \t\r\n", &word))
		parse_rule(&in, word, with_tables, vec_add(&v));
	rules->p = v.p;
	rules->n = v.n;
	return rules;
}

void
rules_free(struct rules **rp)
{
	if (*rp == NULL)
		return;
	for (size_t i = 0; i < (*rp)->n; i++) {
		struct rule *r = &(*rp)->p[i];

		free((void *)(uintptr_t)r->word);
		free((void *)(uintptr_t)r->arg);
		if (r->maps != NULL)
			maps_free(&r->maps);
		policy_close(&r->policy);
	}
	free((*rp)->p);
	free(*rp);
	*rp = NULL;
}

/* Arguments that a row must have. DUNNO: all is well. *skip: the element does nothing. */
static enum verdict
check_argument(struct check *c, const struct rule *r, bool *skip)
{
	*skip = false;
	if ((r->r->flags & ARG_MAP) != 0 && r->maps == NULL) {
		log_warning("restriction %s: bad argument \"%s\": need maptype:mapname", r->word, r->arg != NULL ? r->arg : "");
		return check_config_error(c);
	}
	if ((r->r->flags & ARG_SERVER) != 0 && r->policy == NULL) {
		log_warning("restriction %s must be followed by transport:server", r->word);
		return check_config_error(c);
	}
	if ((r->r->flags & ARG_NUMBER) != 0 && (r->arg == NULL || strspn(r->arg, "0123456789") != strlen(r->arg))) {
		log_warning("restriction %s must be followed by number", r->word);
		return check_config_error(c);
	}
	if ((r->r->flags & ARG_DOMAIN) != 0 && r->arg == NULL) {
		log_warning("restriction %s requires domain name argument", r->word);
		*skip = true;
	}
	return DUNNO;
}

static enum verdict
run_bare_table(struct check *c, const struct rule *r)
{
	struct rule as_default = *r;

	if (c->default_map == NULL) {
		log_warning("specify one of (check_client_access, check_reverse_client_hostname_access, check_helo_access, "
		    "check_sender_access, check_recipient_access, check_etrn_access) before %s restriction \"%s\"", c->class, r->word);
		return check_config_error(c);
	}
	as_default.r = restriction_find(span_str(c->default_map));
	as_default.arg = r->word;
	return as_default.r->fn(c, &as_default);
}

static bool
has_data(const struct smtpd *s, unsigned flags)
{
	return ((flags & NEEDS_HELO) == 0 || s->helo != NULL) && ((flags & NEEDS_SENDER) == 0 || s->in_mail) &&
	    ((flags & NEEDS_RCPT) == 0 || s->recipient != NULL);
}

static enum verdict
run_rule(struct check *c, const struct rule *r)
{
	enum verdict v;
	bool skip;

	if (r->class != NULL)
		return rules_run(c, r->class);
	if (r->r == NULL && r->maps != NULL)
		return run_bare_table(c, r);
	if (r->r == NULL) {
		log_warning("unknown smtpd restriction: \"%s\"", r->word);
		return check_config_error(c);
	}
	if ((v = check_argument(c, r, &skip)) != DUNNO || skip || !has_data(c->s, r->r->flags))
		return v;
	return r->r->fn(c, r);
}

enum verdict
rules_run(struct check *c, const struct rules *rules)
{
	struct smtpd *s = c->s;
	enum verdict v = DUNNO;

	if (s->recursion >= RECURSION_MAX) {
		log_warning("smtpd restriction: unreasonable recursion");
		return check_config_error(c);
	}
	s->recursion++;
	for (size_t i = 0; i < rules->n && v == DUNNO; i++) {
		const struct rule *r = &rules->p[i];
		bool warn = span_iis(span_str(r->word), "warn_if_reject") && i + 1 < rules->n;

		if (s->actions.discard)
			break;
		if (warn) {
			s->warn_if_reject++;
			r = &rules->p[++i];
		}
		v = run_rule(c, r);
		if (r->r != NULL && (r->r->flags & IS_FINAL) != 0 && i + 1 < rules->n && s->warn_if_reject == 0)
			log_warning("restriction `%s' after `%s' is ignored", rules->p[i + 1].word, r->r->name);
		if (warn)
			s->warn_if_reject--;
	}
	s->recursion--;
	return v;
}

/* --- stages --- */

static enum verdict
run_stage(struct check *c, const struct rules *rules)
{
	enum verdict v;

	c->s->defer_reject.reply = NULL;
	v = rules_run(c, rules);
	return v == STOP ? DUNNO : v;
}

/* What a list gives in the end: a pending defer_if_permit becomes a reject. */
static const char *
conclude(struct check *c, enum verdict v)
{
	struct smtpd *s = c->s;

	if (v == REJECT)
		return s->reply;
	if (s->defer_permit.reply != NULL) {
		smtpd_log_event(s, "reject", s->defer_permit.reply);
		return s->defer_permit.reply;
	}
	return NULL;
}

static enum verdict
stage_client(struct smtpd *s)
{
	struct check c = { .s = s, .name = s->client.id, .class = "Client host", .default_map = "check_client_access" };

	return run_stage(&c, lists.client);
}

static enum verdict
stage_helo(struct smtpd *s)
{
	struct check c = { .s = s, .name = s->helo, .class = "Helo command", .default_map = "check_helo_access" };

	return s->helo == NULL ? DUNNO : run_stage(&c, lists.helo);
}

static enum verdict
stage_sender(struct smtpd *s)
{
	struct check c = { .s = s, .name = s->sender_text, .class = "Sender address", .default_map = "check_sender_access" };
	enum verdict v;

	if (!s->in_mail)
		return DUNNO;
	s->sender_checked = false;
	v = run_stage(&c, lists.sender);
	if (v != REJECT && conf.smtpd_reject_unlisted_sender && !s->sender_checked && !s->actions.discard)
		v = recipient_listed(&c, true);
	return v;
}

const char *
check_client(struct smtpd *s)
{
	enum verdict v;

	s->defer_permit.reply = NULL;
	v = stage_client(s);
	s->saved_client = s->defer_permit;
	return v == REJECT ? s->reply : NULL;
}

const char *
check_helo(struct smtpd *s, const char *helo)
{
	const char *saved = s->helo;
	enum verdict v;

	s->defer_permit = s->saved_client;
	s->helo = helo;
	v = stage_helo(s);
	s->helo = saved;
	s->saved_helo = s->defer_permit;
	return v == REJECT ? s->reply : NULL;
}

const char *
check_mail(struct smtpd *s)
{
	enum verdict v;

	s->defer_permit = s->helo != NULL ? s->saved_helo : s->saved_client;
	v = stage_sender(s);
	s->saved_sender = s->defer_permit;
	return v == REJECT ? s->reply : NULL;
}

static bool
is_postmaster(const struct smtpd *s)
{
	return span_iis(s->recipient_internal, "postmaster");
}

static enum verdict
stage_recipient(struct check *c)
{
	const struct rules *first = lists.relay, *second = lists.recipient;
	enum verdict v;

	if (!conf.smtpd_relay_before_recipient_restrictions) {
		first = lists.recipient;
		second = lists.relay;
	}
	v = run_stage(c, first);
	return v == REJECT ? v : run_stage(c, second);
}

static bool
unlisted_check_wanted(void)
{
	struct span in = span_str(conf.receive_override_options), word;

	while (span_take_word(&in, ", \t\r\n", &word))
		if (span_iis(word, "no_unknown_recipient_checks"))
			return false;
	return conf.smtpd_reject_unlisted_recipient;
}

const char *
check_rcpt(struct smtpd *s)
{
	struct check c = { .s = s, .name = s->recipient, .class = "Recipient address", .default_map = "check_recipient_access" };
	enum verdict v = DUNNO;
	const char *reply;

	if (is_postmaster(s) || verify_is_sender(s->recipient_internal))
		return NULL;
	s->rcpt_checked = false;
	s->defer_permit.reply = NULL;
	if (conf.smtpd_delay_reject) {
		if ((v = stage_client(s)) != REJECT && (v = stage_helo(s)) != REJECT)
			v = stage_sender(s);
	} else {
		s->defer_permit = s->in_mail ? s->saved_sender : s->helo != NULL ? s->saved_helo : s->saved_client;
	}
	if (v != REJECT)
		v = stage_recipient(&c);
	if ((reply = conclude(&c, v)) != NULL)
		return reply;
	if (!s->rcpt_checked && unlisted_check_wanted() && !s->actions.discard && recipient_listed(&c, false) == REJECT)
		return s->reply;
	return rate_limit_check(s);
}

/* Data and end-of-data lists see the recipient only when it is the only one. */
static const char *
check_message(struct smtpd *s, const char *name, const char *class, const struct rules *rules)
{
	struct check c = { .s = s, .name = name, .class = class };
	const char *reply;

	if (rules->n == 0)
		return NULL;
	if (s->nrcpt == 1) {
		s->recipient_internal = s->rcpt[0].address;
		s->recipient = span_cstr(s->rcpt[0].address, s->work);
	}
	s->defer_permit.reply = NULL;
	reply = conclude(&c, run_stage(&c, rules));
	s->recipient = NULL;
	return reply;
}

const char *
check_data(struct smtpd *s)
{
	return check_message(s, "DATA", "Data command", lists.data);
}

const char *
check_end_of_data(struct smtpd *s)
{
	return check_message(s, "END-OF-MESSAGE", "End-of-data", lists.end_of_data);
}

const char *
check_etrn(struct smtpd *s)
{
	struct check c = { .s = s, .name = s->etrn, .class = "Etrn command", .default_map = "check_etrn_access", .no_actions = true };
	enum verdict v;

	s->defer_permit.reply = NULL;
	if (conf.smtpd_delay_reject) {
		if ((v = stage_client(s)) == REJECT || (v = stage_helo(s)) == REJECT)
			return s->reply;
	}
	return conclude(&c, run_stage(&c, lists.etrn));
}

/* --- start --- */

static void
compile_classes(void)
{
	struct span in = span_str(conf.smtpd_restriction_classes), word;
	size_t i = 0;

	while (span_take_word(&in, ", \t\r\n", &word))
		nclasses++;
	classes = calloc(nclasses + 1, sizeof *classes);
	if (classes == NULL)
		log_out_of_memory();
	for (in = span_str(conf.smtpd_restriction_classes); span_take_word(&in, ", \t\r\n", &word); i++) {
		classes[i].name = strdup_span(word);
		classes[i].rules = rules_parse("", true);
	}
	/* Now that all names are known, fill them: they may refer to each other. */
	for (i = 0; i < nclasses; i++) {
		const char *value = conf_value(classes[i].name);
		struct rules *rules;

		if (value == NULL || *value == '\0')
			log_fatal("restriction class `%s' needs a definition", classes[i].name);
		rules = rules_parse(value, true);
		*classes[i].rules = *rules;
		free(rules);
	}
}

static bool
is_safe(const struct rules *rules, unsigned depth)
{
	for (size_t i = 0; i < rules->n && depth < RECURSION_MAX; i++) {
		const struct rule *r = &rules->p[i];

		if (span_iis(span_str(r->word), "warn_if_reject")) {
			i++;
			continue;
		}
		if (span_iis(span_str(r->word), "permit"))
			return false;
		if ((r->r != NULL && (r->r->flags & IS_SAFE) != 0) || (r->class != NULL && is_safe(r->class, depth + 1)))
			return true;
	}
	return false;
}

static void
check_tempfail_action(const char *name, const char *value)
{
	if (strcmp(value, "defer") != 0 && strcmp(value, "defer_if_permit") != 0)
		log_fatal("bad configuration: %s = %s", name, value);
}

void
restrict_init(bool stand_alone)
{
	compile_classes();
	lists.client = rules_parse(conf.smtpd_client_restrictions, true);
	lists.helo = rules_parse(conf.smtpd_helo_restrictions, true);
	lists.sender = rules_parse(conf.smtpd_sender_restrictions, true);
	lists.relay = rules_parse(conf.smtpd_relay_restrictions, true);
	lists.recipient = rules_parse(conf.smtpd_recipient_restrictions, true);
	lists.data = rules_parse(conf.smtpd_data_restrictions, true);
	lists.end_of_data = rules_parse(conf.smtpd_end_of_data_restrictions, true);
	lists.etrn = rules_parse(conf.smtpd_etrn_restrictions, true);
	if (!stand_alone && !is_safe(lists.relay, 0) && !is_safe(lists.recipient, 0))
		log_fatal("in parameter smtpd_relay_restrictions or smtpd_recipient_restrictions, specify at least one working instance of: "
		    "reject_unauth_destination, defer_unauth_destination, reject, defer, defer_if_permit or check_relay_domains");
	restrict_sasl_init();
	check_tempfail_action("unknown_address_tempfail_action", conf.unknown_address_tempfail_action);
	check_tempfail_action("unknown_helo_hostname_tempfail_action", conf.unknown_helo_hostname_tempfail_action);
}
