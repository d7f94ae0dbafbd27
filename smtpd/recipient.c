/*
 * recipient.c - is there such a mailbox? reject_unlisted_recipient, reject_unlisted_sender.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "conf/conf.h"
#include "mail/dsn.h"
#include "mail/rewrite.h"
#include "map/address_map.h"
#include "smtp/address.h"
#include "smtpd/restrict.h"

static struct maps *recipient_canonical, *sender_canonical, *canonical, *virtual_alias, *local_rcpt, *relay_rcpt, *virtual_mailbox;

void
recipient_init(void)
{
	const unsigned flags = MAP_FOLD | MAP_UTF8;

	recipient_canonical = maps_open("recipient_canonical_maps", conf.recipient_canonical_maps, flags);
	sender_canonical = maps_open("sender_canonical_maps", conf.sender_canonical_maps, flags);
	canonical = maps_open("canonical_maps", conf.canonical_maps, flags);
	virtual_alias = maps_open("virtual_alias_maps", conf.virtual_alias_maps, flags);
	local_rcpt = maps_open("local_recipient_maps", conf.local_recipient_maps, flags);
	relay_rcpt = maps_open("relay_recipient_maps", conf.relay_recipient_maps, flags);
	virtual_mailbox = maps_open("virtual_mailbox_maps", conf.virtual_mailbox_maps, flags);
}

/* The domains for which a bare user name is tried. */
static bool
is_local_domain(struct span domain, void *arg)
{
	const struct resolved *to = arg;

	return (to->flags & RESOLVE_CLASS_LOCAL) != 0 || span_iis(domain, conf.myorigin);
}

static enum map_status
find(struct smtpd *s, struct maps *maps, struct resolved *to)
{
	struct address_keys keys = { .keys = ADDRESS_DEFAULT, .delimiters = conf.recipient_delimiter, .is_local = is_local_domain,
	    .arg = to };
	struct span value;

	if (maps_count(maps) == 0)
		return MAP_NOT_FOUND;
	return address_map_get(maps, &keys, address_quote(to->recipient, s->work), to->recipient, s->work, &value, NULL, NULL);
}

struct subject {
	const char *text, *class;
	bool sender;
};

static enum verdict
unknown_user(struct check *c, const struct subject *a, int code, const char *table)
{
	bool name_it = conf.show_user_unknown_table_name;

	return check_reject(c, ERROR_BOUNCE, code, a->sender ? "5.1.0" : "5.1.1", "<%s>: %s rejected: User unknown%s%s%s", a->text, a->class,
	    name_it ? " in " : "", name_it ? table : "", name_it ? " table" : "");
}

/* Local parts that always exist. */
static bool
is_special_user(struct span recipient)
{
	struct span local, domain;

	(void)address_split(recipient, &local, &domain);
	return span_iis(local, conf.double_bounce_sender) || span_iis(local, "postmaster") || span_iis(local, "mailer-daemon");
}

static enum verdict
must_be_in(struct check *c, const struct subject *a, struct maps *maps, struct resolved *to, int code, const char *table)
{
	enum map_status status;

	if (maps_count(maps) == 0)
		return DUNNO;
	status = find(c->s, maps, to);
	if (status == MAP_FAILED)
		return check_lookup_failed(c, a->text);
	return status == MAP_FOUND ? DUNNO : unknown_user(c, a, code, table);
}

/* Transport "error" or "retry": its next hop is the text. */
static enum verdict
error_transport(struct check *c, const struct subject *a, const struct resolved *to)
{
	bool retry = span_is(to->transport, "retry");
	struct dsn fallback = { retry ? 4 : 5, 1, a->sender ? 0 : 1 };
	struct dsn_text text = dsn_split(to->nexthop, fallback);
	int code = retry ? 450 : (to->flags & RESOLVE_CLASS_ALIAS) != 0 ? conf.unknown_virtual_alias_reject_code : 550;

	if (a->sender && text.code.subject == 1 && text.code.detail == 1)
		text.code.detail = 0;
	return check_reject(c, ERROR_POLICY, code, dsn_str(text.code, c->s->work), "<%s>: %s rejected: %.*s", a->text, a->class,
	    SPAN_ARG(text.reason));
}

enum verdict
recipient_listed(struct check *c, bool sender)
{
	struct smtpd *s = c->s;
	struct subject a = { sender ? s->sender_text : s->recipient, sender ? "Sender address" : "Recipient address", sender };
	struct span address = sender ? s->sender : s->recipient_internal;
	struct maps *const rewriting[] = { recipient_canonical, canonical, virtual_alias, sender ? sender_canonical : recipient_canonical };
	struct resolved to;

	if (address.n == 0)
		return DUNNO;
	if (!smtpd_resolve(s, address, &to))
		return check_lookup_failed(c, a.text);
	for (size_t i = 0; i < sizeof rewriting / sizeof rewriting[0]; i++) {
		enum map_status status = find(s, rewriting[i], &to);

		if (status == MAP_FAILED)
			return check_lookup_failed(c, a.text);
		if (status == MAP_FOUND)
			return DUNNO;
	}
	if (span_is(to.transport, "error") || span_is(to.transport, "retry"))
		return error_transport(c, &a, &to);
	if ((to.flags & RESOLVE_CLASS_LOCAL) != 0)
		return is_special_user(to.recipient) ? DUNNO :
		    must_be_in(c, &a, local_rcpt, &to, conf.unknown_local_recipient_reject_code, "local recipient");
	if ((to.flags & RESOLVE_CLASS_VIRTUAL) != 0)
		return must_be_in(c, &a, virtual_mailbox, &to, conf.unknown_virtual_mailbox_reject_code, "virtual mailbox");
	if ((to.flags & RESOLVE_CLASS_RELAY) != 0)
		return must_be_in(c, &a, relay_rcpt, &to, conf.unknown_relay_recipient_reject_code, "relay recipient");
	return DUNNO;
}
