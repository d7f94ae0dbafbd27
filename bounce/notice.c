/*
 * notice.c - builds a delivery status notification (RFC 3464) and hands it to cleanup(8).
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "bounce/bounce.h"
#include "conf/conf.h"
#include "mail/cleanup_client.h"
#include "mail/rec.h"
#include "smtp/address.h"

#define PIECE	65536u		/* bytes that are handed over at a time */
#define ROOM	64		/* bytes a recipient for what a queue file adds to lines */

static const char *const log_words[] = { [NOTICE_FAILURE] = "non-delivery", [NOTICE_DELAY] = "delay",
	[NOTICE_SUCCESS] = "delivery status", [NOTICE_VERIFY] = "delivery status" };

/* The message needs SMTPUTF8, and so does what is said about it (RFC 6533). */
static bool
is_utf8(const struct notice *n)
{
	return (n->request->sendopts & SENDOPT_SMTPUTF8) != 0;
}

/* It may pass encrypted connections only, and so may what is said about it (RFC 8689, section 5). */
static bool
needs_tls(const struct notice *n)
{
	return (n->request->sendopts & SENDOPT_REQUIRETLS) != 0;
}

/* The sender rather has it readable by others than not delivered. */
static bool
needs_no_tls(const struct notice *n)
{
	return conf.tls_required_enable && !needs_tls(n) && (n->request->sendopts & SENDOPT_TLS_NOT_REQUIRED) != 0;
}

static const char *
address_type(const struct notice *n, struct span address)
{
	return is_utf8(n) && !span_is_ascii(address) ? "utf-8" : "rfc822";
}

static bool
wants(const struct notice *n, const struct log_entry *e)
{
	if (n->postmaster || e->notify == 0)
		return true;
	if (n->kind == NOTICE_FAILURE)
		return (e->notify & DSN_NOTIFY_FAILURE) != 0;
	if (n->kind == NOTICE_DELAY)
		return (e->notify & DSN_NOTIFY_DELAY) != 0;
	return true;
}

/* The next recipient that the notice is about; *listed counts them. False: that was all, or enough. */
static bool
next_wanted(const struct notice *n, struct log_entry *e, size_t *listed)
{
	if (n->most > 0 && *listed >= n->most)
		return false;
	while (fates_next(n->fates, e))
		if (wants(n, e)) {
			++*listed;
			return true;
		}
	return false;
}

static void
put_header(const struct notice *n, struct buf *out, const struct cleanup_client *c, const char *boundary, const struct original *o)
{
	const struct template *t = template_of(n->kind);
	struct span from = template_from(t);
	char date[64];

	cleanup_put_received(c, out);
	clock_mail_date(clock_wall().tv_sec, date, sizeof date);
	buf_printf(out, "Date: %s\n", date);
	buf_printf(out, "From: %.*s\n", SPAN_ARG(from));
	buf_printf(out, "Subject: %.*s\n", SPAN_ARG(n->postmaster && t->copy_subject.n > 0 ? t->copy_subject : t->subject));
	buf_str(out, "To: ");
	address_quote_to(out, n->to);
	buf_byte(out, '\n');
	if (conf.enable_threaded_bounces && o->message_id.n > 0)
		buf_printf(out, "References: %.*s\nIn-Reply-To: %.*s\n", SPAN_ARG(o->message_id), SPAN_ARG(o->message_id));
	if (needs_no_tls(n))
		buf_str(out, "TLS-Required: no\n");
	buf_printf(out, "Auto-Submitted: %s\nMIME-Version: 1.0\n", n->postmaster ? "auto-generated" : "auto-replied");
	buf_printf(out, "Content-Type: multipart/report; report-type=delivery-status;\n\tboundary=\"%s\"\n", boundary);
	if (conf.smtputf8_enable)
		buf_str(out, "Content-Transfer-Encoding: 8bit\n");
	buf_str(out, "\nThis is a MIME-encapsulated message.\n");
}

