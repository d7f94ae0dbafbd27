/*
 * mailbox.c - which mailbox a user has, and with whose rights it is written.
 *
 * SPDX-License-Identifier: ISC
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/conf.h"
#include "local/local.h"
#include "mail/mailbox.h"
#include "smtp/address.h"

static bool
says_delivered_to(void)
{
	struct span list = span_str(conf.prepend_delivered_header), word;

	while (span_take_word(&list, ", \t\r\n", &word))
		if (span_is(word, "file"))
			return true;
	return false;
}

static struct mailbox_target
target_of(struct target *t)
{
	struct mailbox_target m = { .d = t->a->d, .rcpt = &t->rcpt, .lock_styles = conf.mailbox_delivery_lock,
	    .size_limit = conf.mailbox_size_limit, .strict_owner = conf.strict_mailbox_ownership };

	if (says_delivered_to())
		m.delivered_to = address_quote(t->a->top->address, t->a->d->mem);
	return m;
}

static void
deliver_as(struct target *t, const char *path, const struct mailbox_target *m)
{
	struct dsn_text result;

	if (!mailbox_user_begin(&m->user)) {
		result = dsn_printf(t->a->d->mem, (struct dsn){ 4, 3, 0 }, "cannot act as user %s",
		    m->user.name != NULL ? m->user.name : "of the file");
	} else {
		result = path[strlen(path) - 1] == '/' ? maildir_deliver(path, m) : mailbox_append(path, m);
		mailbox_user_end();
	}
	report(t, &result);
}

void
deliver_file(struct target *t, const char *path, uid_t uid, gid_t gid)
{
	struct mailbox_target m = target_of(t);

	m.any_file = true;
	m.user = (struct mailbox_user){ uid, gid, NULL };
	deliver_as(t, path, &m);
}

/* A new mailbox in a spool directory that only root or a group may write to is made for the user beforehand. */
static void
prepare_spool(const char *dir, const char *path, struct mailbox_user *u)
{
	struct stat st;

	if (geteuid() != 0 || stat(dir, &st) != 0 || (st.st_mode & S_IWOTH))
		return;
	if (st.st_mode & S_IWGRP) {
		u->gid = st.st_gid;
		u->name = NULL;
		return;
	}
	if (lstat(path, &st) == 0)
		return;
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return;
	if (fchown(fd, u->uid, u->gid) != 0)
		log_warning("change owner of %s: %m", path);
	(void)close(fd);
}

void
deliver_mailbox(struct target *t, const struct passwd *pw)
{
	struct mailbox_target m = target_of(t);
	char path[1024];

	m.user = (struct mailbox_user){ pw->pw_uid, pw->pw_gid, span_cstr(span_str(pw->pw_name), t->a->d->mem) };
	if (conf.home_mailbox[0] != '\0') {
		(void)snprintf(path, sizeof path, "%s/%s", pw->pw_dir, conf.home_mailbox);
	} else {
		const char *dir = conf.mail_spool_directory;
		size_t n = strlen(dir);

		if (n > 0 && dir[n - 1] == '/') {	/* a Maildir for each user */
			(void)snprintf(path, sizeof path, "%s%s/", dir, pw->pw_name);
		} else {
			(void)snprintf(path, sizeof path, "%s/%s", dir, pw->pw_name);
			prepare_spool(dir, path, &m.user);
		}
	}
	deliver_as(t, path, &m);
}
