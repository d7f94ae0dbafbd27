/*
 * qmgr.h - the queue manager's world: messages in memory, transports, destinations, agents. Private to qmgr(8).
 *
 *   message --has--> job (its part for one transport) --has--> peer (of it, for one destination) --has--> entries
 *   transport --serves--> jobs in order, --has--> dests --have--> peers in the order of their jobs, --uses--> agents
 *
 * An entry is one delivery request. It waits in its peer until job_select() takes it for an agent.
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
#include "base/heap.h"
#include "base/span.h"
#include "io/loop.h"
#include "io/pool.h"
#include "mail/delivery.h"
#include "mail/dsn.h"

struct message;
struct transport;
struct job;
struct peer;
struct dest;
struct agent;

struct recipient {
	struct span original, address, dsn_orcpt;
	int64_t offset;
	unsigned notify;
};

/* Recipients that were read together, and their entries. Goes when the last of these is done. */
struct batch {
	struct arena *mem;
	size_t entries;			/* not finished yet; one more while it is assigned */
};

/* One delivery request: some recipients of one message for one destination. */
struct entry {
	struct message *msg;
	struct batch *batch;
	struct dest *dest;
	struct peer *peer;		/* NULL: with an agent */
	struct recipient *rcpt;
	size_t nrcpt;
	struct entry *prev, *next;	/* in the peer */
};

/* The entries of one job for one destination. */
struct peer {
	struct job *job;
	struct dest *dest;
	struct entry *first, *last;
	struct peer *prev, *next;	/* in the job: round robin */
	struct peer *above, *below;	/* in the destination: by job->order */
};

/* What one message has for one transport (scheduler facts, section 6: preemption). */
struct job {
	struct message *msg;
	struct transport *transport;
	struct peer *first, *last;
	struct job *prev, *next;	/* in the transport: by order */
	struct job *msg_next;
	double order;			/* by entry into the active queue; a job that preempts another comes before it */
	struct job *parent;		/* the one that it has preempted */
	size_t children;
	int level;			/* of preemption */
	long read, selected;		/* entries so far */
	long recipients;		/* of entries that wait */
	long slots_available, slots_used;
};

/* What became of its recipients; for outcome.c alone. */
struct outcomes {
	struct outcome *first, *last;
	size_t n, total;		/* listed, all */
	bool recovered;			/* those of earlier attempts are among them */
};

struct message {
	struct arena *mem;		/* the envelope */
	struct outcomes outcomes;
	struct job *jobs;
	char *id;
	const char *queue;		/* where its file is: "incoming" or "active" */
	bool watched, moving, finish_later;	/* activate.c: it may move, is moving; has come to its end meanwhile */
	struct message *before, *after;		/* watched: by age */
	uint64_t seq;			/* of entry into the active queue */
	struct timeval arrival, active;
	int64_t create_time, data_offset, data_size, cont_length, warn_offset, warn_time;
	int64_t next_recipient;		/* file offset of recipients not read yet; 0 = all read */
	bool in_extracted;		/* next_recipient stands in the extracted segment */
	unsigned sendopts, ret_flags, trace_flags;
	long rcpt_count;		/* when it was queued */
	long unread;			/* recipients in the file that were not read yet */
	int64_t entered, refilled;	/* ms: into the active queue; when recipients were read last */
	struct span sender, encoding, envelope_id, verp, filter, redirect;
	struct span client_name, client_addr, client_port, client_proto, client_helo;
	struct span sasl_method, sasl_username, sasl_sender, log_ident, rewrite_context;
	size_t entries;			/* not finished yet */
	unsigned logs;			/* DELIVERY_LOG_* that exist, or may exist */
	bool stuck;			/* its file cannot leave the active queue at present; told once */
	bool deferred, expire, have_sender, fresh;	/* fresh: no log of an earlier attempt can exist */
	struct vec logged;		/* expired: offsets of the recipients that the defer log names, in order */
	const char *corrupt_why;	/* found out while deliveries were under way */
};

/* A destination: mail that shares a concurrency window. */
struct dest {
	struct transport *transport;
	char *name;			/* key */
	char *nexthop;
	struct peer *first, *last;
	size_t todo, busy;		/* entries */
	double window, success, failure, fail_cohorts;
	size_t place;			/* in transport->ready */
	struct timer *timer;		/* dead: revive; suspended: rate delay over */
	bool dead, suspended;
	int64_t last_done;		/* for connection caching hints */
	char *dead_reason;		/* "4.4.1 text" */
};

#define AGENTS_PENDING	2		/* more connections to one transport than that never wait for a worker */

struct feedback {
	enum { FEEDBACK_FIXED, FEEDBACK_WINDOW, FEEDBACK_SQRT } kind;
	double value;
};

