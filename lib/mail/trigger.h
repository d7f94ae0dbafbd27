/*
 * trigger.h - wake another service: the bytes that anyone may write to public/qmgr and public/pickup, and the form that
 * cleanup uses to name a new message.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAIL_TRIGGER_H
#define MAIL_TRIGGER_H

#include <stdbool.h>

/*
 * Bytes for qmgr: W or I = scan incoming, D = scan deferred, A = ignore time stamps, F = forget dead destinations.
 * Besides, lines: 'N' queue-id LF names one new message in incoming, so that no scan is needed, 'R' queue-id LF one in
 * deferred; 'S' seconds ' ' destination LF suspends deliveries, 'U' destination LF resumes them.
 */
/* Connect, write, close; works for sockets and FIFOs. "public", "qmgr", "FADI". False: nobody listens (errno). */
bool	trigger_send(const char *class, const char *service, const char *bytes);
/* Tell the queue manager of one new message, over a connection that is kept. Loss does no harm: it scans by itself. */
void	trigger_new_message(const char *queue_id);
/* Have one deferred message tried now. False: nobody listens (errno). An unknown name does nothing. */
bool	trigger_retry_message(const char *queue_id);
/* A domain, or "transport:NAME". False: nobody listens (errno). */
bool	trigger_suspend(const char *destination, int seconds);
bool	trigger_resume(const char *destination);

#endif
