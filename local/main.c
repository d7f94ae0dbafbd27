/*
 * main.c - local(8): delivers to users of this host: aliases, mailboxes, Maildirs.
 * Runs privileged, and acts with the recipient's rights for everything that touches the recipient's files. Trusts no
 * address, no alias result and no message content; no network.
 *
 * SPDX-License-Identifier: ISC
 */
#include "base/log.h"
#include "conf/conf.h"
#include "local/local.h"
#include "map/maps.h"
#include "service/service.h"

static void
deliver_one(struct delivery *d, struct delivery_rcpt *r)
{
	struct attempt a = { .d = d, .top = r, .done = hash_new(), .forward = VEC_INIT(struct span), .sender = d->sender };

	deliver_recipient(&a, r->address, r->original, 0, false);
	if (a.forward.n > 0 && !a.deferred)
		forward_all(&a);
	if (!a.deferred)
		delivery_mark_done(d, r);
	r->done = true;
	vec_free(&a.forward);
	hash_free(&a.done, NULL);
}

static void
deliver(struct delivery *d)
{
	service_progress();
	for (size_t i = 0; i < d->nrcpt; i++)
		deliver_one(d, &d->rcpt[i]);
}

static void
serve(struct session *s)
{
	delivery_loop(s->peer, s->mem, deliver);
}

static void
init(void)
{
	if (conf.mailbox_size_limit > 0 && conf.mailbox_size_limit < conf.message_size_limit)
		log_fatal("configuration error: mailbox_size_limit is smaller than message_size_limit");
	aliases_open();
	delivery_filter_init("local_delivery_status_filter", conf.local_delivery_status_filter);
}

static const struct service local = {
	.name = "local",
	.kind = SERVICE_SINGLE,
	.flags = SERVICE_PRIVILEGED,
	.init = init,
	.serve = serve,
	.tables_changed = maps_restart_wanted,
};

int
main(int argc, char **argv)
{
	return service_main(&local, argc, argv);
}
