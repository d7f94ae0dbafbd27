/*
 * restrict_verify.c - reject_unverified_sender and reject_unverified_recipient: ask verify(8) whether mail for the
 * address would be accepted, and wait a little for a probe that is under way (address_verify_poll_count).
 *
 * SPDX-License-Identifier: ISC
 */
#include "base/log.h"
#include "conf/conf.h"
#include "mail/verify_client.h"
#include "smtpd/restrict.h"

#define REASON_MAX	250u

/* How the sender form and the recipient form differ. */
struct unverified {
	struct span address;		/* internal form */
	const char *text, *class, *dsn;	/* dsn of a temporary failure */
	int reject_code, defer_code;
	const char *reason, *tempfail_action;
};

static struct unverified
settings(const struct smtpd *s, bool sender)
{
	return sender ? (struct unverified){ s->sender, s->sender_text, "Sender address", "4.1.7", conf.unverified_sender_reject_code,
	    conf.unverified_sender_defer_code, conf.unverified_sender_reject_reason, conf.unverified_sender_tempfail_action } :
	    (struct unverified){ s->recipient_internal, s->recipient, "Recipient address", "4.1.1", conf.unverified_recipient_reject_code,
	    conf.unverified_recipient_defer_code, conf.unverified_recipient_reject_reason, conf.unverified_recipient_tempfail_action };
}

static bool
poll_verify(struct smtpd *s, struct span address, enum verify_status *status, struct span *reason)
{
	for (int polls = 1; ; polls++) {
		if (!verify_query(address, s->work, status, reason))
			return false;
		if (*status != VERIFY_PENDING || polls >= conf.address_verify_poll_count)
			return true;
		smtpd_sleep(conf.address_verify_poll_delay);
	}
}

/* A temporary verdict, by the tempfail action: later restrictions may still reject for good. */
static enum verdict
inconclusive(struct check *c, const struct unverified *u, int code, const char *what, struct span reason)
{
	if (tempfail_is_permit(u->tempfail_action))
		return check_defer_permit(c, code, u->dsn, "<%s>: %s rejected: %s%.*s", u->text, u->class, what, SPAN_ARG(reason));
	return check_reject(c, ERROR_POLICY, code, u->dsn, "<%s>: %s rejected: %s%.*s", u->text, u->class, what, SPAN_ARG(reason));
}

enum verdict
restrict_unverified(struct check *c, const struct rule *r)
{
	struct unverified u = settings(c->s, (r->r->flags & FOR_SENDER) != 0);
	enum verify_status status;
	struct span reason;

	if (u.address.n == 0 || verify_is_sender(u.address))
		return DUNNO;
	if (!poll_verify(c->s, u.address, &status, &reason)) {
		log_warning("verify service failure");
		return inconclusive(c, &u, u.defer_code, "address verification problem", SPAN_NULL);
	}
	if (status == VERIFY_OK)
		return DUNNO;
	int code = status == VERIFY_UNDELIVERABLE ? u.reject_code : u.defer_code;

	if (u.reason[0] != '\0')
		reason = span_str(u.reason);
	if (reason.n > REASON_MAX)
		reason = span_to(reason, REASON_MAX);
	if (code / 100 == 2)
		return DUNNO;
	if (code / 100 == 4)
		return inconclusive(c, &u, code, "unverified address: ", reason);
	return check_reject(c, ERROR_POLICY, code, u.dsn, "<%s>: %s rejected: undeliverable address: %.*s", u.text, u.class,
	    SPAN_ARG(reason));
}
