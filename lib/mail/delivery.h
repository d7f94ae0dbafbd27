/*
 * delivery.h - the delivery agent's side of a request from qmgr(8): receive it, say what became of each recipient
 * (log line, queue file, bounce and defer logs), answer.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAIL_DELIVERY_H
#define MAIL_DELIVERY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/time.h>

#include "base/arena.h"
#include "base/span.h"
#include "base/vec.h"
#include "io/stream.h"
#include "ipc/ipc.h"
#include "mail/dsn.h"

enum {
	DELIVERY_FLAG_SUCCESS = 1,	/* mark recipients done in the queue file */
	DELIVERY_FLAG_BOUNCE = 2,
	DELIVERY_FLAG_MTA_PROBE = 256,	/* verify(8) */
	DELIVERY_FLAG_USER_PROBE = 512,	/* sendmail -bv */
	DELIVERY_FLAG_RECORD = 1024,	/* sendmail -v */
	DELIVERY_FLAG_CONN_LOAD = 2048,
	DELIVERY_FLAG_CONN_STORE = 4096,
	DELIVERY_FLAG_REC_DELAY = 8192,
	DELIVERY_FLAG_PROBE = 256 | 512,
	DELIVERY_FLAG_RESULTS = 1 << 20,	/* tell qmgr what became of each recipient */
};

enum {				/* logs that a delivery has written to: qmgr need not look for the others */
	DELIVERY_LOG_BOUNCE = 1,
	DELIVERY_LOG_DEFER = 2,
	DELIVERY_LOG_TRACE = 4,
};

struct delivery_rcpt {
	struct span original;		/* may be empty */
	struct span address;		/* internal form */
	int64_t offset;			/* of its R record; 0 = unknown */
	struct span dsn_orcpt;
	unsigned notify;		/* DSN_NOTIFY_* bits; 0 = default */
	bool done;			/* delivery_sent/bounced/deferred was called for it */
};

struct delivery {
	struct arena *mem;
	unsigned flags, sendopts, ret_flags;
	struct span queue_name, queue_id, nexthop, encoding, sender, envelope_id;
	struct span client_name, client_addr, client_port, client_proto, client_helo;
	struct span sasl_method, sasl_username, sasl_sender, log_ident, rewrite_context;
	int64_t data_offset, data_size;
	struct timeval arrival, active, request;	/* times so far */
	struct timeval connected;	/* agent sets it when the connection is ready (delays=c); {0} = never */
	struct delivery_rcpt *rcpt;
	size_t nrcpt;
	int fd;				/* active/ID, opened read-write, shared lock; closed by delivery_finish */
	struct dsn_text site;		/* delivery_site_trouble() */
	unsigned logs;			/* DELIVERY_LOG_* */
	bool site_trouble, any_deferred, session_kept;
	bool dsn_passed_on;		/* the next server will report success itself */
	const char *tls_level;		/* for the log; NULL = no tls= field */
	unsigned conn_use;		/* > 1: conn_use= in the log */
	struct vec results;		/* struct ipc_delivered_rcpt, with DELIVERY_FLAG_RESULTS */
};

/* In .init: default_delivery_status_filter or what the agent has for it; name: of the parameter. */
void	delivery_filter_init(const char *name, const char *value);
/* Say hello to qmgr on a new connection: this worker is ready. Before the first delivery_receive(). */
bool	delivery_greet(struct stream *qmgr);
/* Next request on the connection: decoded, queue file open and locked. NULL: peer gone, bad request, or file vanished
 * (logged, answered). Everything is in mem. */
struct delivery *delivery_receive(struct stream *qmgr, struct arena *mem);

/* One recipient has come to its end. relay: "none", "local", "host[addr]:port". d->rcpt[i].done becomes true. */
void	delivery_sent(struct delivery *, struct delivery_rcpt *, const char *relay, const struct dsn_text *);
void	delivery_deferred(struct delivery *, struct delivery_rcpt *, const char *relay, const struct dsn_text *);
void	delivery_bounced(struct delivery *, struct delivery_rcpt *, const char *relay, const struct dsn_text *);
/* By the class of the code: 2 sent, 4 deferred, 5 bounced (soft_bounce applies). */
void	delivery_report(struct delivery *, struct delivery_rcpt *, const char *relay, const struct dsn_text *);
/* For agents that report on copies of a recipient (offset 0): all of them went well, the recipient is done. */
void	delivery_mark_done(struct delivery *, struct delivery_rcpt *);
/* The destination itself has failed (connect, greeting): negative feedback for the scheduler. */
void	delivery_site_trouble(struct delivery *, const struct dsn_text *);
/* Answer qmgr; recipients without a report count as deferred. False: qmgr is gone. */
bool	delivery_finish(struct stream *qmgr, struct delivery *);

/* Serve requests on this connection until the peer or the host ends it: for most agents all of .serve. */
void	delivery_loop(struct stream *qmgr, struct arena *mem, void (*deliver)(struct delivery *));

#endif
