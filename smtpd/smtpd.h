/*
 * smtpd.h - state of one SMTP session and of its mail transaction, and what the files of smtpd(8) offer each other.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef SMTPD_SMTPD_H
#define SMTPD_SMTPD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/time.h>

#include "base/arena.h"
#include "base/buf.h"
#include "mail/cleanup_client.h"
#include "mail/postmaster.h"
#include "net/dns.h"
#include "service/service.h"
#include "smtp/command.h"
#include "smtp/server.h"

/* Who is at the other end; texts as logged. */
struct smtpd_client {
	const char *name;		/* verified host name, or "unknown" */
	const char *reverse_name;	/* what the address maps to, unverified, or "unknown" */
	const char *address, *port;	/* "unknown" */
	const char *peer;		/* address as connected: XCLIENT does not change it */
	const char *id;			/* name[address], with :port when smtpd_client_port_logging is set */
	enum dns_status name_status, reverse_status;
};

struct smtpd_rcpt {
	struct span address;		/* internal form */
	struct span orcpt;		/* "rfc822;a@b", decoded */
	unsigned notify;		/* DSN_NOTIFY_*; 0 = not given */
};

/* What access(5) results asked for; holds for the whole message. */
struct smtpd_actions {
	bool hold, discard;
	const char *filter, *redirect;	/* NULL = none */
	struct buf prepend;		/* header lines with LF */
	struct buf bcc;			/* addresses, LF behind each */
};

/* Where a message came from first, as XFORWARD says; texts as logged, "unknown" when they are not known. */
struct smtpd_origin {
	bool given, has_client;		/* anything; anything but IDENT and SOURCE */
	const char *name, *address, *port, *protocol;
	const char *helo, *ident, *rewrite_context;	/* NULL: not known */
};

struct smtpd_defer_if {
	const char *reply;		/* NULL = not armed */
};

struct smtpd {
	struct session *session;
	struct stream *peer;
	int64_t patience;		/* ms left for the request that is being read, smtpd_per_request_deadline */
	struct arena *mem;		/* of the session */
	struct arena *work;		/* of one command: dropped before the next */
	struct smtp_server server;
	struct smtpd_client client;
	const char *server_address, *server_port;
	const char *helo;		/* NULL: none yet */
	const char *protocol;		/* "SMTP", "ESMTP" */
	struct auth *auth;		/* NULL: no AUTH for this client */
	const char *auth_offered;	/* mechanisms for the EHLO reply */
	const char *auth_method;	/* of the exchange at hand, as the client gave it */
	const char *sasl_method, *sasl_username;	/* NULL: not authenticated */
	unsigned ehlo_hidden;		/* EHLO_* bits that are not announced */
	bool may_xclient, may_xforward, may_xverp;
	bool stand_alone;		/* a user's own: no access control, mail goes to maildrop */
	bool trusted_events;		/* no rate limits for this client */
	bool forbid_bare_lf, note_bare_lf, reject_bare_lf, saw_bare_lf;
	const char *denied;		/* reply of a rejected CONNECT (smtpd_delay_reject = no) */

	/* mail transaction */
	struct arena *tmem;
	bool in_mail;
	struct timeval arrival;
	struct span sender;		/* internal form */
	const char *sender_text;	/* the same as a string */
	const char *encoding;		/* "7bit", "8bit" or NULL */
	const char *envelope_id, *sasl_sender;
	const char *verp;		/* delimiters of XVERP; NULL: not wanted */
	const char *instance;		/* names the transaction to policy servers; NULL: none yet */
	unsigned ret_flags;
	int64_t announced_size, size;
	bool smtputf8;
	const char *rewrite_context;
	struct smtpd_origin origin;
	struct smtpd_rcpt *rcpt;	/* accepted ones, in tmem */
	size_t nrcpt, rcpt_cap, overshoot;
	struct cleanup_client *cleanup;
	struct filter *filter;		/* before-queue content filter of this message; NULL: none, or not yet */
	struct span mail_args;		/* what stood behind MAIL, for the filter */
	struct smtpd_actions actions;
	struct rate_counted *rate_counted;	/* rate_limit.c */
	unsigned content_status;	/* CLEANUP_STAT_* found while receiving */
	bool first_line;		/* no content was seen yet */
	bool chunking, chunk_failed, chunk_last;
	uint64_t chunk_size;
	size_t chunk_column;		/* bytes of the line at hand, modulo line_length_limit */

