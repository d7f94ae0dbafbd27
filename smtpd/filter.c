/*
 * filter.c - client of a before-queue content filter: one connection and one transaction a message, one command at a time.
 * The filter is the administrator's, its replies are data all the same: limited in size and time. What it gets is
 * canonical: each line ends in CR LF and has no other CR or LF, dots are doubled.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "map/peer.h"
#include "smtp/reply.h"
#include "smtpd/filter.h"
#include "smtpd/smtpd.h"

#define CHUNK		65536u
#define SPOOL		"incoming"	/* where the content waits with speed_adjust, in a file without a name */

const char filter_trouble[] = "451 4.3.0 Error: queue file write error";

struct rcpt {
	struct span args;
	struct rcpt *next;
};

struct filter {
	struct stream *stream;		/* NULL: not connected */
	bool failed;			/* of no more use for this message */
	bool announced;			/* XFORWARD, with the attributes in offers */
	struct span offers;
	struct smtp_reply reply;
	struct smtp_dot_out dot;
	struct buf out;			/* encoded content */
	int spool;			/* -1: content goes to the filter as it comes */
	struct rcpt *first, **last;	/* speed_adjust: what will be said */
};

static bool wanted, late, is_local;
static const char *where;

void
filter_init(void)
{
	struct span in = span_str(conf.smtpd_proxy_options), word, to = span_str(conf.smtpd_proxy_filter);

	wanted = to.n > 0;
	while (span_take_word(&in, ", \t\r\n", &word)) {
		if (!span_iis(word, "speed_adjust"))
			log_fatal("smtpd_proxy_options: unknown option: %.*s; specify speed_adjust or nothing", SPAN_ARG(word));
		late = true;
	}
	is_local = span_take(&to, SPAN("unix:"));
	if (!is_local)
		(void)span_take(&to, SPAN("inet:"));
	where = to.p;
}

bool
filter_wanted(void)
{
	return wanted;
}

/* --- one command, one reply --- */

static bool
fail(struct filter *f, const char *what)
{
	if (!f->failed && what != NULL)
		log_warning("%s proxy %s", what, conf.smtpd_proxy_filter);
	f->failed = true;
	return false;
}

static bool
read_reply(struct filter *f)
{
	struct span line;

	smtp_reply_reset(&f->reply);
	stream_set_deadline(f->stream, clock_ms() + conf.smtpd_proxy_timeout * INT64_C(1000));
	for (;;) {
		enum smtp_reply_state state;

		if (!stream_line(f->stream, SMTP_REPLY_LINE_MAX, &line))
			return fail(f, stream_state(f->stream) == STREAM_TIMEOUT ? "timeout talking to" : "lost connection with");
		state = smtp_reply_line(&f->reply, line);
		switch (f->reply.garbage ? SMTP_REPLY_DONE : state) {
		case SMTP_REPLY_MORE:
			continue;
		case SMTP_REPLY_ENDLESS:
			return fail(f, "endless reply from");
		case SMTP_REPLY_DONE:
			break;
		}
		if (!f->reply.garbage && f->reply.code >= 200 && f->reply.code < 600)
			return true;
		log_warning("received garbage from proxy %s: %.100s", conf.smtpd_proxy_filter, buf_cstr(&f->reply.text));
		return fail(f, NULL);
	}
}

