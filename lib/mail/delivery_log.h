/*
 * delivery_log.h - the one log line a recipient and delivery attempt:
 * "QID: to=<R>, [orig_to=<O>,] relay=..., [conn_use=N,] delay=D, delays=a/b/c/d, [tls=...,] dsn=X.Y.Z, status=S (TEXT)".
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAIL_DELIVERY_LOG_H
#define MAIL_DELIVERY_LOG_H

#include "base/arena.h"
#include "mail/delivery.h"

void	delivery_log(struct delivery *, const struct delivery_rcpt *, const char *relay, const struct dsn_text *,
	    const char *status);
/* "0", "0.01", "1.3", "12": delay_logging_resolution_limit decimals at most, two significant digits. */
const char *delay_text(double seconds, int resolution, struct arena *mem);
/* Address for a log line: external form in respect of info_log_address_format. */
const char *log_address(struct span internal, struct arena *mem);

#endif
