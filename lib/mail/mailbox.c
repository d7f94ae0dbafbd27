/*
 * mailbox.c - mbox and Maildir. Trusts neither the message nor the directory it writes to: links are not followed,
 * owners and link counts are checked before a byte is written.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "io/file.h"
#include "mail/mailbox.h"
#include "mail/mailbox_lock.h"
#include "mail/rec.h"
#include "smtp/address.h"

#define WRITE_CHUNK	65536u

bool
mailbox_user_begin(const struct mailbox_user *u)
{
	if (geteuid() != 0)
		return u->uid == geteuid();
	if ((u->name != NULL ? initgroups(u->name, u->gid) : setgroups(1, &u->gid)) != 0 || setegid(u->gid) != 0 ||
	    seteuid(u->uid) != 0) {
		mailbox_user_end();
		return false;
	}
	return true;
}

void
mailbox_user_end(void)
{
	gid_t root = 0;

	if (getuid() != 0)
		return;
	if (seteuid(0) != 0 || setegid(0) != 0 || setgroups(1, &root) != 0)
		log_fatal("cannot become the superuser again: %s", strerror(errno));
}

struct writer {
	int fd;
	struct buf out;
	long written, limit;		/* limit 0 = none */
	bool failed, line_start, quote_from;
};

static void
drain(struct writer *w)
{
	if (w->failed || w->out.n == 0)
		return;
	w->written += (long)w->out.n;
	if (w->limit > 0 && w->written > w->limit) {
		errno = EFBIG;
		w->failed = true;
	} else if (!file_write_all(w->fd, w->out.p, w->out.n)) {
		w->failed = true;
	}
	buf_reset(&w->out);
}

static void
put_headers(struct writer *w, const struct mailbox_target *t, bool mbox)
{
	const struct delivery *d = t->d;
	struct span sender = d->sender.n > 0 ? address_quote(d->sender, d->mem) : SPAN_NULL;

	if (mbox) {
		char when[64];
		time_t now = clock_wall().tv_sec;
		struct tm tm = {0};

		(void)localtime_r(&now, &tm);
		(void)strftime(when, sizeof when, "%a %b %e %H:%M:%S %Y", &tm);
		buf_printf(&w->out, "From %.*s  %s\n", SPAN_ARG(sender.n > 0 ? sender : SPAN("MAILER-DAEMON")), when);
	}
	buf_printf(&w->out, "Return-Path: <%.*s>\n", SPAN_ARG(sender));
	if (conf.enable_original_recipient && t->rcpt->original.n > 0)
		buf_printf(&w->out, "X-Original-To: %.*s\n", SPAN_ARG(address_quote(t->rcpt->original, d->mem)));
	if (t->delivered_to.n > 0)
		buf_printf(&w->out, "Delivered-To: %.*s\n", SPAN_ARG(t->delivered_to));
}

static void
put_record(struct writer *w, const struct rec *r)
{
	if (w->quote_from && w->line_start && span_starts(r->payload, SPAN("From ")))
		buf_byte(&w->out, '>');
	buf_span(&w->out, r->payload);
	w->line_start = r->type == REC_NORM;
	if (w->line_start)
		buf_byte(&w->out, '\n');
	if (w->out.n > WRITE_CHUNK)
		drain(w);
}

/* The whole message. False: *e is a read error of the queue file, or errno of the mailbox with e->kind ERR_NONE. */
static bool
copy_message(struct writer *w, const struct mailbox_target *t, bool mbox, struct err *e)
{
	struct rec_reader reader;
	struct rec r = {0};

	w->line_start = true;
	w->quote_from = mbox;
	put_headers(w, t, mbox);
	rec_reader_init(&reader, t->d->fd, t->d->data_offset);
	while (!w->failed && rec_next(&reader, &r, e) && (r.type == REC_NORM || r.type == REC_CONT))
		put_record(w, &r);
	rec_reader_free(&reader);
	if (!w->line_start)
		buf_byte(&w->out, '\n');
	if (mbox)
		buf_byte(&w->out, '\n');
	drain(w);
	if (!w->failed && r.type != REC_EXTRACT && e->kind == ERR_NONE)
		(void)err_temp(e, "queue file has an unexpected record in its content");
	return !w->failed && e->kind == ERR_NONE && fsync(w->fd) == 0;
}

/* Which report an errno of a mailbox operation deserves. */
static struct dsn
errno_code(int error, struct dsn other)
{
	switch (error) {
	case EAGAIN:
	case ESTALE:
		return (struct dsn){ 4, 2, 0 };
	case ENOSPC:
		return (struct dsn){ 4, 3, 0 };
	case EDQUOT:
	case EFBIG:
		return (struct dsn){ 5, 2, 2 };
	default:
		return other;
	}
}