	/* restrictions */
	const char *recipient;		/* internal form, while a recipient is looked at; NULL */
	struct span recipient_internal;
	const char *etrn;
	struct smtpd_defer_if defer_permit, defer_reject;
	struct smtpd_defer_if saved_client, saved_helo, saved_sender;
	unsigned warn_if_reject;
	unsigned recursion;
	bool rcpt_checked, sender_checked;
	const char *reply;		/* of the last reject */

	struct transcript history;
	unsigned trouble;		/* TROUBLE_* since the history was begun */
	bool trouble_known;		/* ... of this command */
};

struct smtpd *smtpd_of(struct smtp_server *);
/* "5F1A2A8C018" or "NOQUEUE". */
const char *smtpd_queue_id(const struct smtpd *);
void	smtpd_sleep(int seconds);
/* The client has become another one (XCLIENT): policies and rights anew, and the greeting. Counts as no success. */
void	smtpd_restart(struct smtpd *);

/* log.c */
/* "QID: ACTION: WHERE from CLIENT: text; from=<> to=<> proto= helo=" */
void	smtpd_log_event(struct smtpd *, const char *action, const char *text);
/* "ACTION: WHERE: text; from=<> ..." of a filter's verdict */
void	smtpd_log_filter(struct smtpd *, const char *action, const char *text);
/* Input for the log: bytes outside ASCII text as \r, \n, \ooo; at most max bytes of it. */
const char *smtpd_escaped(struct span in, size_t max, struct arena *);
/* Input for logs and letters: what stands behind "AUTH mechanism", on any of its lines, is left out. */
struct span smtpd_without_secrets(struct span input, struct arena *);

/* history.c: the postmaster's transcript */
void	smtpd_trouble(struct smtpd *, unsigned bits);	/* what a refusal of this command is; without it: a protocol error */
void	smtpd_history_input(struct smtpd *, struct span line);	/* without secrets */
void	smtpd_history_output(struct smtpd *, struct span text);
/* A long one is sent, if need be, and begun anew: at HELO, RSET and end of data. */
void	smtpd_history_flush(struct smtpd *);
void	smtpd_history_end(struct smtpd *, const char *reason);

/* upstream.c */
void	smtpd_upstream_init(void);
/* Read a load balancer's header when one is due; the session gets its addresses. False: it is bad, and logged. */
bool	smtpd_upstream(struct smtpd *, struct session *);

/* client.c */
void	smtpd_client_find(struct smtpd *, const struct session *);
void	smtpd_client_set_id(struct smtpd *);

/* cmd_*.c: rows of the command table */
bool	cmd_helo(struct smtp_server *, struct span args);
bool	cmd_ehlo(struct smtp_server *, struct span args);
bool	cmd_mail(struct smtp_server *, struct span args);
bool	cmd_rcpt(struct smtp_server *, struct span args);
bool	cmd_data(struct smtp_server *, struct span args);
bool	cmd_bdat(struct smtp_server *, struct span args);
bool	cmd_rset(struct smtp_server *, struct span args);
bool	cmd_noop(struct smtp_server *, struct span args);
bool	cmd_vrfy(struct smtp_server *, struct span args);
bool	cmd_etrn(struct smtp_server *, struct span args);
bool	cmd_quit(struct smtp_server *, struct span args);
bool	cmd_help(struct smtp_server *, struct span args);
bool	cmd_xclient(struct smtp_server *, struct span args);
bool	cmd_xforward(struct smtp_server *, struct span args);
bool	cmd_starttls(struct smtp_server *, struct span args);
bool	cmd_auth(struct smtp_server *, struct span args);