/* Say a line and read the answer. False: the filter has failed. */
static bool
say(struct filter *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static bool
say(struct filter *f, const char *fmt, ...)
{
	struct buf b = {0};
	va_list ap;
	bool ok;

	if (f->failed)
		return false;
	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	stream_set_deadline(f->stream, clock_ms() + conf.smtpd_proxy_timeout * INT64_C(1000));
	stream_put(f->stream, buf_view(&b));
	stream_puts(f->stream, "\r\n");
	ok = stream_flush(f->stream) ? read_reply(f) : fail(f, "lost connection with");
	buf_free(&b);
	return ok;
}

/* The filter's reply as it is, for the client. */
static const char *
its_reply(struct smtpd *s, struct filter *f)
{
	struct span in = buf_view(&f->reply.text), line;
	struct buf b = {0};
	const char *text;

	while (span_take_line(&in, &line)) {
		if (b.n > 0)
			buf_str(&b, "\r\n");
		buf_span(&b, line);
	}
	text = span_cstr(buf_view(&b), s->tmem);
	buf_free(&b);
	return text;
}

/* Say a command whose reply must be of that class: NULL, or the reply for the client. */
static const char *
command(struct smtpd *s, int class, const char *name, struct span args)
{
	struct filter *f = s->filter;
	const char *line = arena_printf(s->work, "%s%s%.*s", name, args.n > 0 ? " " : "", SPAN_ARG(args)), *reply;

	if (!say(f, "%s", line))
		return filter_trouble;
	if (f->reply.code / 100 == class)
		return NULL;
	reply = its_reply(s, f);
	log_warning("proxy %s rejected \"%s\": \"%s\"", conf.smtpd_proxy_filter, line, reply);
	return reply;
}

/* --- the dialogue --- */

/* The EHLO reply's XFORWARD line. */
static void
find_offers(struct smtpd *s, struct filter *f)
{
	struct span in = buf_view(&f->reply.text), line, word;

	while (span_take_line(&in, &line)) {
		line = span_from(line, 4);
		if (!span_take_word(&line, " ", &word) || !span_iis(word, "XFORWARD"))
			continue;
		f->announced = true;
		f->offers = span_copy(line, s->tmem);
	}
}

static bool
offered(const struct filter *f, const char *name)
{
	struct span in = f->offers, word;

	while (span_take_word(&in, " ", &word))
		if (span_iis(word, name))
			return true;
	return false;
}

static void
put_attribute(struct smtpd *s, struct buf *b, const char *name, const char *value)
{
	const bool known = value != NULL && *value != '\0' && strcmp(value, "unknown") != 0;

	if (!offered(s->filter, name))
		return;
	if (known)
		buf_printf(b, " %s=%.*s", name, SPAN_ARG(smtp_xtext_encode(span_str(value), s->work)));
	else
		buf_printf(b, " %s=[UNAVAILABLE]", name);
}

static const char *
address_text(struct smtpd *s, const char *address)
{
	return strchr(address, ':') == NULL ? address : arena_printf(s->work, "IPv6:%s", address);
}

/* What XFORWARD said to us, or else what we know. Refused: of no matter. */
static bool
say_origin(struct smtpd *s, struct filter *f)
{
	const struct smtpd_origin *o = &s->origin;
	const bool given = o->has_client;
	struct buf b = {0};
	bool ok = true;

	put_attribute(s, &b, "NAME", given ? o->name : s->client.name);
	put_attribute(s, &b, "ADDR", address_text(s, given ? o->address : s->client.address));
	put_attribute(s, &b, "PORT", given ? o->port : s->client.port);
	put_attribute(s, &b, "HELO", given ? o->helo : s->helo);
	put_attribute(s, &b, "IDENT", o->ident);
	put_attribute(s, &b, "PROTO", given ? o->protocol : s->protocol);
	put_attribute(s, &b, "SOURCE", strcmp(s->rewrite_context, "local") == 0 ? "LOCAL" : "REMOTE");
	if (b.n > 0)
		ok = say(f, "XFORWARD%s", buf_cstr(&b));
	buf_free(&b);
	return ok;
}

static bool
dial(struct filter *f)
{
	const int fd = peer_dial(where, is_local, conf.smtpd_proxy_timeout * INT64_C(1000));

	if (fd < 0) {
		log_warning("connect to proxy filter %s: %s", conf.smtpd_proxy_filter, strerror(errno));
		return fail(f, NULL);
	}
	f->stream = stream_new(fd);
	stream_set_timeout(f->stream, conf.smtpd_proxy_timeout * INT64_C(1000));
	return true;
}

static const char *
start(struct smtpd *s)
{
	struct filter *f = s->filter;

	if (!dial(f) || !read_reply(f))
		return filter_trouble;
	if (f->reply.code / 100 != 2 || !say(f, "EHLO %s", conf.smtpd_proxy_ehlo) || f->reply.code / 100 != 2) {
		(void)fail(f, "bad greeting of");
		return filter_trouble;
	}
	find_offers(s, f);
	if (f->announced && !say_origin(s, f))
		return filter_trouble;
	return command(s, 2, "MAIL", s->mail_args);
}

/* For the postmaster: a filter that does not work is trouble of ours; a message that it refuses is policy. */
static const char *
judged(struct smtpd *s, const char *reply, unsigned refusal)
{
	if (reply != NULL && reply[0] != '2')
		smtpd_trouble(s, reply == filter_trouble ? TROUBLE_SOFTWARE : refusal);
	return reply;
}

const char *
filter_open(struct smtpd *s)
{
	struct filter *f = calloc(1, sizeof *f);
	const char *reply;

	if (f == NULL)
		log_out_of_memory();
	f->spool = -1;
	f->last = &f->first;
	s->filter = f;
	if (late) {
		f->spool = open(SPOOL, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
		if (f->spool >= 0)
			return NULL;
		log_warning("cannot make a temporary file in %s: %s", SPOOL, strerror(errno));
		filter_close(s);
		return judged(s, filter_trouble, 0);
	}
	if ((reply = start(s)) != NULL)
		filter_close(s);
	return judged(s, reply, 0);
}

const char *
filter_rcpt(struct smtpd *s, struct span args)
{
	struct filter *f = s->filter;
	struct rcpt *r;

	if (f->spool < 0)
		return judged(s, command(s, 2, "RCPT", args), 0);
	r = ARENA_NEW(s->tmem, struct rcpt);
	r->args = span_copy(args, s->tmem);
	*f->last = r;
	f->last = &r->next;
	return NULL;
}

const char *
filter_data(struct smtpd *s)
{
	return s->filter->spool < 0 ? judged(s, command(s, 3, "DATA", SPAN_NULL), 0) : NULL;
}

static void
pass_on(struct filter *f)
{
	if (f->spool >= 0) {
		const char *p = f->out.p;

		for (size_t left = f->out.n; left > 0 && !f->failed;) {
			const ssize_t n = write(f->spool, p, left);

			if (n <= 0) {
				log_warning("write temporary file: %s", strerror(errno));
				f->failed = true;
				break;
			}
			p += n;
			left -= (size_t)n;
		}
	} else if (!f->failed) {
		stream_set_deadline(f->stream, clock_ms() + conf.smtpd_proxy_timeout * INT64_C(1000));
		stream_put(f->stream, buf_view(&f->out));
		if (stream_state(f->stream) != STREAM_OK)
			(void)fail(f, "lost connection with");
	}
	buf_reset(&f->out);
}

void
filter_text(struct smtpd *s, struct span text)
{
	struct filter *f = s->filter;

	while (text.n > 0 && !f->failed) {
		const size_t lf = span_find(text, '\n');

		smtp_dot_encode(&f->dot, span_to(text, lf), lf < text.n, &f->out);
		text = span_from(text, lf < text.n ? lf + 1 : lf);
		if (f->out.n >= CHUNK)
			pass_on(f);
	}
}

/* speed_adjust: everything that was kept back. */
static const char *
replay(struct smtpd *s)
{
	struct filter *f = s->filter;
	const int fd = f->spool;
	char block[CHUNK];
	const char *reply;
	off_t at = 0;
	ssize_t n;

	f->spool = -1;
	reply = start(s);
	for (const struct rcpt *r = f->first; reply == NULL && r != NULL; r = r->next)
		reply = filter_rcpt(s, r->args);
	if (reply == NULL)
		reply = filter_data(s);
	while (reply == NULL && !f->failed && (n = pread(fd, block, sizeof block, at)) > 0) {
		buf_add(&f->out, block, (size_t)n);
		pass_on(f);
		at += n;
	}
	(void)close(fd);
	return reply;
}

const char *
filter_end(struct smtpd *s)
{
	struct filter *f = s->filter;
	const char *reply;

	smtp_dot_end(&f->dot, &f->out);
	pass_on(f);
	if (!f->failed && f->spool >= 0 && (reply = replay(s)) != NULL)
		return judged(s, reply, TROUBLE_POLICY);
	if (f->failed || !stream_flush(f->stream) || !read_reply(f))
		return judged(s, filter_trouble, 0);
	return judged(s, its_reply(s, f), TROUBLE_POLICY);
}

void
filter_close(struct smtpd *s)
{
	struct filter *f = s->filter;

	if (f == NULL)
		return;
	s->filter = NULL;
	if (f->stream != NULL && !f->failed) {		/* its answer is of no interest */
		stream_puts(f->stream, "QUIT\r\n");
		(void)stream_flush(f->stream);
	}
	stream_free(&f->stream);
	if (f->spool >= 0)
		(void)close(f->spool);
	smtp_reply_free(&f->reply);
	buf_free(&f->out);
	free(f);
}