static void
put_paragraph(const struct notice *n, struct buf *out, const struct log_entry *e)
{
	struct buf text = {0};

	buf_printf(&text, "<%.*s>", SPAN_ARG(e->recipient));
	if (e->original.n > 0)
		buf_printf(&text, " (expanded from <%.*s>)", SPAN_ARG(e->original));
	buf_str(&text, ": ");
	buf_span(&text, e->reason);
	buf_byte(out, '\n');
	text_wrap(out, buf_view(&text));
	buf_free(&text);
	(void)n;
}

/* Hand over what there is when it is worth it. */
static bool
pass_on(struct cleanup_client *c, struct buf *out)
{
	if (out->n < PIECE)
		return true;
	const bool ok = cleanup_text(c, buf_view(out));

	buf_reset(out);
	return ok;
}

static bool
put_text_part(const struct notice *n, struct buf *out, struct cleanup_client *c, const char *boundary)
{
	const struct template *t = template_of(n->kind);
	struct span charset = t->charset;
	struct log_entry e;
	size_t listed = 0, more = 0;
	bool ok = true;

	if (span_iis(charset, "us-ascii") && conf.smtputf8_enable)
		charset = SPAN("utf-8");
	buf_printf(out, "\n--%s\nContent-Description: Notification\n", boundary);
	buf_printf(out, "Content-Type: text/plain; charset=%.*s\n%s\n", SPAN_ARG(charset),
	    conf.smtputf8_enable ? "Content-Transfer-Encoding: 8bit\n" : "");
	if (!n->postmaster)
		template_expand(t, out, n->mem);
	for (fates_rewind(n->fates); ok && next_wanted(n, &e, &listed); ok = pass_on(c, out))
		put_paragraph(n, out, &e);
	while (ok && fates_next(n->fates, &e))
		more += wants(n, &e);
	if (more > 0)
		buf_printf(out, "\n(And %zu more recipients: a report that names them all would be larger than a message may be.)\n", more);
	fates_rewind(n->fates);
	if (!fates_next(n->fates, &e))
		buf_str(out, "\n\t--- Delivery report unavailable ---\n");
	buf_byte(out, '\n');
	return ok;
}

static void
put_mail_name(struct buf *out)
{
	for (const char *p = conf.mail_name; *p != '\0'; p++)
		buf_byte(out, ascii_alnum(*p) ? *p : '-');
}

static void
put_sender(const struct notice *n, struct buf *out)
{
	if (n->request->sender.n > 0)
		address_quote_to(out, n->request->sender);
	else
		buf_printf(out, "MAILER-DAEMON@%s", conf.myhostname);
}

static void
put_message_fields(const struct notice *n, struct buf *out, const char *boundary, const struct original *o)
{
	char date[64];

	buf_printf(out, "--%s\nContent-Description: Delivery report\nContent-Type: message/%s\n", boundary,
	    is_utf8(n) ? "global-delivery-status\nContent-Transfer-Encoding: 8bit" : "delivery-status");
	buf_printf(out, "\nReporting-MTA: dns; %s\n", conf.myhostname);
	if (n->request->envelope_id.n > 0)
		buf_printf(out, "Original-Envelope-Id: %.*s\n", SPAN_ARG(span_printable(n->request->envelope_id, n->mem)));
	buf_str(out, "X-");
	put_mail_name(out);
	buf_printf(out, "-Queue-ID: %s\nX-", n->queue_id);
	put_mail_name(out);
	buf_printf(out, "-Sender: %s; ", address_type(n, n->request->sender));
	put_sender(n, out);
	buf_byte(out, '\n');
	if (o->arrival.tv_sec > 0) {
		clock_mail_date(o->arrival.tv_sec, date, sizeof date);
		buf_printf(out, "Arrival-Date: %s\n", date);
	}
}

static struct span
action(const struct notice *n, const struct log_entry *e)
{
	if (n->kind == NOTICE_FAILURE)
		return SPAN("failed");
	return e->action.n > 0 ? e->action : SPAN("delayed");
}

