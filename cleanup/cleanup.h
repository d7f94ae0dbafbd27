/*
 * cleanup.h - one message on its way into the queue; private to cleanup(8).
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef CLEANUP_CLEANUP_H
#define CLEANUP_CLEANUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/time.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/span.h"
#include "base/vec.h"
#include "mail/checks.h"
#include "mail/cleanup_client.h"
#include "mail/mime_7bit.h"
#include "mail/queue.h"
#include "mail/rec.h"
#include "map/maps.h"

struct message {
	struct arena *mem;
	struct arena *work;		/* of one header or line: dropped before the next */
	unsigned flags;			/* CLEANUP_FLAG_* of the client */
	unsigned status;		/* CLEANUP_STAT_*: once not 0, the file will not be kept */
	struct span reason;
	bool discard;
	bool no_checks;			/* PASS, REDIRECT, REJECT: the rest is not looked at */

	/* the file */
	char id[QUEUE_ID_MAX];
	const char *queue;		/* "incoming", or "hold" */
	int fd;
	struct timeval created;
	struct buf out;			/* not written yet */
	int64_t out_at;			/* file offset of out.p[0] */
	struct rec_size size;

	/* envelope */
	struct timeval arrival;
	struct span sender, encoding, context, full_name, envelope_id;
	struct span origin, protocol, helo;	/* of the client, for log lines */
	struct span filter, redirect;	/* "transport:nexthop", address; for the extracted segment */
	struct buf bcc;			/* addresses that checks added, LF behind each */
	bool have_sender, warned, envelope_done;
	struct span pending_orcpt, pending_orig;	/* wait for the R record they belong to */
	unsigned pending_notify;
	unsigned attributes;		/* stored so far */
	bool have_pending_orig;
	bool recipients_seen;		/* other records behind them set a flag in the C record */
	struct hash *seen;		/* duplicate filter */
	struct span last_rcpt;
	struct vec bounces;		/* struct delivery_rcpt: all recipients, when refused mail is to be bounced */

	/* content */
	struct mime_7bit *to_7bit;	/* force_mime_input_conversion; else NULL */
	struct buf to_7bit_line;	/* not given to it yet */
	bool unfinished;		/* the line at hand is the last and has no end */
	struct buf clean;		/* a line without what message_strip_characters names */
	struct buf line;		/* a line whose LF has not come yet */
	struct buf header;		/* header lines not acted upon yet, LF between them */
	bool any_content;
	struct mime mime;
	const char *mime_reason;	/* of the first one */
	unsigned mime_errors;		/* a bit for each enum mime_error that was found */
	size_t part_offset;		/* bytes of this body part so far, for body_checks_size_limit */
	unsigned hops;
	unsigned headers;		/* HEADER_SEEN_* */
	struct span message_id, resent_id;
};

/* What non-ASCII text means for a client that could not declare it. */
static inline int64_t
utf8_detected(const struct message *m)
{
	return (m->flags & CLEANUP_FLAG_AUTOUTF8) != 0 ? SENDOPT_SMTPUTF8 : 0;
}

/* --- envelope.c --- */
void	envelope_records(struct message *, struct span records, bool extracted);
void	envelope_end(struct message *);			/* M record */
/* After the X record: what the client's records, checks and header have to say on the message as a whole. */
void	extracted_start(struct message *, struct span records);

/* --- recipient.c --- */
struct recipient {
	struct span address;		/* internal form, as given */
	struct span original;		/* for the O record */
	struct span orcpt;		/* "rfc822;a@b"; empty = made from the address */
	unsigned notify;		/* DSN_NOTIFY_* */
};
/* Rewrite, map, expand, and write what comes out of it. */
void	recipient_add(struct message *, const struct recipient *);
/* A copy that nobody asked for and nobody hears of. */
void	recipient_add_bcc(struct message *, struct span address);
void	recipient_add_late(struct message *);		/* always_bcc and BCC actions, at the end */
/* Address in standard form. False: the service is not available. */
bool	standard_address(struct message *, struct span address, struct span *out);

