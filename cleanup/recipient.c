/*
 * recipient.c - from a recipient as given to the recipients in the queue file: rewritten, mapped, expanded, without
 * duplicates.
 *
 * SPDX-License-Identifier: ISC
 */
#include "cleanup/cleanup.h"
#include "conf/conf.h"
#include "mail/bounce_client.h"
#include "mail/delivery.h"
#include "mail/dsn.h"
#include "mail/rewrite.h"
#include "smtp/address.h"

bool
standard_address(struct message *m, struct span address, struct span *out)
{
	if (rewrite_internal("local", address, m->mem, out))
		return true;
	message_trouble(m, CLEANUP_STAT_DEFER, NULL);
	return false;
}

/* True when this very recipient was written before. Remembers up to duplicate_filter_limit of them. */
static bool
is_duplicate(struct message *m, const struct recipient *r)
{
	const char *key;
	struct span folded;

	if (m->seen == NULL)
		m->seen = hash_new();
	key = !conf.enable_original_recipient ? span_cstr(r->address, m->mem) :
	    arena_printf(m->mem, "%.*s:%u:%.*s:%.*s", SPAN_ARG(r->orcpt), r->notify, SPAN_ARG(r->original), SPAN_ARG(r->address));
	folded = span_lower(span_str(key), m->mem);
	if (hash_get(m->seen, folded) != NULL)
		return true;
	if (conf.duplicate_filter_limit == 0 || hash_count(m->seen) < (size_t)conf.duplicate_filter_limit)
		(void)hash_put(m->seen, folded, m);
	return false;
}

static void
put(struct message *m, const struct recipient *r)
{
	struct delivery_rcpt *told;

	if (is_duplicate(m, r))
		return;
	if (r->notify != 0)
		rec_putf(&m->out, REC_ATTR, "notify_flags=%u", r->notify);
	rec_put_attr(&m->out, "dsn_orig_rcpt", r->orcpt);
	rec_put(&m->out, REC_ORIG_RCPT, r->original);
	if ((m->flags & CLEANUP_FLAG_BOUNCE) != 0) {
		told = vec_add(&m->bounces);
		*told = (struct delivery_rcpt){ .original = r->original, .address = r->address, .dsn_orcpt = r->orcpt,
		    .notify = r->notify, .offset = message_offset(m) };
	}
	if (!span_is_ascii(r->address) && span_valid_utf8(r->address))
		m->size.sendopts |= utf8_detected(m);
	rec_put(&m->out, REC_RCPT, r->address);
	m->size.rcpt_count++;
	message_flush(m, 65536);
}

/* The members do not report success: that is done here, for the alias. */
static void
report_expansion(struct message *m, struct recipient *r)
{
	struct delivery_rcpt rcpt = { .original = r->original, .address = r->address, .dsn_orcpt = r->orcpt, .notify = r->notify };
	struct dsn_text text = { .code = { 2, 0, 0 }, .action = "expanded", .reason = SPAN("alias expanded") };

	if (!bounce_log_append(BOUNCE_LOG_TRACE, span_str(m->id), &rcpt, &text, m->mem)) {
		message_trouble(m, CLEANUP_STAT_DEFER, NULL);
		return;
	}
	r->notify &= ~(unsigned)DSN_NOTIFY_SUCCESS;
	if (r->notify == 0)
		r->notify = DSN_NOTIFY_NEVER;
}

static void
expand(struct message *m, const struct recipient *given)
{
	struct recipient r = *given;
	struct addresses members = {0};

	if (!map_virtual(m, r.address, &members))
		return;
	if ((r.notify & DSN_NOTIFY_SUCCESS) != 0 && (members.n > 1 || !span_ieq(members.p[0], r.address)))
		report_expansion(m, &r);
	for (size_t i = 0; i < members.n && message_wanted(m); i++) {
		r.address = span_copy(members.p[i], m->mem);
		put(m, &r);
	}
}

/* Standard form and canonical maps. */
static bool
rewrite(struct message *m, struct recipient *r)
{
	if (r->address.n == 0)
		r->address = span_str(conf.empty_address_recipient);
	return standard_address(m, r->address, &r->address) && map_canonical(m, ENVELOPE_RECIPIENT, r->address, &r->address);
}

void
recipient_add_bcc(struct message *m, struct span address)
{
	struct recipient r = { .address = address, .notify = DSN_NOTIFY_NEVER };

	if (!rewrite(m, &r))
		return;
	r.original = r.address;
	expand(m, &r);
}

static bool
is_ascii_or_not_declared(const struct message *m, struct span address)
{
	return span_is_ascii(address) || (m->flags & CLEANUP_FLAG_SMTPUTF8) == 0;
}

void
recipient_add(struct message *m, const struct recipient *given)
{
	struct recipient r = *given;
	struct span copy;

	/* What the client sent lives only as long as its frame. */
	r.address = span_copy(r.address, m->mem);
	r.original = span_copy(r.original, m->mem);
	if (!rewrite(m, &r) || !map_recipient_bcc(m, r.address, &copy))
		return;
	if (r.orcpt.n == 0)
		r.orcpt = span_str(arena_printf(m->mem, "%s;%.*s", is_ascii_or_not_declared(m, r.address) ? "rfc822" : "utf-8",
		    SPAN_ARG(r.address)));
	expand(m, &r);
	m->last_rcpt = span_copy(r.address, m->mem);
	if (copy.n > 0)
		recipient_add_bcc(m, copy);
}

void
recipient_add_late(struct message *m)
{
	struct span list = buf_view(&m->bcc), address;

	if (m->size.rcpt_count == 0)
		return;
	if ((m->flags & CLEANUP_FLAG_BCC_OK) != 0 && conf.always_bcc[0] != '\0')
		recipient_add_bcc(m, span_str(conf.always_bcc));
	while (span_take_line(&list, &address))
		recipient_add_bcc(m, address);
}
