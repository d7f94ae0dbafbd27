/*
 * showq_wish.h - what a client of public/showq wants to know beside what Postfix tells. Clients of that service send nothing,
 * and old ones get what they always got; so a wish is part of the client's own socket name.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAIL_SHOWQ_WISH_H
#define MAIL_SHOWQ_WISH_H

#include <stdbool.h>

#include "io/sock.h"

enum {
	WISH_NEXT_ATTEMPT = 1,		/* "next_attempt" of each deferred message, seconds since the epoch */
	WISH_TRANSPORT = 2,		/* "transport" of each recipient */
	WISH_SUSPENDED = 4,		/* instead of messages what is held back: lists of "suspended" and "until" */
};

/* A name that bears the wishes and that no other process has; serial: another one if that is taken (EADDRINUSE). */
void	showq_wish_name(unsigned wishes, unsigned serial, char out[SOCK_NAME_MAX]);
unsigned showq_wishes(int fd);		/* of the peer; 0 for everybody else */

#endif
