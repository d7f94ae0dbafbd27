/*
 * pickup.c - pickup(8): takes local submissions from maildrop/ and hands them to cleanup(8).
 * Trusts no file in maildrop: any local user may have made it. Owner, mode and every record are checked; a file that
 * cleanup has not accepted stays where it is, a file that can never be accepted is removed with a warning.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "mail/cleanup_client.h"
#include "mail/delivery_log.h"
#include "mail/queue.h"
#include "mail/rec.h"
#include "service/service.h"

struct submission {
	const char *id;			/* in maildrop */
	struct stat st;
	bool requeued;			/* by postsuper -r: made by cleanup once, now owned by mail_owner */
	struct arena *mem;
	struct cleanup_client *out;
	struct span sender;
	bool have_sender, context_seen;
};

static bool
by_mail_owner(uid_t uid)
{
	static uid_t owner;
	static bool known;

	if (!known) {
		const struct passwd *pw = getpwnam(conf.mail_owner);

		owner = pw != NULL ? pw->pw_uid : geteuid();
		known = true;
	}
	return uid == owner || (uid == geteuid() && geteuid() != 0);
}

/* Attributes that a submitter may set. Everything else of his is ignored. */
static bool
is_allowed(const struct submission *s, struct span name, struct span value)
{
	static const char *const always[] = { "encoding", "envelope_id", "ret_flags", "notify_flags", "dsn_orig_rcpt", "trace_flags" };

	for (size_t i = 0; i < sizeof always / sizeof *always; i++)
		if (span_is(name, always[i]))
			return true;
	if (span_is(name, "rewrite_context"))
		return span_is(value, "local") || span_is(value, "remote");
	return s->requeued && !span_is(name, "create_time");
}

/* Headers are completed, unless the submitter or an earlier queue file says otherwise. */
static void
put_context(struct submission *s)
{
	if (!s->requeued && !s->context_seen)
		cleanup_attr(s->out, "rewrite_context", SPAN("local"));
	s->context_seen = true;
}

static void
envelope_record(struct submission *s, const struct rec *r)
{
	struct span name, value;

	switch (r->type) {
	case REC_FROM:
		s->sender = span_copy(r->payload, s->mem);
		s->have_sender = true;
		put_context(s);
		cleanup_rec(s->out, REC_FROM, r->payload);
		break;
	case REC_ATTR:
		if (!rec_parse_attr(r->payload, &name, &value) || !is_allowed(s, name, value))
			break;
		s->context_seen = s->context_seen || span_is(name, "rewrite_context");
		cleanup_rec(s->out, REC_ATTR, r->payload);
		break;
	case REC_FULL_NAME:
		put_context(s);
		cleanup_rec(s->out, REC_FULL_NAME, r->payload);
		break;
	case REC_RCPT:
	case REC_ORIG_RCPT:
	case REC_VERP:
		cleanup_rec(s->out, (char)r->type, r->payload);
		break;
	default:
		break;			/* C T and what is done already */
	}
}

static void
put_arrival(struct submission *s, const struct rec *r)
{
	if (r->type == REC_TIME)
		cleanup_rec(s->out, REC_TIME, r->payload);
	else
		cleanup_rec(s->out, REC_TIME, span_str(arena_printf(s->mem, "%ld 0", (long)s->st.st_mtime)));
	if (conf.content_filter[0] != '\0')
		cleanup_rec(s->out, REC_FILTER, span_str(conf.content_filter));
}

static void
received_header(struct submission *s)
{
	char date[64];

	clock_mail_date(s->st.st_mtime, date, sizeof date);
	(void)cleanup_text(s->out, span_str(arena_printf(s->mem, "Received: by %s (%s, from userid %u)\n\tid %s; %s\n",
	    conf.myhostname, conf.mail_name, s->st.st_uid, cleanup_queue_id(s->out), date)));
}

/* Envelope up to the M record. False: *e says what is wrong with the file. */
static bool
copy_envelope(struct submission *s, struct rec_reader *in, struct err *e)
{
	struct rec r;
	bool first = true;

	while (rec_next(in, &r, e)) {
		if (r.type == REC_MESSAGE)
			return s->have_sender || err_perm(e, "no sender before the message content");
		if (!rec_type_in(r.type, rec_types_envelope) || r.type == REC_POINTER)
			return err_perm(e, "unexpected record type %d", r.type);
		if (r.type == REC_SIZE)
			continue;
		if (first)
			put_arrival(s, &r);
		first = false;
		if (r.type == REC_FROM)
			log_info("%s: uid=%u from=<%s>%s%s", cleanup_queue_id(s->out), s->st.st_uid,
			    log_address(r.payload, s->mem), s->requeued ? " orig_id=" : "", s->requeued ? s->id : "");
		envelope_record(s, &r);
	}
	return false;
}

