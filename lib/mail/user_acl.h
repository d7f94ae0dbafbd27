/*
 * user_acl.h - which local users may submit mail, see the queue, flush it: authorized_submit_users and its like.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAIL_USER_ACL_H
#define MAIL_USER_ACL_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/arena.h"

/* Login name of the user, or the number as text. */
const char *user_name(uid_t, struct arena *mem);
/* The user stands in the list; parameter is its name, for messages. A list that cannot be read allows nobody. */
bool	user_allowed(const char *parameter, const char *list, const char *name);

#endif
