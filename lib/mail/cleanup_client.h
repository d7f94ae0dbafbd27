/*
 * cleanup_client.h - hand a message to cleanup(8). Used by smtpd, pickup, bounce, local.
 * Order: open, envelope records, content, end. Only a status of 0 from cleanup_finish() means that the message is
 * on disk and that the queue manager knows of it.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAIL_CLEANUP_CLIENT_H
#define MAIL_CLEANUP_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"
#include "ipc/ipc.h"

enum {					/* flags of cleanup_start() */
	CLEANUP_FLAG_BOUNCE = 1,	/* bounce a message that is refused instead of telling the client (pickup, local) */
	CLEANUP_FLAG_FILTER = 2,	/* header and body checks */
	CLEANUP_FLAG_HOLD = 4,
	CLEANUP_FLAG_DISCARD = 8,
	CLEANUP_FLAG_BCC_OK = 16,	/* always_bcc and *_bcc_maps */
	CLEANUP_FLAG_MAP_OK = 32,	/* canonical, virtual alias and masquerade */
	CLEANUP_FLAG_MILTER = 64,
	CLEANUP_FLAG_SMTPUTF8 = 128,
	CLEANUP_FLAG_AUTOUTF8 = 256,
	CLEANUP_FLAG_REQUIRETLS = 512,
	CLEANUP_FLAG_EXTERNAL = CLEANUP_FLAG_FILTER | CLEANUP_FLAG_BCC_OK | CLEANUP_FLAG_MAP_OK | CLEANUP_FLAG_MILTER,
	CLEANUP_FLAG_INTERNAL = CLEANUP_FLAG_MAP_OK,	/* bounces, notices */
};

enum {					/* status bits of cleanup_finish() */
	CLEANUP_STAT_OK = 0,
	CLEANUP_STAT_BAD = 1,		/* protocol error of the client */
	CLEANUP_STAT_WRITE = 2,		/* cannot write the queue file */
	CLEANUP_STAT_SIZE = 4,		/* message_size_limit */
	CLEANUP_STAT_CONT = 8,		/* rejected by content (reason has the text) */
	CLEANUP_STAT_HOPS = 16,		/* hopcount_limit */
	CLEANUP_STAT_PROXY = 32,
	CLEANUP_STAT_RCPT = 64,		/* no recipients */
	CLEANUP_STAT_DEFER = 128,	/* temporary trouble, e.g. a table */
	CLEANUP_STAT_NOPERM = 512,	/* as postdrop(1) tells it */
};

/* SMTP reply and DSN for the gravest bit of a status, as Postfix words them. */
struct cleanup_verdict {
	unsigned status;
	int smtp_code;			/* 451 */
	const char *dsn;		/* "4.3.0" */
	const char *text;		/* "queue file write error" */
};
const struct cleanup_verdict *cleanup_verdict(unsigned status);

struct cleanup_client;

/* Flags for mail from the network: CLEANUP_FLAG_EXTERNAL less what receive_override_options turns off. */
unsigned cleanup_received_flags(void);
/* Flags for mail of our own; class: "bounce" or "notify", which internal_mail_filter_classes may have. */
unsigned cleanup_internal_flags(const char *class);
/* CLEANUP_FLAG_AUTOUTF8 when smtputf8_autodetect_classes has this class of mail: "sendmail", "qmqpd"; else 0. */
unsigned cleanup_autodetect_flag(const char *class);
/* Open a queue file at cleanup(8). The connection is kept for the next message. NULL: cleanup is not available. */
struct cleanup_client *cleanup_start(unsigned flags, struct err *);
/* The same for a user without privilege: the message goes to maildrop/ by postdrop(1), whether or not the mail system is
 * up. Envelope records: S, R, V and the attributes that postdrop lets through. */
struct cleanup_client *cleanup_start_maildrop(struct err *);
const char *cleanup_queue_id(const struct cleanup_client *);
/* Append queue file records (mail/rec.h) to the envelope; sent with the first content. */
void	cleanup_rec(struct cleanup_client *, char type, struct span payload);
void	cleanup_attr(struct cleanup_client *, const char *name, struct span value);	/* nothing when value is empty */
/* Message text: lines that end in LF, cut anywhere. Sent in large pieces; false once cleanup has gone. */
bool	cleanup_text(struct cleanup_client *, struct span text);
/* "Received: by us": the first header lines of mail that we make ourselves. */
void	cleanup_put_received(const struct cleanup_client *, struct buf *out);
/* Records for the extracted segment (sendmail -t recipients). */
void	cleanup_extracted(struct cleanup_client *, char type, struct span payload);
/* End of message; frees the client. Status bits as above; *reason (in mem) may be empty. */
unsigned cleanup_finish(struct cleanup_client **, struct arena *mem, struct span *reason);
void	cleanup_cancel(struct cleanup_client **);	/* the message is dropped; NULL is fine */

#endif
