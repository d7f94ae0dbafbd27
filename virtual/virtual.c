/*
 * virtual.c - virtual(8): delivers to mailboxes that tables name, with the rights that tables give. No aliases, no
 * commands, no users of this host. Runs privileged and acts as the mailbox's owner for everything it writes.
 * Trusts no address and no table result: paths stay below virtual_mailbox_base, low user IDs are refused.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "mail/delivery.h"
#include "mail/mailbox.h"
#include "map/address_map.h"
#include "service/service.h"
#include "smtp/address.h"

static struct maps *mailboxes, *uids, *gids;

static enum map_status
look_up(struct delivery *d, struct maps *maps, struct span address, struct span *value)
{
	struct address_keys keys = { .keys = ADDRESS_DEFAULT, .delimiters = conf.recipient_delimiter };
	struct err e = {0};

	return address_map_get(maps, &keys, address_quote(span_lower(address, d->mem), d->mem), SPAN_NULL, d->mem, value, NULL, &e);
}

static struct dsn_text
configuration_error(struct delivery *d)
{
	return dsn_printf(d->mem, (struct dsn){ 4, 3, 5 }, "mail system configuration error");
}

/* A number of at least min from a table. */
static bool
find_id(struct delivery *d, struct maps *maps, const struct delivery_rcpt *r, int64_t min, const char *what, int64_t *id)
{
	struct span value;
	enum map_status st = look_up(d, maps, r->address, &value);

	if (st != MAP_FOUND) {
		log_warning("recipient %.*s: not found in %s", SPAN_ARG(r->address), maps_title(maps));
		return false;
	}
	if (!span_to_i64(span_trim(value), id) || *id < min || *id > INT32_MAX) {
		log_warning("recipient %.*s: bad %s %.*s in %s", SPAN_ARG(r->address), what, SPAN_ARG(value), maps_title(maps));
		return false;
	}
	return true;
}

/* "../" in a table result would leave virtual_mailbox_base. */
static bool
climbs(struct span path)
{
	struct span part;

	while (span_take_word(&path, "/", &part))
		if (span_is(part, ".."))
			return true;
	return false;
}

static struct dsn_text
deliver_as(const struct mailbox_target *m, const char *path)
{
	struct dsn_text result;
	bool maildir = path[strlen(path) - 1] == '/';

	if (!mailbox_user_begin(&m->user))
		return dsn_printf(m->d->mem, (struct dsn){ 4, 3, 0 }, "cannot act as user %u", m->user.uid);
	result = maildir ? maildir_deliver(path, m) : mailbox_append(path, m);
	mailbox_user_end();
	return result;
}

static struct dsn_text
deliver_one(struct delivery *d, struct delivery_rcpt *r)
{
	struct mailbox_target m = { .d = d, .rcpt = r, .of_virtual = true, .lock_styles = conf.virtual_mailbox_lock,
	    .size_limit = conf.virtual_mailbox_limit, .strict_owner = conf.strict_mailbox_ownership };
	struct span value;
	int64_t uid, gid;

	switch (look_up(d, mailboxes, r->address, &value)) {
	case MAP_FAILED:
		return configuration_error(d);
	case MAP_NOT_FOUND:
		return dsn_printf(d->mem, (struct dsn){ 5, 1, 1 }, "unknown user: \"%.*s\"", SPAN_ARG(r->address));
	default:
		break;
	}
	if (!find_id(d, uids, r, conf.virtual_minimum_uid, "uid", &uid) || !find_id(d, gids, r, 1, "gid", &gid))
		return configuration_error(d);
	if (climbs(value) || value.n == 0 || span_has(value, '\0')) {
		log_warning("recipient %.*s: bad path %.*s in %s", SPAN_ARG(r->address), SPAN_ARG(value), maps_title(mailboxes));
		return configuration_error(d);
	}
	m.user = (struct mailbox_user){ (uid_t)uid, (gid_t)gid, NULL };
	m.delivered_to = address_quote(r->address, d->mem);
	return deliver_as(&m, arena_printf(d->mem, "%s/%.*s", conf.virtual_mailbox_base, SPAN_ARG(value)));
}

static void
deliver(struct delivery *d)
{
	service_progress();
	for (size_t i = 0; i < d->nrcpt; i++) {
		struct dsn_text result = deliver_one(d, &d->rcpt[i]);

		delivery_report(d, &d->rcpt[i], service_env.name, &result);
	}
}

static void
serve(struct session *s)
{
	delivery_loop(s->peer, s->mem, deliver);
}

static void
init(void)
{
	if (conf.virtual_mailbox_base[0] != '\0' && conf.virtual_mailbox_base[0] != '/')
		log_fatal("do not specify relative pathname: virtual_mailbox_base = %s", conf.virtual_mailbox_base);
	if (conf.virtual_mailbox_limit > 0 && conf.virtual_mailbox_limit < conf.message_size_limit)
		log_fatal("configuration error: virtual_mailbox_limit is smaller than message_size_limit");
	mailboxes = maps_open("virtual_mailbox_maps", conf.virtual_mailbox_maps, MAP_FOLD | MAP_PARANOID);
	uids = maps_open("virtual_uid_maps", conf.virtual_uid_maps, MAP_FOLD | MAP_PARANOID);
	gids = maps_open("virtual_gid_maps", conf.virtual_gid_maps, MAP_FOLD | MAP_PARANOID);
	delivery_filter_init("virtual_delivery_status_filter", conf.virtual_delivery_status_filter);
}

static const struct service virtual = {
	.name = "virtual",
	.kind = SERVICE_SINGLE,
	.flags = SERVICE_PRIVILEGED,
	.init = init,
	.serve = serve,
	.tables_changed = maps_restart_wanted,
};

int
main(int argc, char **argv)
{
	return service_main(&virtual, argc, argv);
}
