/*
 * postdrop.c - postdrop(1): set-gid program that creates a file in maildrop/ from a record stream on standard input.
 * Trusts nobody: runs with a clean environment, checks every record, removes its file when anything goes wrong.
 * Signal handlers only unlink by a path that never changes after it was set.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/conf.h"
#include "io/file.h"
#include "mail/cleanup_client.h"
#include "mail/queue.h"
#include "mail/rec.h"
#include "mail/trigger.h"
#include "mail/user_acl.h"
#include "postdrop/postdrop.h"
#include "service/setgid.h"

#define READ_CHUNK	65536u

static char drop_path[QUEUE_PATH_MAX];		/* "" while there is nothing to remove */

static void
remove_and_exit(int sig)
{
	if (drop_path[0] != '\0')
		(void)unlink(drop_path);
	_exit(128 + sig);
}

static void
remove_file(void)
{
	if (drop_path[0] != '\0')
		(void)unlink(drop_path);
	drop_path[0] = '\0';
}

static void
catch_signals(void)
{
	static const int signals[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };
	struct sigaction action = { .sa_handler = remove_and_exit };

	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		(void)sigaction(signals[i], &action, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN);
}

static void
check_user(void)
{
	struct arena *mem = arena_new();
	const char *name = user_name(getuid(), mem);

	if (!user_allowed("authorized_submit_users", conf.authorized_submit_users, name))
		log_fatal("User %s(%u) is not allowed to submit mail", name, getuid());
	arena_free(&mem);
}

static const struct segment {
	const char *types;
	enum rec_type last;		/* ends the segment */
} segments[] = {
	{ "MCFSRVAinT", REC_MESSAGE }, { "XLN", REC_EXTRACT }, { "EAR", REC_END },
};

static bool
attribute_allowed(struct span payload)
{
	static const char *const names[] = { "encoding", "rewrite_context", "envelope_id", "ret_flags", "notify_flags",
	    "dsn_orig_rcpt", "trace_flags" };
	struct span name, value;

	if (!rec_parse_attr(payload, &name, &value))
		return false;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (span_is(name, names[i]))
			return true;
	return false;
}

struct drop {
	int fd;
	char id[QUEUE_ID_MAX];
	struct buf out;
	size_t segment;
	bool failed, ended, any;
	long written;
	struct arena *mem;
	bool has_sender;
	unsigned refused;		/* CLEANUP_STAT_*: this user may not give that sender */
	const char *reason;
};

static void
drain(struct drop *d)
{
	d->written += (long)d->out.n;
	if (conf.message_size_limit > 0 && d->written > conf.message_size_limit) {
		errno = EFBIG;
		d->failed = true;
	} else if (!file_write_all(d->fd, d->out.p, d->out.n)) {
		d->failed = true;
	}
	if (d->failed)
		log_warning("uid=%u: %s", getuid(), strerror(errno));
	buf_reset(&d->out);
}

static void
take_record(struct drop *d, const struct rec *r)
{
	const struct segment *s = &segments[d->segment];

	if (!rec_type_in(r->type, s->types)) {
		remove_file();
		log_fatal("uid=%u: unexpected record type: %d", getuid(), r->type);
	}
	d->any = true;
	if (r->type == REC_TIME)
		return;			/* ours stands in the file */
	if (r->type == REC_ATTR && !attribute_allowed(r->payload)) {
		log_warning("uid=%u: ignoring attribute record: %.*s", getuid(), SPAN_ARG(r->payload));
		return;
	}
	if (d->segment != 1 && (span_has(r->payload, '\n') || span_has(r->payload, '\r') || span_has(r->payload, '\0'))) {
		remove_file();
		log_fatal("uid=%u: malformed input", getuid());
	}
	if (r->type == REC_FROM) {
		d->has_sender = true;
		d->refused |= sender_check(r->payload, d->mem, &d->reason);
	}
	rec_put(&d->out, r->type, r->payload);
	if (d->out.n > READ_CHUNK)
		drain(d);
	if (r->type == REC_END)
		d->ended = true;
	else if (r->type == s->last)
		d->segment++;
}

static void
too_long(const struct buf *in)
{
	struct span s = buf_view(in);
	bool bad = s.n >= 6 && (s.p[1] & s.p[2] & s.p[3] & s.p[4] & 0x80);

	if (!bad && s.n <= (size_t)1 << 20)
		return;
	remove_file();
	log_fatal("uid=%u: malformed input", getuid());
}

