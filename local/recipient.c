/*
 * recipient.c - the order of mechanisms for one recipient: loop check, alias, mailbox, unknown user.
 * Mechanisms that are not built yet (.forward, commands, mailbox_transport) defer the mail with a warning.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "conf/conf.h"
#include "local/local.h"
#include "mail/mailbox.h"
#include "map/address_map.h"
#include "service/service.h"
#include "smtp/address.h"

bool
first_time(struct attempt *a, const char *what, struct span key)
{
	struct span full = span_str(arena_printf(a->d->mem, "%s:%.*s", what, SPAN_ARG(key)));

	return hash_put(a->done, full, a) == NULL;
}

void
report(struct target *t, const struct dsn_text *text)
{
	delivery_report(t->a->d, &t->rcpt, service_env.name, text);
	if (text->code.class == 4 || (text->code.class == 5 && conf.soft_bounce))
		t->a->deferred = true;
}

static void
fail(struct target *t, struct dsn code, const char *text)
{
	struct dsn_text d = { .code = code, .reason = span_str(text) };

	report(t, &d);
}

/* A user's .forward would decide; it is not read yet, so the mail waits instead of going astray. */
static bool
has_forward_file(const struct passwd *pw)
{
	char path[1024];
	struct stat st;
	struct mailbox_user u = { pw->pw_uid, pw->pw_gid, pw->pw_name };

	(void)snprintf(path, sizeof path, "%s/.forward", pw->pw_dir);
	if (!mailbox_user_begin(&u))
		return false;
	bool found = lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0;

	mailbox_user_end();
	return found;
}

static bool
unsupported(struct target *t, const struct passwd *pw)
{
	const struct {
		const char *name, *value;
	} settings[] = {
		{ "mailbox_transport_maps", conf.mailbox_transport_maps }, { "mailbox_transport", conf.mailbox_transport },
		{ "mailbox_command_maps", conf.mailbox_command_maps }, { "mailbox_command", conf.mailbox_command },
	};

	for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
		if (settings[i].value[0] == '\0')
			continue;
		log_warning("%s is not acted upon yet -- deferring mail", settings[i].name);
		fail(t, (struct dsn){ 4, 3, 5 }, "mail system configuration error");
		return true;
	}
	if (pw == NULL || !has_forward_file(pw))
		return false;
	log_warning("%s/.forward is not acted upon yet -- deferring mail", pw->pw_dir);
	fail(t, (struct dsn){ 4, 3, 5 }, "mail system configuration error");
	return true;
}

static void
unknown_user(struct target *t)
{
	if (conf.fallback_transport[0] != '\0' || conf.fallback_transport_maps[0] != '\0' || conf.luser_relay[0] != '\0') {
		log_warning("fallback_transport, fallback_transport_maps and luser_relay are not acted upon yet -- deferring mail");
		fail(t, (struct dsn){ 4, 3, 5 }, "mail system configuration error");
	} else if (span_iis(t->user, "postmaster") || span_iis(t->user, "mailer-daemon")) {
		log_warning("required alias not found: %.*s", SPAN_ARG(t->user));
		fail(t, (struct dsn){ 2, 0, 0 }, "discarded");
	} else {
		fail(t, (struct dsn){ 5, 1, 1 }, arena_printf(t->a->d->mem, "unknown user: \"%.*s\"", SPAN_ARG(t->user)));
	}
}

static void
to_user(struct target *t)
{
	const char *name = span_cstr(t->user, t->a->d->mem);
	const struct passwd *pw;

	errno = 0;
	pw = getpwnam(name);
	if (pw == NULL && errno != 0 && errno != ENOENT && errno != ESRCH) {
		log_warning("error looking up passwd info for %s: %s", name, strerror(errno));
		fail(t, (struct dsn){ 4, 0, 0 }, "user lookup error");
		return;
	}
	if (unsupported(t, pw))
		return;
	if (pw == NULL)
		unknown_user(t);
	else if (first_time(t->a, "mailbox", t->user))
		deliver_mailbox(t, pw);
}

static void
split_name(struct target *t)
{
	struct arena *mem = t->a->d->mem;
	struct span local, base, ext;

	(void)address_split(t->rcpt.address, &local, &t->domain);
	t->local = span_lower(local, mem);
	address_split_extension(t->local, conf.recipient_delimiter, &base, &ext);
	t->user = base;
	t->extension = ext.n > 0 ? span_from(ext, 1) : SPAN_NULL;
	if (span_has(t->extension, '/')) {
		log_warning("%.*s: address with illegal extension: %.*s", SPAN_ARG(t->a->d->queue_id), SPAN_ARG(t->local));
		t->extension = SPAN_NULL;
	}
}

void
deliver_recipient(struct attempt *a, struct span address, struct span original, int level, bool exact)
{
	struct arena *mem = a->d->mem;
	struct target t = { .a = a, .level = level, .exact = exact };

	t.rcpt = (struct delivery_rcpt){ .address = address, .original = original, .dsn_orcpt = a->top->dsn_orcpt,
	    .notify = a->top->notify };
	if (address.n > 0 && address.p[0] == '\\') {
		t.rcpt.address = span_from(address, 1);
		t.exact = true;
	}
	split_name(&t);
	if (level > LOCAL_NESTING_MAX) {
		log_warning("recipient nesting limit exceeded for %.*s", SPAN_ARG(address));
		fail(&t, (struct dsn){ 5, 4, 6 }, "recipient nesting limit exceeded");
	} else if (a->chain[level] = t.rcpt.address, !first_time(a, arena_printf(mem, "recipient %d", level), span_lower(t.rcpt.address, mem))) {
		return;
	} else if (forwarding_loop(a, t.rcpt.address)) {
		fail(&t, (struct dsn){ 5, 4, 6 }, arena_printf(mem, "mail forwarding loop for %.*s", SPAN_ARG(address)));
	} else if (t.user.n == 0) {
		fail(&t, (struct dsn){ 5, 1, 3 }, arena_printf(mem, "null username in \"%.*s\"", SPAN_ARG(address)));
	} else if (t.exact || !alias_deliver(&t)) {
		to_user(&t);
	}
}
