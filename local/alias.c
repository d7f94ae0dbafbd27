/*
 * alias.c - alias_maps: look a name up, take its value apart, hand each piece on.
 *
 * SPDX-License-Identifier: ISC
 */
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/conf.h"
#include "local/local.h"
#include "mail/rewrite.h"
#include "map/maps.h"
#include "service/service.h"
#include "smtp/address.h"

static struct maps *aliases;

void
aliases_open(void)
{
	aliases = maps_open("alias_maps", conf.alias_maps, MAP_FOLD | MAP_PARANOID);
}

static void
simple_report(struct target *t, struct dsn code, const char *text)
{
	struct dsn_text d = { .code = code, .reason = span_str(text) };

	report(t, &d);
}

/* Rights for /file and |command: those of default_privs; the alias table belongs to root. */
static bool
default_rights(uid_t *uid, gid_t *gid)
{
	const struct passwd *pw = getpwnam(conf.default_privs);

	if (geteuid() != 0) {
		*uid = geteuid();
		*gid = getegid();
		return true;
	}
	if (pw == NULL)
		return false;
	*uid = pw->pw_uid;
	*gid = pw->pw_gid;
	return true;
}

static void
to_file(struct target *t, struct span path)
{
	struct target child = *t;
	uid_t uid;
	gid_t gid;

	if (!span_lists(span_str(conf.allow_mail_to_files), "alias"))
		simple_report(&child, (struct dsn){ 5, 7, 1 }, "mail to file is restricted");
	else if (!default_rights(&uid, &gid))
		simple_report(&child, (struct dsn){ 4, 3, 0 }, "cannot find alias database owner");
	else if (first_time(t->a, "file", path))
		deliver_file(&child, span_cstr(path, t->a->d->mem), uid, gid);
}

/* An address from an alias: here if it is ours, else into the new message. */
static void
to_address(struct target *t, struct span external)
{
	struct arena *mem = t->a->d->mem;
	struct span standard, internal;
	struct resolved r;

	if (!rewrite_external("local", external, mem, &standard)) {
		simple_report(t, (struct dsn){ 4, 3, 0 }, "alias database unavailable");
		return;
	}
	internal = address_unquote(standard, mem);
	if (!resolve_address(t->a->d->sender, internal, false, mem, &r) || (r.flags & RESOLVE_FAIL)) {
		simple_report(t, (struct dsn){ 4, 3, 0 }, "address resolver failure");
		return;
	}
	struct span original = t->rcpt.original.n > 0 ? t->rcpt.original : t->rcpt.address;
	bool itself = span_ieq(r.recipient, t->rcpt.address);

	if (span_is(r.transport, service_env.name))
		deliver_recipient(t->a, r.recipient, original, t->level + 1, itself);
	else if (first_time(t->a, "forward", span_lower(internal, mem)))
		*(struct span *)vec_add(&t->a->forward) = internal;
}

static void
to_unsupported(struct target *t, const char *what)
{
	log_warning("%s in an alias is not acted upon yet -- deferring mail", what);
	simple_report(t, (struct dsn){ 4, 3, 5 }, "mail system configuration error");
}

/* True when it is a destination. */
static bool
to_item(struct target *t, struct span text)
{
	if (text.n == 0)
		return false;
	if (text.p[0] == '|')
		to_unsupported(t, "\"|command\"");
	else if (text.p[0] == '/')
		to_file(t, text);
	else if (span_istarts(text, SPAN(":include:")))
		to_unsupported(t, ":include:");
	else
		to_address(t, text);
	return true;
}

/* "|prog arg" and "/file" stand quoted when they hold blanks; without the quotes they are what they are. */
static struct span
bare(struct span item, struct arena *mem)
{
	struct span inner = address_unquote(item, mem);

	return inner.n > 0 && (inner.p[0] == '|' || inner.p[0] == '/' || inner.p[0] == ':') ? inner : item;
}

static void
to_all(struct target *t, struct span value)
{
	struct arena *mem = t->a->d->mem;
	size_t found = 0;

	if (span_istarts(value, SPAN(":include:"))) {
		to_unsupported(t, ":include:");
		return;
	}
	struct address_list list = address_list_parse(value, 10240, mem);

	for (size_t i = 0; i < list.n; i++)
		if (list.p[i].kind == ADDRESS_MAILBOX && to_item(t, bare(list.p[i].address, mem)))
			found++;
		else if (list.p[i].kind == ADDRESS_GROUP && span_iis(list.p[i].phrase, ":include"))
			to_unsupported(t, ":include:");
	if (found > 0)
		return;
	log_warning("no recipient in alias lookup result for %.*s", SPAN_ARG(t->local));
	simple_report(t, (struct dsn){ 4, 3, 0 }, "alias database unavailable");
}

/* The recipient is one that it came from. */
static bool
alias_loop(struct target *t)
{
	for (int level = 0; level < t->level; level++) {
		if (!span_ieq(t->a->chain[level], t->rcpt.address))
			continue;
		log_warning("alias database loop for %.*s", SPAN_ARG(t->local));
		simple_report(t, (struct dsn){ 5, 4, 6 }, arena_printf(t->a->d->mem, "alias database loop for %.*s", SPAN_ARG(t->local)));
		return true;
	}
	return false;
}

bool
alias_deliver(struct target *t)
{
	struct arena *mem = t->a->d->mem;
	struct span keys[2] = { t->local, t->user }, value;
	size_t n = span_eq(t->local, t->user) ? 1 : 2;
	struct err e = {0};

	for (size_t i = 0; i < n; i++) {
		enum map_status st = maps_get(aliases, keys[i], 0, mem, &value, &e);

		if (st == MAP_FAILED) {
			simple_report(t, (struct dsn){ 4, 3, 0 }, "alias database unavailable");
			return true;
		}
		if (st == MAP_FOUND) {
			if (!alias_loop(t))
				to_all(t, value);
			return true;
		}
	}
	return false;
}
