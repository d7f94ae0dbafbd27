/*
 * restrict_address.c - restrictions about the HELO name, the sender and the recipient.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "mail/rewrite.h"
#include "smtp/address.h"
#include "smtpd/restrict.h"

/* --- HELO --- */

static struct span
without_dot(const char *name)
{
	struct span s = span_str(name);

	if (s.n > 1 && s.p[s.n - 1] == '.')
		s.n--;
	return s;
}

static enum verdict
bad_literal(struct check *c, const char *helo)
{
	struct span host;

	if (address_literal_take(span_str(helo), &host))
		return DUNNO;
	return check_reject(c, ERROR_POLICY, conf.invalid_hostname_reject_code, "5.5.2", "<%s>: Helo command rejected: invalid ip address",
	    helo);
}

enum verdict
restrict_invalid_helo(struct check *c, const struct rule *r)
{
	const char *helo = c->s->helo;
	struct span name = without_dot(helo);

	(void)r;
	if (helo[0] == '[')
		return bad_literal(c, helo);
	if (address_hostname_ok(name) || address_ipv4_ok(name) || address_ipv6_ok(name))
		return DUNNO;
	return check_reject(c, ERROR_POLICY, conf.invalid_hostname_reject_code, "5.5.2", "<%s>: Helo command rejected: Invalid name", helo);
}

enum verdict
restrict_non_fqdn_helo(struct check *c, const struct rule *r)
{
	const char *helo = c->s->helo;
	struct span name = without_dot(helo);

	(void)r;
	if (helo[0] == '[')
		return bad_literal(c, helo);
	if (address_hostname_ok(name) && span_has(name, '.'))
		return DUNNO;
	return check_reject(c, ERROR_POLICY, conf.non_fqdn_reject_code, "5.5.2", "<%s>: Helo command rejected: need fully-qualified hostname",
	    helo);
}

/* First type that answers decides; the worst failure otherwise. */
static enum dns_status
exists(const char *name, const enum dns_type types[3], struct arena *mem)
{
	struct dns_answer a;
	enum dns_status worst = DNS_NOT_FOUND;

	for (size_t i = 0; i < 3; i++) {
		enum dns_status status = dns_lookup(name, types[i], mem, &a);

		if (status == DNS_OK || status == DNS_NULL_MX)
			return status;
		if (status == DNS_RETRY || status == DNS_FILTERED || (status == DNS_INVALID && worst != DNS_RETRY))
			worst = status;
	}
	return worst;
}

static const char *
not_found_text(enum dns_status status, const char *text)
{
	return status == DNS_INVALID ? "Malformed DNS server reply" : text;
}

enum verdict
restrict_unknown_helo(struct check *c, const struct rule *r)
{
	static const enum dns_type types[3] = { DNS_A, DNS_AAAA, DNS_MX };
	const char *helo = c->s->helo;
	enum dns_status status;

	(void)r;
	if (helo[0] == '[')
		return bad_literal(c, helo);
	status = exists(span_cstr(without_dot(helo), c->s->work), types, c->s->work);
	if (status == DNS_FILTERED)
		log_warning("%s: address or MX lookup error: " DNS_FILTERED_TEXT, helo);
	if (status == DNS_OK || status == DNS_NULL_MX || status == DNS_FILTERED)
		return DUNNO;
	if (status == DNS_RETRY && tempfail_is_permit(conf.unknown_helo_hostname_tempfail_action))
		return check_defer_permit(c, 450, "4.7.1", "<%s>: Helo command rejected: Host not found", helo);
	return check_reject(c, ERROR_POLICY, status == DNS_RETRY ? 450 : conf.unknown_hostname_reject_code, "4.7.1",
	    "<%s>: Helo command rejected: %s", helo, not_found_text(status, "Host not found"));
}

enum verdict
restrict_helo_access(struct check *c, const struct rule *r)
{
	bool found;

	return access_host(c, r->maps, c->s->helo, c->s->helo, "Helo command", &found);
}

enum verdict
restrict_etrn_access(struct check *c, const struct rule *r)
{
	bool found;

	return c->s->etrn == NULL ? DUNNO : access_host(c, r->maps, c->s->etrn, c->s->etrn, "Etrn command", &found);
}

/* --- sender and recipient --- */

struct subject {
	struct span internal;
	const char *text, *class;
	bool sender;
};

static struct subject
subject_of(struct check *c, const struct rule *r)
{
	const struct smtpd *s = c->s;

	if ((r->r->flags & FOR_SENDER) != 0)
		return (struct subject){ s->sender, s->sender_text, "Sender address", true };
	return (struct subject){ s->recipient_internal, s->recipient, "Recipient address", false };
}

bool
smtpd_resolve(struct smtpd *s, struct span address, struct resolved *out)
{
	struct span sender = s->in_mail ? s->sender : SPAN_NULL;

	return resolve_address(sender, address, false, s->work, out) && (out->flags & RESOLVE_FAIL) == 0;
}

