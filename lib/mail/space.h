/*
 * space.h - is there room in the queue's file system for a message from the network?
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAIL_SPACE_H
#define MAIL_SPACE_H

#include <stdint.h>

/* NULL: yes, or nobody knows. Else which limit is not kept: "queue_minfree", "1.5*message size limit". Asked of the system
 * at most once a second; the current directory is that of the queue. */
const char *space_missing(uint64_t *available);

#endif