struct transport {
	char *name;
	struct hash *dests;
	struct heap ready;		/* destinations that may start a delivery now, by their first job */
	struct job *first, *last;
	struct agent *agents;
	size_t pending;			/* agents connected that have not said hello */
	size_t busy;			/* entries with agents */
	long recipients;		/* in memory */
	bool dead;
	bool is_retry;			/* the service that defers what cannot be tried now */
	struct timer *timer;
	int concurrency_limit, initial, recipient_limit, rate_delay, cohort_limit;
	struct feedback positive, negative;
	int slot_cost, slot_loan, slot_discount, minimum_slots;
	int pool, extra_pool, refill_limit, refill_delay;	/* recipients in memory */
	int pace;			/* transport_rate_delay */
	struct timer *pace_timer;
	bool pace_over;
	struct job *candidate, *candidate_for;	/* found in the second candidate_at */
	int64_t candidate_at;
	int64_t clog_warned;		/* ms */
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
void	scan_incoming_again(void);		/* a file could not be taken, or was put back: look within seconds */

/* --- message.c --- */
extern size_t message_count;			/* in the active queue */
extern size_t message_probes;			/* of these, probes of verify(8) */
extern long message_recipients;			/* of all, in memory */
/* From an open, locked file, which is closed. It is counted already. */
void	message_admit(const char *id, const char *queue, bool fresh, int fd);
/* Read up to so many more recipients (at least what qmgr_message_recipient_minimum grants). Trouble with the file shows
 * in m->corrupt_why; it is dealt with when the last entry has come back. */
void	message_more_recipients(struct message *, long limit);
bool	expired_read_log(struct message *);		/* true: the last attempt's log has recipients, keep it */
bool	expired_is_logged(const struct message *, const struct recipient *);
void	message_corrupt(struct message *);		/* to corrupt/; the message is gone */
void	message_free(struct message *);
void	batch_release(struct batch *);
bool	message_open(struct message *, int flags, int *fd);
/* The file could not be renamed (errno). False: it has gone. True: have fn called with the message in a while; it must not be
 * let go, or its file would lie in the active queue until the next start. */
bool	message_stuck(struct message *, const char *to, void (*fn)(void *arg, unsigned events));
int64_t	stuck_ms(void);			/* until that is tried again: not longer than to the next scan of the queue */

/* --- activate.c --- */
/* Asynchronous: the file is opened, and renamed to active/ unless it is fresh, beside the loop. False: it is taken. */
bool	message_activate(const char *queue, const char *id, bool fresh);
bool	message_is_taken(const char *id);	/* on its way into memory, or delivered from incoming/ */
void	message_watch(struct message *);	/* fresh: it moves to active/ when it takes long */
void	message_stays(struct message *);	/* it will not move any more */
void	message_unwatch(struct message *);	/* it is being freed */
#define SKIP_SECONDS	60		/* that long a file is left alone which another process has locked */

/* --- recipients.c: resolve and assign --- */
void	recipients_assign(struct message *, struct batch *, struct recipient *, size_t n);
void	entry_redirect(struct entry *, const char *transport, const char *nexthop);	/* must not wait in a peer */

/* --- job.c: which entry is next --- */
void	job_add(struct entry *);		/* e->dest decides where it waits */
void	entry_withdraw(struct entry *);		/* it will not be delivered: out of its peer */
/* The next entry of a transport that has ready destinations; it counts as busy from now on. */
struct entry *job_select(struct transport *);
void	job_refill(struct message *, const struct transport *);	/* after a selection: read more when it is time */
void	job_settle(struct message *);		/* drop its jobs that have come to their end */

/* --- transport.c, dest.c --- */
struct transport *transport_find(struct span name);
void	transport_schedule(struct transport *);
void	transport_failed(struct transport *, const char *why);
void	transport_revive_all(void);		/* flush */
/* What waits for that destination, or for "transport:NAME", goes to the retry service with that text. */
void	transport_hold_back(struct span name, const char *text);
struct dest *dest_find(struct transport *, struct span name, struct span nexthop);
void	dest_add(struct dest *, struct entry *);	/* to its end of the queue, or away when it is dead */
void	dest_update(struct dest *);		/* in or out of transport->ready, or gone */
void	dest_good(struct dest *);		/* positive feedback */
void	dest_bad(struct dest *, const struct dsn_text *);
void	dest_done(struct dest *, const struct entry *);	/* its delivery has ended: rate delay */
void	dest_revive(struct dest *);

void	clog_check(const struct dest *);	/* clog.c: warn when it takes up too much of the active queue */

/* --- agent.c --- */
bool	agent_is_free(const struct transport *);
void	agent_deliver(struct transport *, struct entry *);	/* an agent must be free */
void	agents_connect(struct transport *, size_t want);

/* --- finish.c --- */
void	entry_done(struct entry *);		/* dequeued and dealt with; frees nothing but counts */
void	message_finish(struct message *);
void	entry_defer_here(struct entry *, const char *reason);	/* when not even the retry service is there */

/* --- suspend.c: destinations that the administrator holds back (postqueue --suspend) --- */
void	suspend_restore(void);			/* at start: what an earlier queue manager was told */
void	suspend_begin(struct span name, int64_t seconds);	/* a name that is not printable is passed over */
void	suspend_end(struct span name);
/* The text for the retry service, in mem; NULL: deliver. */
const char *suspended_text(struct span transport, struct span nexthop, struct span recipient, struct arena *mem);

/* --- outcome.c: a JSON line for each message that leaves the queue --- */
void	outcome_init(void);
bool	outcome_wanted(void);
void	outcome_take(struct message *, const struct ipc_delivered *);
void	outcome_note(struct message *, const struct recipient *, const char *status, struct dsn, const char *text);
void	outcome_done_before(struct message *, struct span address);	/* a recipient of the file that is marked done */
void	outcome_save(const struct message *);	/* it is deferred */
void	outcome_recover(struct message *);	/* it is tried again */
void	outcome_write(struct message *, bool expired);	/* it leaves; its file is still there */

/* --- report.c: asynchronous requests to bounce, defer and trace --- */
enum report_service { REPORT_BOUNCE, REPORT_DEFER, REPORT_TRACE };
void	report_send(enum report_service, unsigned request, const struct message *, void (*done)(struct message *, bool ok),
	    struct message *arg);

#endif