static void
put_wrapped(struct buf *out, const char *name, struct span type, struct span text)
{
	struct buf line = {0};

	buf_printf(&line, "%s: %.*s; %.*s", name, SPAN_ARG(type), SPAN_ARG(text));
	text_wrap(out, buf_view(&line));
	buf_free(&line);
}

static void
put_diagnostic(struct buf *out, const struct log_entry *e)
{
	struct buf type = {0};

	if (e->mta_type.n > 0 && e->mta_name.n > 0)
		put_wrapped(out, "Remote-MTA", e->mta_type, e->mta_name);
	if (e->diag_type.n > 0 && e->diag_text.n > 0) {
		put_wrapped(out, "Diagnostic-Code", e->diag_type, e->diag_text);
	} else {
		buf_str(&type, "X-");
		put_mail_name(&type);
		put_wrapped(out, "Diagnostic-Code", buf_view(&type), e->reason);
	}
	buf_free(&type);
}

static void
put_recipient_fields(const struct notice *n, struct buf *out, const struct log_entry *e, const struct original *o)
{
	char date[64];

	buf_printf(out, "\nFinal-Recipient: %s; %.*s\n", address_type(n, e->recipient), SPAN_ARG(e->recipient));
	if (e->dsn_orcpt.n > 0)
		buf_printf(out, "Original-Recipient: %.*s\n", SPAN_ARG(e->dsn_orcpt));
	else if (e->original.n > 0)
		buf_printf(out, "Original-Recipient: %s; %.*s\n", address_type(n, e->original), SPAN_ARG(e->original));
	buf_printf(out, "Action: %.*s\nStatus: %.*s\n", SPAN_ARG(action(n, e)), SPAN_ARG(e->status));
	put_diagnostic(out, e);
	if (n->kind == NOTICE_DELAY && o->arrival.tv_sec > 0) {
		clock_mail_date(o->arrival.tv_sec + conf.maximal_queue_lifetime, date, sizeof date);
		buf_printf(out, "Will-Retry-Until: %s\n", date);
	}
}

static bool
put_piece(void *arg, struct span text)
{
	return cleanup_text(arg, text);
}

static bool
headers_only(const struct notice *n, const struct original *o)
{
	if (!n->full || o->fd < 0 || n->most > 0 || (needs_tls(n) && conf.requiretls_redact_dsn))
		return true;
	return conf.bounce_size_limit > 0 && o->cont_length > conf.bounce_size_limit;
}

static bool
put_original(const struct notice *n, struct cleanup_client *c, const char *boundary, const struct original *o)
{
	struct buf out = {0};
	bool head = headers_only(n, o), reports = n->kind == NOTICE_SUCCESS || n->kind == NOTICE_VERIFY;

	buf_printf(&out, "\n--%s\nContent-Description: %s\n", boundary, reports ? "Message Headers" :
	    head ? "Undelivered Message Headers" : "Undelivered Message");
	buf_printf(&out, "Content-Type: %s\n", is_utf8(n) ? (head ? "message/global-headers" : "message/global") :
	    head ? "text/rfc822-headers" : "message/rfc822");
	if (conf.smtputf8_enable)
		buf_str(&out, "Content-Transfer-Encoding: 8bit\n");
	if (o->fd < 0) {
		buf_str(&out, "\n\t--- Undelivered message unavailable ---\n");
	} else {
		buf_str(&out, "\nReturn-Path: <");
		put_sender(n, &out);
		buf_str(&out, ">\n");
	}
	bool ok = cleanup_text(c, buf_view(&out));

	buf_free(&out);
	if (o->fd >= 0)
		ok = ok && original_copy(o, head, put_piece, c);
	return ok && cleanup_text(c, span_str(arena_printf(n->mem, "\n--%s--\n", boundary)));
}