/* --- map_*.c --- */
enum address_class {
	ENVELOPE_SENDER = 1, ENVELOPE_RECIPIENT = 2, HEADER_SENDER = 4, HEADER_RECIPIENT = 8,
};
struct addresses {
	struct span *p;			/* internal form */
	size_t n, cap;
};
void	addresses_add(struct addresses *, struct span, struct arena *);

void	map_init(void);			/* opens all tables of this program */
/* One lookup with the keys of an address. The results are in standard form, with the extension when propagate is set. */
enum map_status map_find(struct message *, struct maps *, bool propagate, struct span address, struct addresses *out);
/* sender_ or recipient_canonical_maps, canonical_maps, masquerade_domains. False: trouble was noted. */
bool	map_canonical(struct message *, enum address_class, struct span address, struct span *out);
/* All that an address stands for by virtual_alias_maps. False: trouble was noted. */
bool	map_virtual(struct message *, struct span address, struct addresses *out);
bool	map_expand(struct message *, struct maps *, bool propagate, struct span address, struct addresses *out);
/* "a@host.example.com" becomes "a@example.com" when a word of domains says so; exceptions are user names. */
struct span masquerade(struct span address, const char *domains, const char *exceptions, struct arena *);
/* Address that is to get a copy; empty: none. False: trouble was noted. */
bool	map_sender_bcc(struct message *, struct span sender, struct span *out);
bool	map_recipient_bcc(struct message *, struct span recipient, struct span *out);

/* --- checks.c --- */
void	checks_init(void);
bool	checks_wanted(const struct message *, enum check_kind);
/* Header lines (LF between them) or a body line. Prepended text is written at once. Never CHECK_FAILED. */
enum check_verdict check_text(struct message *, enum check_kind, struct span *text);
void	log_check(struct message *, const char *action, const char *where, struct span line, struct span text);

/* --- strict.c --- */
enum mime_error { MIME_ERROR_DEPTH, MIME_ERROR_HEADER_8BIT, MIME_ERROR_BODY_8BIT, MIME_ERROR_DOMAIN, MIME_ERROR_HEADER_END };
void	strict_init(void);
/* Logged at once and once; the message is refused by strict_end(), so that checks still see the rest of it. */
void	mime_error(struct message *, enum mime_error, struct span excerpt);
void	strict_header(struct message *, struct span lines);
void	strict_header_block_end(struct message *);
void	strict_body(struct message *, struct span line);
void	strict_end(struct message *);
/* message_reject_characters, message_strip_characters, cleanup_replace_stray_cr_lf. The result lives until the next call. */
struct span strict_clean(struct message *, struct span line);

/* --- content.c --- */
void	content_text(struct message *, struct span text);	/* any piece */
void	content_end(struct message *);			/* last line, X */
void	content_put_lines(struct message *, struct span lines);	/* complete lines, as N and L records */

/* --- header.c --- */
void	header_take(struct message *, struct span lines);	/* one primary header with its continuation lines */
void	header_take_part(struct message *, struct span lines);	/* the same of a MIME part or an attached message */
void	header_end(struct message *);			/* add what is missing */

/* --- missing.c --- */
enum {						/* message.headers */
	SEEN_MESSAGE_ID = 1, SEEN_DATE = 2, SEEN_FROM = 4, SEEN_RECIPIENT = 8, SEEN_RESENT = 16,
	SEEN_RESENT_ID = 32, SEEN_RESENT_DATE = 64, SEEN_RESENT_FROM = 128, SEEN_RECEIVED = 256,
};
void	add_missing_headers(struct message *);

/* --- refused.c --- */
/* The client has handed over its mail for good (pickup, local): the sender is told. False: the client keeps it. */
bool	message_bounce(struct message *);

/* --- file.c --- */
bool	message_create(struct message *);
void	message_flush(struct message *, size_t limit);	/* write when more than limit bytes wait */
int64_t	message_offset(const struct message *);		/* where the next record will stand */
void	message_commit(struct message *);		/* E record, sizes, mode, fsync; sets status on failure */
bool	message_finish_file(struct message *);		/* the same without mode and fsync: for bounce(8) to read */
void	message_remove(struct message *, const char *why);
void	message_trouble(struct message *, unsigned status, const char *reason);
/* More text and recipients are of use: nothing is wrong, or what is wrong will be told by a bounce. */
bool	message_wanted(const struct message *);

#endif
