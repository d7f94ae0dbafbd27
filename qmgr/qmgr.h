/*
 * qmgr.h - the queue manager's world: messages in memory, transports, destinations, agents. Private to qmgr(8).
 *
 *   message --has--> entries (one delivery request each) --wait in--> dest --belongs to--> transport --uses--> agents
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef QMGR_QMGR_H
#define QMGR_QMGR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/time.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/span.h"
#include "io/loop.h"
#include "io/pool.h"
#include "mail/delivery.h"
#include "mail/dsn.h"

struct message;
struct transport;
struct dest;
struct agent;

struct recipient {
	struct span original, address, dsn_orcpt;
	int64_t offset;
	unsigned notify;
};

/* One delivery request: some recipients of one message for one destination. */
struct entry {
	struct message *msg;
	struct dest *dest;
	struct recipient *rcpt;
	size_t nrcpt;
	struct entry *prev, *next;	/* in dest->todo */
};

struct message {
	struct arena *mem;		/* the envelope */
	struct arena *batch;		/* the recipients read last, and their entries */
	char *id;
	struct timeval arrival, active;
	int64_t create_time, data_offset, data_size, cont_length, warn_offset, warn_time;
	int64_t next_recipient;		/* file offset of recipients not read yet; 0 = all read */
	bool in_extracted;		/* next_recipient stands in the extracted segment */
	unsigned sendopts, ret_flags, trace_flags;
	long rcpt_count;
	struct span sender, encoding, envelope_id, verp, filter, redirect;
	struct span client_name, client_addr, client_port, client_proto, client_helo;
	struct span sasl_method, sasl_username, sasl_sender, log_ident, rewrite_context;
	size_t entries;			/* not finished yet */
	unsigned logs;			/* DELIVERY_LOG_* that exist, or may exist */
	bool deferred, expire, fresh;	/* fresh: no log of an earlier attempt can exist */
};

/* A destination: mail that shares a concurrency window. */
struct dest {
	struct transport *transport;
	char *name;			/* key */
	char *nexthop;
	struct entry *first, *last;	/* todo */
	size_t todo, busy;
	double window, success, failure, fail_cohorts;
	bool ready;			/* stands in transport->ready */
	struct dest *prev, *next;
	struct timer *timer;		/* dead: revive; suspended: rate delay over */
	bool dead, suspended;
	int64_t last_done;		/* for connection caching hints */
	char *dead_reason;		/* "4.4.1 text" */
};

struct feedback {
	enum { FEEDBACK_FIXED, FEEDBACK_WINDOW, FEEDBACK_SQRT } kind;
	double value;
};

struct transport {
	char *name;
	struct hash *dests;
	struct dest *ready_first, *ready_last;	/* destinations that may start a delivery now */
	struct agent *agents;
	size_t pending;			/* agents connected that have not said hello */
	bool dead;
	struct timer *timer;
	int concurrency_limit, initial, recipient_limit, rate_delay, cohort_limit;
	struct feedback positive, negative;
	struct transport *next;
};

extern struct loop *qmgr_loop;
extern struct pool *qmgr_pool;		/* renames and unlinks, which may wait for the file system's journal */

/* --- scan.c: incoming and deferred --- */
void	scan_start(void);
void	scan_trigger(char byte);		/* W I D A F */
void	scan_new_message(const char *id);	/* cleanup has named it */
void	scan_retry_message(const char *id);	/* deferred: try it now, also over a transport that is given a rest */
void	scan_message_gone(void);		/* room in the active queue */

/* --- message.c --- */
extern size_t message_count;			/* in the active queue */
/* Asynchronous: the file is renamed and opened beside the loop. */
void	message_activate(const char *queue, const char *id, bool fresh);
bool	message_more_recipients(struct message *);	/* read the next batch; false: corrupt (the message is gone) */
void	message_free(struct message *);
bool	message_open(struct message *, int flags, int *fd);

/* --- recipients.c: resolve and assign --- */
void	recipients_assign(struct message *, struct recipient *, size_t n);
void	entry_redirect(struct entry *, const char *transport, const char *nexthop);

/* --- transport.c, dest.c --- */
struct transport *transport_find(struct span name);
void	transport_schedule(struct transport *);
void	transport_failed(struct transport *, const char *why);
void	transport_revive_all(void);		/* flush */
struct dest *dest_find(struct transport *, struct span name, struct span nexthop);
void	dest_add(struct dest *, struct entry *);
void	dest_remove(struct dest *, struct entry *);
void	dest_update(struct dest *);		/* in or out of the ready list */
void	dest_good(struct dest *);		/* positive feedback */
void	dest_bad(struct dest *, const struct dsn_text *);
void	dest_done(struct dest *);		/* a delivery ended: rate delay */
void	dest_revive(struct dest *);

/* --- agent.c --- */
bool	agent_deliver(struct transport *, struct dest *);	/* false: no agent is free (one may be on its way) */
void	agents_connect(struct transport *, size_t want);

/* --- finish.c --- */
void	entry_done(struct entry *);		/* dequeued and dealt with; frees nothing but counts */
void	message_finish(struct message *);
void	entry_defer_here(struct entry *, const char *reason);	/* when not even the retry service is there */

/* --- report.c: asynchronous requests to bounce, defer and trace --- */
enum report_service { REPORT_BOUNCE, REPORT_DEFER, REPORT_TRACE };
void	report_send(enum report_service, unsigned request, const struct message *, void (*done)(struct message *, bool ok),
	    struct message *arg);

#endif