/* When it could not be opened or made. */
static struct dsn
open_code(const struct mailbox_target *t, int error)
{
	return errno_code(error, (struct dsn){ t->of_virtual ? 4 : 5, 2, 0 });
}

static const struct dsn write_code = { 5, 3, 0 };

static const char *
write_text(const struct mailbox_target *t, int error)
{
	return arena_printf(t->d->mem, "error writing message: %s", strerror(error));
}

static struct dsn_text
mbox_failure(const struct mailbox_target *t, const char *path, struct dsn code, const char *why)
{
	if (t->any_file)
		return dsn_printf(t->d->mem, code, "cannot append message to file %s: %s", path, why);
	if (t->of_virtual)
		return dsn_printf(t->d->mem, code, "delivery failed to mailbox %s: %s", path, why);
	return dsn_printf(t->d->mem, code, "cannot update mailbox %s for user %s. %s", path,
	    t->user.name != NULL ? t->user.name : "unknown", why);
}

/* What is wrong with an open mailbox, or NULL. */
static const char *
objection(const struct mailbox_target *t, int fd, const char *path, struct stat *st, struct dsn *code)
{
	*code = (struct dsn){ 4, 2, 0 };
	if (fstat(fd, st) != 0)
		return strerror(errno);
	if (t->any_file) {
		*code = (struct dsn){ 5, 7, 1 };
		return S_ISREG(st->st_mode) && (st->st_mode & 0111) ? "file is executable" : NULL;
	}
	if (!S_ISREG(st->st_mode)) {
		*code = (struct dsn){ 5, 2, 0 };
		return arena_printf(t->d->mem, "destination %s is not a regular file", path);
	}
	if (st->st_nlink != 1)
		return "target file status changed unexpectedly";
	if (t->strict_owner && st->st_uid != t->user.uid) {
		log_warning("specify \"strict_mailbox_ownership = no\" to ignore mailbox ownership mismatch");
		return arena_printf(t->d->mem, "destination %s is not owned by recipient", path);
	}
	return NULL;
}

/* With the file open and the user's rights taken. */
static struct dsn_text
append_to(int fd, const char *path, const struct mailbox_target *t)
{
	struct writer w = { .fd = fd };
	struct stat st;
	struct dsn code;
	struct err e = {0};
	const char *why = objection(t, fd, path, &st, &code);

	if (why != NULL)
		return mbox_failure(t, path, code, why);
	if (!mailbox_lock_file(fd, t->lock_styles))
		return mbox_failure(t, path, (struct dsn){ 4, 2, 0 },
		    arena_printf(t->d->mem, "unable to lock for exclusive access: %s", strerror(errno)));
	bool regular = S_ISREG(st.st_mode);
	off_t end = regular ? lseek(fd, 0, SEEK_END) : 0;

	w.limit = t->size_limit > 0 && regular ? (end < t->size_limit ? t->size_limit - end : 1) : 0;
	bool ok = copy_message(&w, t, true, &e) || (!regular && !w.failed && e.kind == ERR_NONE);
	int error = errno;

	buf_free(&w.out);
	if (ok)
		return (struct dsn_text){ .code = { 2, 0, 0 }, .action = "delivered",
		    .reason = t->any_file ? span_str(arena_printf(t->d->mem, "delivered to file: %s", path)) :
		    SPAN("delivered to mailbox") };
	if (regular && ftruncate(fd, end) != 0)
		log_warning("%s: cannot cut back after a failed delivery: %s", path, strerror(errno));
	if (e.kind != ERR_NONE)
		return mbox_failure(t, path, (struct dsn){ 4, 3, 0 }, e.text);
	return mbox_failure(t, path, errno_code(error, write_code), write_text(t, error));
}

/* Made only where nothing is, not even a link. Opening for creation what is there would need more rights in a sticky directory. */
static int
open_mbox(const char *path, const struct mailbox_target *t, const char **what)
{
	const int flags = O_RDWR | O_APPEND | O_CLOEXEC | O_NONBLOCK | (t->any_file ? 0 : O_NOFOLLOW);
	int fd = open(path, flags);

	*what = "cannot open file";
	if (fd >= 0 || errno != ENOENT)
		return fd;
	fd = open(path, flags | O_CREAT | O_EXCL, 0600);
	if (fd < 0 && errno == EEXIST)
		errno = ENOENT;		/* a link to nothing */
	else if (fd < 0)
		*what = "cannot create file exclusively";
	return fd;
}