/* cmd_auth.c */
void	smtpd_auth_init(void);
void	smtpd_auth_begin(struct smtpd *);	/* a session starts; ends the process when there is nothing to offer */
bool	smtpd_auth_answer(struct smtp_server *, struct span line, bool too_long);
void	smtpd_auth_announce(const struct smtpd *, struct buf *);	/* lines of the EHLO reply */
/* Somebody is logged in, and logins count here. */
bool	smtpd_logged_in(const struct smtpd *);

/* Routing may find bad syntax that is hidden in the local part: user%bad..domain@here. False: replied and logged. */
bool	smtpd_path_parse(struct smtpd *, struct span word, unsigned flags, struct arena *, struct smtp_path *);	/* of MAIL and RCPT; warns */
bool	smtpd_rcpt_resolves(struct smtpd *, const struct smtp_path *);

/* EHLO keywords that can be hidden, and their words in smtpd_discard_ehlo_keywords. */
enum {
	EHLO_8BITMIME = 1, EHLO_CHUNKING = 2, EHLO_DSN = 4, EHLO_STATUSCODES = 8, EHLO_ETRN = 16, EHLO_PIPELINING = 32, EHLO_SIZE = 64,
	EHLO_SMTPUTF8 = 128, EHLO_VRFY = 256, EHLO_SILENT = 512, EHLO_OTHER = 1024, EHLO_XCLIENT = 2048, EHLO_XFORWARD = 4096,
	EHLO_VERP = 8192, EHLO_AUTH = 16384,
};
void	smtpd_ehlo_init(void);
void	smtpd_ehlo_hide(struct smtpd *);	/* set ehlo_hidden for this client */

/* A HELO name: what could be taken for syntax in a header, a log line or a request becomes '?'. */
const char *smtpd_neutral(struct span name, struct arena *);

/* cmd_xclient.c */
void	smtpd_xclient_init(void);
bool	smtpd_may_xclient(const struct smtpd *);
bool	smtpd_may_xforward(const struct smtpd *);
bool	smtpd_may_xverp(const struct smtpd *);
void	smtpd_xclient_announce(const struct smtpd *, struct buf *);	/* lines of the EHLO reply */

/* content.c: message text */
extern const char *const smtpd_data_prompt;
void	smtpd_content(struct smtp_server *, struct span text, size_t raw);
bool	smtpd_content_end(struct smtp_server *);
/* Received: and prepended headers, envelope records: before the first text. */
const char *smtpd_content_start(struct smtpd *);	/* NULL, or the reply that refuses content */

/* reply_edit.c: filter, footer, soft_bounce; text ends in CRLF */
void	reply_edit_init(void);
void	reply_edit(struct smtpd *, struct buf *text);
/* The value of $name in texts of the administrator, postconf(5) smtpd_reject_footer; NULL: none, or empty. In s->work. */
const char *reply_value(struct smtpd *, const char *name);
/* Strangers' text without bytes outside smtpd_expansion_filter ('_' for each); NULL stays, an empty one becomes NULL. */
const char *reply_safe(struct smtpd *, const char *value);

/* transaction.c */
void	smtpd_mail_reset(struct smtpd *);	/* drops the message, if any */
bool	smtpd_mail_open(struct smtpd *);	/* queue file or filter, once; false: replied and logged */
void	smtpd_log_client(struct smtpd *);	/* "QID: client=..." */
const char *smtpd_origin_text(struct smtpd *);	/* "name[address]" of the origin, or "unknown" */
void	smtpd_add_rcpt(struct smtpd *, const struct smtpd_rcpt *);
/* Free space: NULL, or the reply "452 4.3.1 Insufficient system storage". */
const char *smtpd_check_space(struct smtpd *);

/* rate.c: anvil(8) counters */
enum smtpd_event { SMTPD_EVENT_CONNECT, SMTPD_EVENT_DISCONNECT, SMTPD_EVENT_MAIL, SMTPD_EVENT_RCPT, SMTPD_EVENT_AUTH };
/* Count an event. True: over its limit (logged). anvil unreachable: never. */
bool	smtpd_rate_exceeded(struct smtpd *, enum smtpd_event);

#endif