static void
put_envelope(const struct notice *n, struct cleanup_client *c)
{
	cleanup_attr(c, "log_message_origin", SPAN("local"));
	cleanup_attr(c, "trace_flags", SPAN("0"));
	cleanup_rec(c, REC_FROM, n->from);
	cleanup_rec(c, REC_ORIG_RCPT, n->to);
	cleanup_rec(c, REC_RCPT, n->to);
}

static bool
write_notice(const struct notice *n, struct cleanup_client *c)
{
	struct original o;
	struct buf out = {0};
	struct log_entry e;
	size_t listed = 0;
	const char *boundary = arena_printf(n->mem, "%s.%ld/%s", n->queue_id, (long)clock_wall().tv_sec, conf.myhostname);

	original_open(&o, n->queue_name, n->queue_id);
	if (conf.enable_threaded_bounces)
		original_message_id(&o, n->mem);
	put_envelope(n, c);
	put_header(n, &out, c, boundary, &o);
	bool ok = put_text_part(n, &out, c, boundary);

	put_message_fields(n, &out, boundary, &o);
	for (fates_rewind(n->fates); ok && next_wanted(n, &e, &listed); ok = pass_on(c, &out))
		put_recipient_fields(n, &out, &e, &o);
	ok = ok && cleanup_text(c, buf_view(&out)) && put_original(n, c, boundary, &o);

	buf_free(&out);
	original_close(&o);
	return ok;
}

static bool
nobody_wants(const struct notice *n)
{
	struct log_entry e;
	size_t listed = 0;

	fates_rewind(n->fates);
	if (!fates_next(n->fates, &e) || wants(n, &e))
		return false;
	return !next_wanted(n, &e, &listed);
}

/* How many recipients can be named in half of what a message may have; the rest is for header, texts and the original's header. */
static size_t
fitting(const struct notice *n)
{
	const struct original unknown = { .fd = -1 };
	size_t listed = 0, bytes = 0;
	struct buf text = {0};
	struct log_entry e;

	fates_rewind(n->fates);
	while (next_wanted(n, &e, &listed)) {
		buf_reset(&text);
		put_paragraph(n, &text, &e);
		put_recipient_fields(n, &text, &e, &unknown);
		bytes += text.n + ROOM;
		if (bytes > (size_t)conf.message_size_limit / 2)
			break;
	}
	buf_free(&text);
	return listed;
}

/* CLEANUP_STAT_*; nothing is queued unless it is 0. */
static unsigned
attempt(const struct notice *n)
{
	struct err e = {0};
	struct span reason;
	struct cleanup_client *c = cleanup_start(cleanup_internal_flags("bounce") | (is_utf8(n) ? CLEANUP_FLAG_SMTPUTF8 : 0u) |
	    (needs_tls(n) ? CLEANUP_FLAG_REQUIRETLS : 0u), &e);

	if (c == NULL) {
		log_warning("%s: %s", n->queue_id, e.text);
		return CLEANUP_STAT_WRITE;
	}
	log_info("%s: %s %s notification: %s", n->queue_id, n->postmaster ? "postmaster" : "sender", log_words[n->kind],
	    cleanup_queue_id(c));
	if (nobody_wants(n)) {
		cleanup_cancel(&c);
		return 0;
	}
	bool ok = write_notice(n, c);
	unsigned status = cleanup_finish(&c, n->mem, &reason);

	if (!ok && status == 0)
		status = CLEANUP_STAT_WRITE;
	if (status != 0)
		log_warning("%s: %s notification failed: %s", n->queue_id, n->postmaster ? "postmaster" : "sender",
		    cleanup_verdict(status)->text);
	return status;
}

bool
notice_send(const struct notice *n)
{
	unsigned status = attempt(n);
	struct notice shorter = *n;

	if ((status & CLEANUP_STAT_SIZE) == 0 || conf.message_size_limit <= 0)
		return status == 0;
	shorter.most = fitting(n);
	log_info("%s: the notification will name %zu recipients only", n->queue_id, shorter.most);
	return shorter.most > 0 && attempt(&shorter) == 0;
}
