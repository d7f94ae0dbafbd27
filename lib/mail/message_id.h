/*
 * message_id.h - the Message-Id of a message in the queue.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAIL_MESSAGE_ID_H
#define MAIL_MESSAGE_ID_H

#include <sys/types.h>

#include "base/arena.h"
#include "base/span.h"

/*
 * From the primary header of the queue file fd, whose content begins at that offset (the C record's). One line, without blanks
 * around it; a stranger wrote it. Empty: there is none in the first 64 kB, or the file cannot be read.
 */
struct span message_id_read(int fd, off_t content, struct arena *mem);

#endif