static bool
copy_content(struct submission *s, struct rec_reader *in, struct err *e)
{
	struct rec r;

	while (rec_next(in, &r, e)) {
		if (r.type == REC_EXTRACT)
			return true;
		if (r.type != REC_NORM && r.type != REC_CONT)
			return err_perm(e, "unexpected record type %d", r.type);
		(void)cleanup_text(s->out, r.payload);
		if (r.type == REC_NORM)
			(void)cleanup_text(s->out, SPAN("\n"));
	}
	return false;
}

static bool
copy_extracted(struct submission *s, struct rec_reader *in, struct err *e)
{
	struct rec r;
	struct span name, value;

	while (rec_next(in, &r, e)) {
		if (r.type == REC_END)
			return true;
		if (!rec_type_in(r.type, rec_types_extracted))
			return err_perm(e, "unexpected record type %d", r.type);
		if (r.type == REC_RCPT || r.type == REC_ORIG_RCPT)
			cleanup_extracted(s->out, (char)r.type, r.payload);
		else if (s->requeued && (r.type == REC_FILTER || r.type == REC_REDIRECT))
			cleanup_extracted(s->out, (char)r.type, r.payload);	/* what the checks said: they are not asked again */
		else if (r.type == REC_ATTR && rec_parse_attr(r.payload, &name, &value) &&
		    (span_is(name, "notify_flags") || span_is(name, "dsn_orig_rcpt")))
			cleanup_extracted(s->out, (char)r.type, r.payload);
	}
	return false;
}

static void
remove_file(const char *id)
{
	if (!queue_unlink("maildrop", id))
		log_warning("remove maildrop/%s: %s", id, strerror(errno));
}

/* What becomes of the file when cleanup has spoken. */
static void
conclude(struct submission *s)
{
	struct span reason;
	const char *id = arena_printf(s->mem, "%s", cleanup_queue_id(s->out));
	unsigned status = cleanup_finish(&s->out, s->mem, &reason);
	const struct cleanup_verdict *v = cleanup_verdict(status);

	if (status == 0) {
		remove_file(s->id);
		return;
	}
	/* cleanup(8) has bounced what can be bounced, or has told why this must be tried again. */
	if ((status & CLEANUP_STAT_RCPT) != 0) {
		log_warning("maildrop/%s: %s -- removed", s->id, v->text);
		remove_file(s->id);
	} else if ((status & (CLEANUP_STAT_DEFER | CLEANUP_STAT_WRITE)) == 0) {
		log_warning("maildrop/%s: error writing %s: %s", s->id, id, v->text);
	}
}

static void
submit(struct submission *s, int fd)
{
	struct rec_reader in;
	struct err e = {0};
	unsigned flags = CLEANUP_FLAG_EXTERNAL | CLEANUP_FLAG_BOUNCE;

	if (s->requeued)
		flags &= ~(unsigned)(CLEANUP_FLAG_MILTER | CLEANUP_FLAG_FILTER);
	if (conf.smtputf8_enable)
		flags |= cleanup_autodetect_flag("sendmail");
	s->out = cleanup_start(flags, &e);
	if (s->out == NULL) {
		log_warning("%s -- mail stays in maildrop", e.text);
		return;
	}
	rec_reader_init(&in, fd, 0);
	bool ok = copy_envelope(s, &in, &e);

	if (ok) {
		received_header(s);
		ok = copy_content(s, &in, &e) && copy_extracted(s, &in, &e);
	}
	rec_reader_free(&in);
	if (ok) {
		conclude(s);
		return;
	}
	cleanup_cancel(&s->out);
	log_warning("maildrop/%s: %s", s->id, e.text);
	if (e.kind == ERR_PERMANENT) {
		log_warning("saving corrupt file \"%s\" from queue \"maildrop\" to queue \"corrupt\"", s->id);
		(void)queue_rename(s->id, "maildrop", "corrupt");
	}
}

static void
one_file(const char *id, struct arena *mem)
{
	struct submission s = { .id = id, .mem = mem };
	int fd = queue_open("maildrop", id, O_RDONLY | O_NONBLOCK, 0);

	if (fd < 0)
		return;
	if (fstat(fd, &s.st) == 0 && S_ISREG(s.st.st_mode) && (s.st.st_mode & 0700) == QUEUE_MODE_READY) {
		s.requeued = by_mail_owner(s.st.st_uid) && (s.st.st_mode & S_IROTH) == 0;
		submit(&s, fd);
	}
	(void)close(fd);
}

static void
serve(struct session *session)
{
	struct queue_scan *scan;
	const char *id;

	(void)session;			/* the trigger's bytes mean nothing: any byte asks for a scan */
	scan = queue_scan_open("maildrop");
	while (queue_scan_next(scan, &id)) {
		struct arena *mem = arena_new();

		one_file(span_cstr(span_str(id), mem), mem);
		arena_free(&mem);
	}
	queue_scan_close(&scan);
}

static const struct service pickup = {
	.name = "pickup",
	.kind = SERVICE_SINGLE,
	.flags = SERVICE_ONE,
	.serve = serve,
};

int
main(int argc, char **argv)
{
	return service_main(&pickup, argc, argv);
}
