/*
 * flush_client.h - the clients of flush(8): who defers mail tells it, who wants a destination tried again asks it.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAIL_FLUSH_CLIENT_H
#define MAIL_FLUSH_CLIENT_H

#include "base/span.h"

enum flush_status {
	FLUSH_OK,
	FLUSH_FAILED,		/* service not available, or it had trouble: logged */
	FLUSH_BAD,		/* not a destination */
	FLUSH_DENIED,		/* not in fast_flush_domains */
};

/* Open fast_flush_domains: while tables may still be opened. */
void	flush_prepare(void);
/* A recipient of that domain (or "[address]") was deferred. Does nothing outside fast_flush_domains. */
void	flush_add(struct span site, struct span queue_id);
/* Try all mail for it now (ETRN, postqueue -s). */
enum flush_status flush_site(struct span site);

#endif