struct dsn_text
mailbox_append(const char *path, const struct mailbox_target *t)
{
	char lock[1100];
	bool dot = mailbox_lock_has(t->lock_styles, "dotlock");
	struct dsn_text result;

	(void)snprintf(lock, sizeof lock, "%s.lock", path);
	if (dot && !mailbox_lock_dot(lock)) {
		if (errno == EEXIST || !t->any_file)
			return mbox_failure(t, path, errno_code(errno, (struct dsn){ 4, 2, 0 }),
			    arena_printf(t->d->mem, "unable to create lock file %s: %s", lock, strerror(errno)));
		dot = false;
	}
	const char *what;
	int fd = open_mbox(path, t, &what);
	int error = errno;

	if (fd >= 0) {
		result = append_to(fd, path, t);
		(void)close(fd);
	} else {
		result = mbox_failure(t, path, open_code(t, error), arena_printf(t->d->mem, "%s: %s", what, strerror(error)));
	}
	if (dot)
		(void)unlink(lock);
	return result;
}

static bool
make_path(char *path)
{
	for (char *p = strchr(path + 1, '/'); p != NULL; p = strchr(p + 1, '/')) {
		*p = '\0';
		bool ok = mkdir(path, 0700) == 0 || errno == EEXIST;

		*p = '/';
		if (!ok)
			return false;
	}
	return true;
}

/* tmp, new and cur; made when missing. */
static bool
make_maildir(const char *path)
{
	static const char *const subdirs[] = { "tmp/", "new/", "cur/" };
	char sub[1100];

	for (size_t i = 0; i < 3; i++) {
		(void)snprintf(sub, sizeof sub, "%s%s", path, subdirs[i]);
		if (!make_path(sub))
			return false;
	}
	return true;
}

static bool
sync_directory(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && fsync(fd) == 0;

	if (fd >= 0)
		(void)close(fd);
	return ok;
}

#define FINAL_SIZE	1200u

/* Written and synced in tmp/: give it its final name, and sync that as well, so that it survives the queue file. */
static bool
publish(const char *path, const char *temp, int fd, struct timeval now, const char *host, char final[FINAL_SIZE])
{
	char dir[1100];
	struct stat st;

	if (fstat(fd, &st) != 0)
		return false;
	(void)snprintf(final, FINAL_SIZE, "%snew/%lu.V%lxI%lxM%lu.%s", path, (unsigned long)now.tv_sec,
	    (unsigned long)st.st_dev, (unsigned long)st.st_ino, (unsigned long)now.tv_usec, host);
	(void)snprintf(dir, sizeof dir, "%snew", path);
	if (link(temp, final) != 0)
		return false;
	if (sync_directory(dir))
		return true;
	const int error = errno;

	(void)unlink(final);		/* it counts as not delivered, so it may not be there */
	errno = error;
	return false;
}

struct dsn_text
maildir_deliver(const char *path, const struct mailbox_target *t)
{
	static unsigned count;
	char temp[1200], final[FINAL_SIZE] = "", host[256] = "localhost";
	struct timeval now = clock_wall();
	struct writer w = { .limit = t->size_limit };
	struct err e = {0};

	(void)gethostname(host, sizeof host - 1);
	(void)snprintf(temp, sizeof temp, "%stmp/%lu.P%d_%u.%s", path, (unsigned long)now.tv_sec, (int)getpid(), count++, host);
	w.fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (w.fd < 0 && errno == ENOENT && make_maildir(path))
		w.fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (w.fd < 0) {
		int error = errno;

		if (error == EACCES)
			log_warning("maildir access problem for UID/GID=%u/%u: create maildir file %s: %s", t->user.uid, t->user.gid,
			    temp, strerror(error));
		return dsn_printf(t->d->mem, open_code(t, error), "maildir delivery failed: create maildir file %s: %s", temp,
		    strerror(error));
	}
	bool written = copy_message(&w, t, false, &e), ok = written && publish(path, temp, w.fd, now, host, final);
	int error = errno;

	buf_free(&w.out);
	(void)close(w.fd);
	(void)unlink(temp);
	if (ok)
		return (struct dsn_text){ .code = { 2, 0, 0 }, .action = "delivered", .reason = SPAN("delivered to maildir") };
	if (e.kind != ERR_NONE)
		return dsn_printf(t->d->mem, (struct dsn){ 4, 3, 0 }, "maildir delivery failed: %s", e.text);
	if (written)
		return dsn_printf(t->d->mem, open_code(t, error), "maildir delivery failed: create maildir file %s: %s", final,
		    strerror(error));
	return dsn_printf(t->d->mem, errno_code(error, write_code), "maildir delivery failed: %s", write_text(t, error));
}