bool
destination_is_ours(const struct resolved *r)
{
	if ((r->flags & RESOLVE_ROUTED) != 0 && !conf.allow_untrusted_routing)
		return false;
	return (r->flags & (RESOLVE_CLASS_FINAL | RESOLVE_CLASS_RELAY)) != 0;
}

enum verdict
restrict_non_fqdn_address(struct check *c, const struct rule *r)
{
	struct subject a = subject_of(c, r);
	struct span local, domain;

	if (a.internal.n == 0)
		return DUNNO;
	(void)address_split(a.internal, &local, &domain);
	if (domain.n > 1 && domain.p[domain.n - 1] == '.')
		domain.n--;
	if (domain.n > 0 && (domain.p[0] == '[' || (address_hostname_ok(domain) && span_has(domain, '.'))))
		return DUNNO;
	return check_reject(c, ERROR_POLICY, conf.non_fqdn_reject_code, "5.5.2", "<%s>: %s rejected: need fully-qualified address", a.text,
	    a.class);
}

static enum verdict
unknown_domain(struct check *c, const struct subject *a, const char *domain)
{
	static const enum dns_type types[3] = { DNS_MX, DNS_A, DNS_AAAA };
	const char *dsn = a->sender ? "4.1.8" : "4.1.2";
	enum dns_status status = exists(domain, types, c->s->work);

	if (status == DNS_FILTERED)
		log_warning("%s: MX or address lookup error: " DNS_FILTERED_TEXT, domain);
	if (status == DNS_OK || status == DNS_FILTERED)
		return DUNNO;
	if (status == DNS_NULL_MX)
		return check_reject(c, ERROR_POLICY, a->sender ? 550 : 556, a->sender ? "5.7.27" : "5.1.10",
		    "<%s>: %s rejected: Domain %s does not accept mail (nullMX)", a->text, a->class, domain);
	if (status == DNS_RETRY && tempfail_is_permit(conf.unknown_address_tempfail_action))
		return check_defer_permit(c, 450, dsn, "<%s>: %s rejected: Domain not found", a->text, a->class);
	return check_reject(c, ERROR_POLICY, status == DNS_RETRY ? 450 : conf.unknown_address_reject_code, dsn, "<%s>: %s rejected: %s",
	    a->text, a->class, not_found_text(status, "Domain not found"));
}

enum verdict
restrict_unknown_domain(struct check *c, const struct rule *r)
{
	struct subject a = subject_of(c, r);
	struct resolved to;
	struct span local, domain;

	if (a.internal.n == 0)
		return DUNNO;
	if (!smtpd_resolve(c->s, a.internal, &to))
		return check_lookup_failed(c, a.text);
	if ((to.flags & RESOLVE_CLASS_FINAL) != 0 || !address_split(to.recipient, &local, &domain) || domain.n == 0 || domain.p[0] == '[')
		return DUNNO;
	return unknown_domain(c, &a, span_cstr(domain, c->s->work));
}

enum verdict
restrict_auth_destination(struct check *c, const struct rule *r)
{
	struct resolved to;

	if (!smtpd_resolve(c->s, c->s->recipient_internal, &to))
		return check_lookup_failed(c, c->s->recipient);
	return destination_is_ours(&to) ? check_permit(c, r, "Recipient address", c->s->recipient) : DUNNO;
}

enum verdict
restrict_unauth_destination(struct check *c, const struct rule *r)
{
	bool defer = (r->r->flags & IS_DEFER) != 0;
	int code = conf.relay_domains_reject_code - (defer ? 100 : 0);
	struct resolved to;

	if (!smtpd_resolve(c->s, c->s->recipient_internal, &to))
		return check_lookup_failed(c, c->s->recipient);
	if (destination_is_ours(&to))
		return DUNNO;
	return check_reject(c, ERROR_POLICY, code, "5.7.1", "<%s>: Relay access denied", c->s->recipient);
}

enum verdict
restrict_unlisted(struct check *c, const struct rule *r)
{
	struct smtpd *s = c->s;
	bool sender = (r->r->flags & FOR_SENDER) != 0;

	if (s->warn_if_reject == 0) {
		if (sender)
			s->sender_checked = true;
		else
			s->rcpt_checked = true;
	}
	return recipient_listed(c, sender);
}

enum verdict
restrict_address_access(struct check *c, const struct rule *r)
{
	struct subject a = subject_of(c, r);
	struct resolved to = {0};
	enum verdict v;

	if (a.internal.n == 0)
		return access_mail(c, r->maps, span_str(conf.smtpd_null_access_lookup_key), a.text, a.class);
	if (!smtpd_resolve(c->s, a.internal, &to))
		return check_lookup_failed(c, a.text);
	v = access_mail(c, r->maps, to.recipient, a.text, a.class);
	if (v == OK && !a.sender && (to.flags & RESOLVE_ROUTED) != 0 && !conf.allow_untrusted_routing)
		return DUNNO;
	return v;
}
