/*
 * bounce_client.h - clients of bounce(8) under its names bounce, defer and trace: remember what became of a recipient
 * in the message's log, and have the report written and sent.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAIL_BOUNCE_CLIENT_H
#define MAIL_BOUNCE_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "ipc/ipc.h"
#include "mail/delivery.h"
#include "mail/dsn.h"

enum bounce_log { BOUNCE_LOG_BOUNCE, BOUNCE_LOG_DEFER, BOUNCE_LOG_TRACE };	/* private/bounce, defer, trace */

enum {				/* ipc_bounce_send.request */
	BOUNCE_SEND_FLUSH = 1,	/* report all of the log to the sender, remove the log */
	BOUNCE_SEND_WARN,	/* "delayed" report, the log stays */
	BOUNCE_SEND_ONE,	/* report the recipients in the request, no log */
	BOUNCE_SEND_VERP,	/* one report a recipient of the log */
	BOUNCE_SEND_TRACE,	/* delivery report from the trace log */
};

/* Append one entry. False: the service is not available or could not write (logged). */
bool	bounce_log_append(enum bounce_log, struct span queue_id, const struct delivery_rcpt *, const struct dsn_text *,
	    struct arena *mem);

struct bounce_message {		/* what a report needs to know */
	struct span queue_name, queue_id, encoding, sender, envelope_id, verp;
	unsigned sendopts, ret_flags;
};
/* Have the report made. False: not sent, the message must stay in the queue. */
bool	bounce_log_send(enum bounce_log, unsigned request, const struct bounce_message *, struct arena *mem);

/* Field for field, for those who build messages themselves. Spans are shared. */
void	dsn_to_report(const struct dsn_text *, const char *default_action, struct ipc_dsn_report *, struct arena *mem);
void	dsn_from_report(const struct ipc_dsn_report *, struct dsn_text *);

#endif
