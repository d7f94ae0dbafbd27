/*
 * restrict_client.c - restrictions that need no address of the mail: generic ones, and those about the client.
 *
 * SPDX-License-Identifier: ISC
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "conf/own_address.h"
#include "map/match.h"
#include "smtpd/restrict.h"

enum verdict
restrict_permit(struct check *c, const struct rule *r)
{
	return check_permit(c, r, c->class, c->name);
}

enum verdict
restrict_reject(struct check *c, const struct rule *r)
{
	(void)r;
	return check_reject(c, ERROR_POLICY, conf.reject_code, "5.7.1", "<%s>: %s rejected: Access denied", c->name, c->class);
}

enum verdict
restrict_defer(struct check *c, const struct rule *r)
{
	(void)r;
	return check_reject(c, ERROR_POLICY, conf.defer_code, "4.3.2", "<%s>: %s rejected: Try again later", c->name, c->class);
}

enum verdict
restrict_defer_if_permit(struct check *c, const struct rule *r)
{
	(void)r;
	return check_defer_permit(c, 450, "4.7.0", "<%s>: %s rejected: defer_if_permit requested", c->name, c->class);
}

enum verdict
restrict_defer_if_reject(struct check *c, const struct rule *r)
{
	(void)r;
	return check_defer_reject(c, 450, "4.7.0", "<%s>: %s rejected: defer_if_reject requested", c->name, c->class);
}

enum verdict
restrict_sleep(struct check *c, const struct rule *r)
{
	(void)c;
	int64_t seconds;

	if (span_to_i64(span_str(r->arg), &seconds) && seconds < 86400)
		smtpd_sleep((int)seconds);
	return DUNNO;
}

enum verdict
restrict_unauth_pipelining(struct check *c, const struct rule *r)
{
	(void)r;
	if (!c->s->server.improper_pipelining)
		return DUNNO;
	return check_reject(c, ERROR_POLICY, 503, "5.5.0", "<%s>: %s rejected: Improper use of SMTP command pipelining", c->name,
	    c->class);
}

enum verdict
restrict_plaintext(struct check *c, const struct rule *r)
{
	(void)r;
	return check_reject(c, ERROR_POLICY, conf.plaintext_reject_code, "4.7.1", "Session encryption is required");
}

enum verdict
restrict_multi_bounce(struct check *c, const struct rule *r)
{
	struct smtpd *s = c->s;
	bool message_stage = strcmp(c->name, "DATA") == 0 || strcmp(c->name, "END-OF-MESSAGE") == 0;

	(void)r;
	if (s->sender.n > 0 || s->nrcpt < (message_stage ? 2u : 1u))
		return DUNNO;
	return check_reject(c, ERROR_POLICY, conf.multi_recipient_bounce_reject_code, "5.5.3", "<%s>: %s rejected: Multi-recipient bounce",
	    c->name, c->class);
}

enum verdict
restrict_removed(struct check *c, const struct rule *r)
{
	static const char *const instead[][2] = {
		{ "check_relay_domains", "permit_mynetworks, reject_unauth_destination" },
		{ "permit_naked_ip_address", "permit_mynetworks" }, { "reject_maps_rbl", "reject_rbl_client domain-name" },
	};

	for (size_t i = 0; i < sizeof instead / sizeof instead[0]; i++)
		if (strcmp(r->r->name, instead[i][0]) == 0)
			log_warning("support for restriction \"%s\" has been removed in Postfix 3.9; instead, specify \"%s\"", r->word,
			    instead[i][1]);
	return check_config_error(c);
}

/* Known, but not built yet. */
enum verdict
restrict_later(struct check *c, const struct rule *r)
{
	log_warning("restriction \"%s\" is not supported by this version", r->word);
	return check_config_error(c);
}

bool
smtpd_client_in_mynetworks(const struct smtpd *s)
{
	static struct match *networks;

	if (networks == NULL)
		networks = match_open(MATCH_HOST, "mynetworks", conf.mynetworks, NULL);
	return match_host(networks, span_str(s->client.name), span_str(s->client.address)) == MATCH_YES;
}

bool
smtpd_client_is_own(const struct smtpd *s)
{
	static const struct own_address *own;
	static size_t n;
	unsigned char bytes[16];
	int family;

	if (own == NULL && !own_addresses(conf.inet_interfaces, conf.inet_protocols, &own, &n, NULL))
		return false;
	if (!address_parse(span_str(s->client.peer), &family, bytes))
		return false;
	for (size_t i = 0; i < n; i++)
		if (own[i].family == family && memcmp(own[i].bytes, bytes, family == AF_INET ? 4 : 16) == 0)
			return true;
	return false;
}

enum verdict
restrict_mynetworks(struct check *c, const struct rule *r)
{
	return smtpd_client_in_mynetworks(c->s) ? check_permit(c, r, "Client host", c->s->client.id) : DUNNO;
}

enum verdict
restrict_inet_interfaces(struct check *c, const struct rule *r)
{
	return smtpd_client_is_own(c->s) ? check_permit(c, r, "Client host", c->s->client.id) : DUNNO;
}

static int
unknown_code(enum dns_status status)
{
	return status == DNS_RETRY ? 450 : conf.unknown_client_reject_code;
}

enum verdict
restrict_unknown_client(struct check *c, const struct rule *r)
{
	const struct smtpd_client *client = &c->s->client;

	(void)r;
	if (client->name_status == DNS_OK)
		return DUNNO;
	return check_reject(c, ERROR_POLICY, unknown_code(client->name_status), "4.7.25",
	    "Client host rejected: cannot find your hostname, [%s]", client->address);
}

enum verdict
restrict_unknown_reverse(struct check *c, const struct rule *r)
{
	const struct smtpd_client *client = &c->s->client;

	(void)r;
	if (client->reverse_status == DNS_OK)
		return DUNNO;
	return check_reject(c, ERROR_POLICY, unknown_code(client->reverse_status), "4.7.1",
	    "Client host rejected: cannot find your reverse hostname, [%s]", client->address);
}

enum verdict
restrict_client_access(struct check *c, const struct rule *r)
{
	const struct smtpd_client *client = &c->s->client;
	bool reverse = (r->r->flags & FOR_REVERSE) != 0, found = false;
	const char *name = reverse ? client->reverse_name : client->name;
	const char *about = reverse ? client->reverse_name : client->id;
	const char *class = reverse ? "Unverified Client host" : "Client host";
	enum verdict v = access_host(c, r->maps, name, about, class, &found);

	if (!found && !reverse)
		v = access_address(c, r->maps, client->address, about, class, &found);
	if (v != OK || !reverse || c->s->actions.discard)
		return v;
	log_warning("restriction %s returns OK for %s", r->word, name);
	log_warning("this is not allowed for security reasons");
	log_warning("use DUNNO instead of OK if you want to make an exception");
	return check_config_error(c);
}
