/*
 * restrict_sasl.c - restrictions about who is logged in, and whether the sender address is that login's own.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "mail/rewrite.h"
#include "map/address_map.h"
#include "smtp/address.h"
#include "smtpd/restrict.h"

static struct maps *login_maps;

void
restrict_sasl_init(void)
{
	login_maps = maps_open("smtpd_sender_login_maps", conf.smtpd_sender_login_maps, MAP_FOLD | MAP_UTF8);
}

/* permit_sasl_authenticated: an anonymous login is none. Restrictions about the name itself take it for one. */
bool
smtpd_logged_in(const struct smtpd *s)
{
	return conf.smtpd_sasl_auth_enable && s->sasl_username != NULL && !span_iis(span_str(s->sasl_method), "ANONYMOUS");
}

static enum verdict
ignored(const char *name)
{
	log_warning("restriction `%s' ignored: no SASL support", name);
	return DUNNO;
}

enum verdict
restrict_sasl_authenticated(struct check *c, const struct rule *r)
{
	return smtpd_logged_in(c->s) ? check_permit(c, r, "Client host", c->s->client.id) : DUNNO;
}

/* A login name as a reply or a log line may hold it. */
static const char *
shown(const char *user, struct arena *mem)
{
	const bool utf8 = conf.smtputf8_enable && span_valid_utf8(span_str(user));
	char *text = span_cstr(span_str(user), mem);

	for (char *p = text; *p != '\0'; p++)
		if (!ascii_print(*p) && !(utf8 && (unsigned char)*p > 127))
			*p = '_';
	return text;
}

enum verdict
restrict_sasl_access(struct check *c, const struct rule *r)
{
	struct smtpd *s = c->s;

	if (!conf.smtpd_sasl_auth_enable)
		return ignored(r->r->name);
	if (s->sasl_username == NULL)
		return DUNNO;
	return access_word(c, r->maps, s->sasl_username, shown(s->sasl_username, s->work), "SASL login name");
}

/* The domains for which a bare user name is tried. */
static bool
is_local_domain(struct span domain, void *arg)
{
	const struct resolved *to = arg;

	return (to->flags & RESOLVE_CLASS_LOCAL) != 0 || span_iis(domain, conf.myorigin);
}

/* The logins that own the sender address, as the table has them. */
static enum map_status
find_owners(struct smtpd *s, struct span *owners)
{
	struct resolved to;
	struct address_keys keys = { .keys = ADDRESS_DEFAULT, .delimiters = conf.recipient_delimiter, .is_local = is_local_domain, .arg = &to };

	if (maps_count(login_maps) == 0)
		return MAP_NOT_FOUND;
	if (!smtpd_resolve(s, s->sender, &to))
		return MAP_FAILED;
	return address_map_get(login_maps, &keys, address_quote(to.recipient, s->work), to.recipient, s->work, owners, NULL, NULL);
}

enum verdict
restrict_login_mismatch(struct check *c, const struct rule *r)
{
	struct smtpd *s = c->s;
	const unsigned flags = r->r->flags;
	struct span owners = SPAN_NULL;
	enum map_status status;

	if (!conf.smtpd_sasl_auth_enable) {
		if (strcmp(r->r->name, "reject_sender_login_mismatch") != 0)
			return ignored(r->r->name);
		(void)ignored("reject_authenticated_sender_login_mismatch");
		return ignored("reject_unauthenticated_sender_login_mismatch");
	}
	if (s->sender.n == 0 || (flags & (s->sasl_username != NULL ? FOR_LOGGED_IN : FOR_OTHERS)) == 0)
		return DUNNO;
	status = find_owners(s, &owners);
	if (status == MAP_FAILED)
		return check_lookup_failed(c, s->sender_text);
	if (s->sasl_username == NULL)
		return status == MAP_NOT_FOUND ? DUNNO : check_reject(c, ERROR_POLICY, 553, "5.7.1", "<%s>: Sender address rejected: not logged in",
		    s->sender_text);
	if (status == MAP_NOT_FOUND && (flags & KNOWN_ONLY) != 0)
		return DUNNO;
	if (span_ilists(owners, s->sasl_username))
		return DUNNO;
	return check_reject(c, ERROR_POLICY, 553, "5.7.1", "<%s>: Sender address rejected: not owned by user %s", s->sender_text,
	    shown(s->sasl_username, s->work));
}
