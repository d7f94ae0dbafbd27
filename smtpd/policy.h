/*
 * policy.h - policy servers of check_policy_service: what is configured, and one question.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef SMTPD_POLICY_H
#define SMTPD_POLICY_H

#include "base/arena.h"
#include "base/err.h"
#include "base/span.h"

struct policy;

/*
 * text: "inet:host:port", "unix:path", or "{ inet:host:port, timeout=10s, ... }" with the names of the
 * smtpd_policy_service_ parameters. NULL and *e when it is malformed. Nothing is connected yet.
 */
struct policy *policy_open(const char *text, struct err *e);
void	policy_close(struct policy **);
const char *policy_context(const struct policy *);

/*
 * Send the lines of request (an empty line is added), give back the value of "action": in mem, without NUL, valid
 * UTF-8 when smtputf8_enable is set. Whatever the server does, this ends after try_limit times (timeout + retry_delay);
 * then *action is the default action. All trouble is logged.
 */
void	policy_ask(struct policy *, struct span request, struct arena *mem, struct span *action);

#endif
