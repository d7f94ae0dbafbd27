/*
 * dsn.h - RFC 3463 enhanced status codes and the text that goes with them. Value types: copy, nothing to free.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAIL_DSN_H
#define MAIL_DSN_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/span.h"

struct dsn {
	unsigned class, subject, detail;
};

/* A report on one recipient (RFC 3464 2.3). Spans live as long as the request's arena. */
struct dsn_text {
	struct dsn code;
	const char *action;		/* NULL = by class: "delivered"/"relayed", "delayed", "failed" */
	struct span reason;		/* one line for log and bounce */
	struct span diag_type, diag_text;	/* "smtp", full reply */
	struct span mta_type, mta_name;		/* "dns", remote host */
};

enum { DSN_NOTIFY_NEVER = 1, DSN_NOTIFY_SUCCESS = 2, DSN_NOTIFY_FAILURE = 4, DSN_NOTIFY_DELAY = 8 };
enum { DSN_RET_FULL = 1, DSN_RET_HDRS = 2 };

/* Consume "2.1.5" from *in (class 2, 4 or 5; up to 3 digits each). On failure: false, *in and *out untouched. */
bool	dsn_take(struct span *in, struct dsn *out);
const char *dsn_str(struct dsn, struct arena *mem);
/* Text with code and printf'd reason. */
struct dsn_text dsn_printf(struct arena *mem, struct dsn, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* A text that may begin with a status code of the same class as fallback ("5.1.1 no such user"); code and rest. */
struct dsn_text dsn_split(struct span text, struct dsn fallback);

#endif
