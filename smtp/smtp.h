/*
 * smtp.h - what the files of smtp(8) share: sessions with servers, and the delivery at hand.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef SMTP_CLIENT_H
#define SMTP_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "mail/delivery.h"
#include "mail/postmaster.h"
#include "map/maps.h"
#include "net/dns.h"
#include "smtp/reply.h"

extern bool smtp_is_lmtp;		/* the program was started as lmtp */

enum smtp_feature {
	FEATURE_ESMTP = 1, FEATURE_PIPELINING = 2, FEATURE_SIZE = 4, FEATURE_8BITMIME = 8, FEATURE_DSN = 16, FEATURE_SMTPUTF8 = 32,
	FEATURE_STARTTLS = 64, FEATURE_AUTH = 128, FEATURE_XFORWARD = 256,
};

enum {				/* XFORWARD attributes that a server takes */
	XFORWARD_NAME = 1, XFORWARD_ADDR = 2, XFORWARD_PORT = 4, XFORWARD_PROTO = 8, XFORWARD_HELO = 16, XFORWARD_IDENT = 32,
	XFORWARD_SOURCE = 64,
};

/* An open connection to a server, greeted and ready for MAIL. */
struct smtp_session {
	struct stream *stream;
	const struct delivery *d;	/* the one at hand; NULL while the session is kept */
	char key[512];			/* destination it was opened for */
	char host[256], addr[128], port[8];
	char id[400];			/* host[addr] */
	char relay[420];		/* host[addr]:port */
	unsigned features, xforward;
	bool no_esmtp, delay_dot;	/* workarounds for firewalls */
	int64_t size_limit;		/* of SIZE; 0 = none */
	unsigned uses;			/* transactions so far */
	int64_t opened;			/* clock_ms() */
	bool bad;			/* not to be used again */
	bool local_trouble;		/* a table of ours failed; the connection is fine */
	bool quit_sent, unsent_limited;
	struct smtp_reply reply;	/* the last one */
	const char *stage;		/* what was going on, for "while ..." */
	struct transcript history;
	unsigned trouble;		/* TROUBLE_*: the postmaster may want to see the history */
};

/* One server address to try. */
struct smtp_target {
	const char *host;		/* name as in relay= */
	struct sock_addr address;	/* with port */
	const char *unix_path;		/* LMTP over a local socket, else NULL */
	unsigned preference;
};

struct smtp_targets {
	struct smtp_target *p;
	size_t n;
};

/* A delivery in progress. */
struct smtp_work {
	struct delivery *d;
	struct smtp_session *session;
	const char *relay;		/* for the log: "none" until a server was reached */
	bool last;			/* no other server is left: soft failures are final */
	bool site_failed;		/* last trouble was the server's as a whole */
	bool dialogue_done;		/* at least one session went through its dialogue */
	struct dsn_text why;		/* last soft trouble */
};

/* --- target.c --- */
/* Addresses of one next hop, best first. False: *why has text and class. */
bool	smtp_find_targets(const char *nexthop, struct arena *mem, struct smtp_targets *out, struct dsn_text *why);

/* --- session.c --- */
/* Connect and greet. NULL: *why. *talked: the server was reached. */
struct smtp_session *smtp_open(const struct smtp_target *, const char *key, const struct delivery *, struct dsn_text *why, bool *talked);
void	smtp_close(struct smtp_session **, bool quit);	/* NULL is fine */
/* Queue a command. */
void	smtp_command(struct smtp_session *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* For the history: something that is sent by other means. */
void	smtp_note_sent(struct smtp_session *, const char *what);
/* Read one reply within the time. False: the connection is gone, or smtp_reply_filter failed. */
bool	smtp_read_reply(struct smtp_session *, int timeout, const char *stage);
void	smtp_session_init(void);
/* What a broken connection is called: "lost connection with ... while ...". */
struct dsn_text smtp_broken(const struct smtp_session *, struct arena *mem);
/* "host H said: REPLY (in reply to COMMAND command)", class by the reply. */
struct dsn_text smtp_said(struct smtp_session *, const char *command, struct arena *mem);
/* The reply as one line. */
struct span smtp_reply_text(const struct smtp_session *, struct arena *mem);

/* --- features.c --- */
void	smtp_features_init(void);
/* The EHLO reply. False: a table failed, which is logged. */
bool	smtp_take_features(struct smtp_session *, struct arena *mem);
/* The greeting: what kind of firewall it came through. */
void	smtp_find_workarounds(struct smtp_session *, struct arena *mem);

/* --- xforward.c --- */
/* Queue the first (0) or second (1) command. False: there is nothing to say. */
bool	smtp_send_xforward(struct smtp_session *, int which);
/* Its reply; a refusal is logged only. False: the connection is gone. */
bool	smtp_read_xforward(struct smtp_session *, int which);

/* --- generic.c: smtp_generic_maps --- */
void	smtp_generic_init(void);
bool	smtp_generic_wanted(void);
/* An address in internal form as the outside is to see it. False: a table failed, which is logged. */
bool	smtp_generic_address(struct span *internal, struct arena *mem);
/* A header, LF between its lines, none at the end, behind out. False: as above. */
bool	smtp_generic_header(struct span lines, struct arena *mem, struct buf *out);

/* --- transfer.c --- */
/* One mail transaction; deals with recipients, or leaves them for the next server (w->why). False: nothing was
 * answered at all on a reused connection: try a fresh one. */
bool	smtp_transfer(struct smtp_work *, bool keep);

/* --- deliver.c --- */
void	smtp_deliver(struct delivery *);
void	smtp_idle(void);			/* give up the kept session */
bool	smtp_has_session(void);
/* All recipients that are left: log for the next server, or report. */
void	smtp_fail_all(struct smtp_work *, const struct dsn_text *, bool site);
void	smtp_fail_one(struct smtp_work *, struct delivery_rcpt *, const struct dsn_text *);

#endif