/* All records of standard input. True: the end record has come. */
static bool
read_records(struct drop *d)
{
	struct buf in = {0};
	ssize_t n;

	while (!d->ended && !d->failed) {
		struct span rest = buf_view(&in);
		struct rec r;

		while (!d->ended && !d->failed && rest.n > 0 && rec_take(&rest, &r))
			take_record(d, &r);
		buf_drop(&in, in.n - rest.n);
		if (d->ended || d->failed)
			break;
		too_long(&in);
		buf_reserve(&in, READ_CHUNK);
		do {
			n = read(STDIN_FILENO, in.p + in.n, READ_CHUNK);
		} while (n < 0 && errno == EINTR);
		if (n <= 0)
			break;
		in.n += (size_t)n;
	}
	if (!d->ended && in.n > 0)
		log_warning("stdin: unexpected EOF in data, record type %d length %zu", in.p[0], in.n);
	buf_free(&in);
	return d->ended;
}

static void
put_attr(bool binary, const char *name, const char *value)
{
	if (binary)
		(void)printf("%s%c%s%c", name, '\0', value, '\0');
	else
		(void)printf("%s %s ", name, value);
}

static void
end_attrs(bool binary)
{
	(void)putchar(binary ? '\0' : '\n');
	(void)fflush(stdout);
}

static void
say_status(bool binary, unsigned status, const char *reason)
{
	char number[16];

	(void)snprintf(number, sizeof number, "%u", status);
	put_attr(binary, "status", number);
	put_attr(binary, "reason", reason);
	end_attrs(binary);
}

/* Mode and sync: from now on pickup may take it. */
static bool
commit(struct drop *d)
{
	drain(d);
	if (d->failed)
		return false;
	if (fchmod(d->fd, QUEUE_MODE_READY | S_IRGRP | S_IROTH) == 0 && fsync(d->fd) == 0)
		return true;
	log_warning("uid=%u: %s: %s", getuid(), drop_path, strerror(errno));
	return false;
}

static int
run(bool binary)
{
	struct drop d = { .fd = -1, .mem = arena_new(), .reason = "" };
	struct timeval now;
	struct err e = {0};

	d.fd = queue_create("maildrop", 0644, &now, d.id, &e);
	if (d.fd < 0)
		log_fatal("%s", e.text);
	(void)snprintf(drop_path, sizeof drop_path, "maildrop/%s", d.id);
	put_attr(binary, "protocol", "postdrop_protocol");
	put_attr(binary, "queue_id", d.id);
	end_attrs(binary);
	rec_putf(&d.out, REC_TIME, "%ld %ld", (long)now.tv_sec, (long)now.tv_usec);
	bool complete = read_records(&d);

	if (!complete && !d.failed) {	/* the submitter has changed his mind */
		remove_file();
		return 0;
	}
	unsigned status = d.refused != 0 ? d.refused : !d.has_sender ? CLEANUP_STAT_BAD : 0;

	if (status == 0 && !commit(&d))
		status = d.failed && errno == EFBIG ? CLEANUP_STAT_SIZE : CLEANUP_STAT_WRITE;

	if (status != 0)
		remove_file();
	drop_path[0] = '\0';
	(void)close(d.fd);
	buf_free(&d.out);
	if (status == 0 && !trigger_send("public", conf.pickup_service_name, "W") && errno == ENOENT)
		log_warning("unable to look up public/%s: %s", conf.pickup_service_name, strerror(errno));
	say_status(binary, status, d.reason);
	arena_free(&d.mem);
	return (int)status;
}

int
main(int argc, char **argv)
{
	bool binary = false;
	const char *config = getenv("MAIL_CONFIG");
	int letter;

	(void)umask(022);
	log_init("postfix/postdrop", LOG_TO_STDERR);
	while ((letter = getopt(argc, argv, "+c:rv")) != -1) {
		switch (letter) {
		case 'c': config = optarg; break;
		case 'r': binary = true; break;
		case 'v': log_verbose += getuid() == 0; break;
		default: log_fatal("usage: postdrop [-c config_dir] [-v]");
		}
	}
	setgid_start("postdrop", config);
	log_set_cleanup(remove_file);
	catch_signals();
	check_user();
	return run(binary);
}
