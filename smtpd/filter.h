/*
 * filter.h - smtpd_proxy_filter: the message goes through a content filter before the client gets its answer.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef SMTPD_FILTER_H
#define SMTPD_FILTER_H

#include <stdbool.h>

#include "base/span.h"

struct smtpd;
struct filter;

extern const char filter_trouble[];	/* the reply when the filter fails: "451 4.3.0 Error: queue file write error" */

void	filter_init(void);		/* log_fatal on bad settings */
bool	filter_wanted(void);

/*
 * One message, in this order. Each gives NULL, or the reply for the client, in memory of the transaction. A filter that
 * has failed stays failed. With speed_adjust the filter is not asked before filter_end().
 */
const char *filter_open(struct smtpd *);		/* connect, EHLO, XFORWARD, MAIL as the client gave it */
const char *filter_rcpt(struct smtpd *, struct span args);
const char *filter_data(struct smtpd *);
void	filter_text(struct smtpd *, struct span text);	/* lines that end in LF, cut anywhere; sent in canonical form */
const char *filter_end(struct smtpd *);		/* always the reply: the filter's own, or filter_trouble */
void	filter_close(struct smtpd *);		/* at any time; nothing when there is none */

#endif
