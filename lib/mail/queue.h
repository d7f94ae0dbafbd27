/*
 * queue.h - queue IDs and the directories of the queue. Paths are relative to queue_directory.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAIL_QUEUE_H
#define MAIL_QUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/span.h"

#define QUEUE_ID_MAX	100	/* longest ID that we make, with NUL; names in the queue may have up to 255 bytes */
#define QUEUE_PATH_MAX	320

enum {
	QUEUE_MODE_READY = 0700,	/* complete */
	QUEUE_MODE_CORRUPT = 0400,
	QUEUE_MODE_UNTHROTTLE = 0040,
	QUEUE_MODE_EXPIRE = 0010,
};

/* 1..255 characters of [A-Za-z0-9_]. */
bool	queue_id_valid(struct span id);
/* Short or long form, as enable_long_queue_ids says. */
void	queue_id_make(char out[QUEUE_ID_MAX], struct timeval now, ino_t inode);
bool	queue_id_is_long(struct span id);
/* Inode number that the ID was made for; false when it holds none. */
bool	queue_id_inode(struct span id, uint64_t *inode);
/* A long ID's time with another inode number, in long or in short form. id must be long. */
void	queue_id_renumber(char out[QUEUE_ID_MAX], struct span id, ino_t inode, bool want_long);

/* "deferred/9/ID" or "active/ID", by hash_queue_names and hash_queue_depth. id must be valid. */
void	queue_path(char out[QUEUE_PATH_MAX], const char *queue, const char *id);
/* rename(2) between queues; makes a missing hash directory. errno on failure. */
bool	queue_rename(const char *id, const char *from, const char *to);
bool	queue_make_dirs(const char *queue, const char *id);	/* the hash directories of that name; errno */
bool	queue_unlink(const char *queue, const char *id);
int	queue_open(const char *queue, const char *id, int flags, mode_t mode);	/* makes hash directories when O_CREAT */
/* The same, for a file that qmgr(8) may be moving from incoming/ to active/ at this moment: it is found in either. */
int	queue_open_moving(const char *queue, const char *id, int flags);

/*
 * New file in a queue directory under its final name, opened read-write and close-on-exec, mode 0600.
 * -1 and *e on failure. The ID stays reserved as long as the file exists.
 */
int	queue_create(const char *queue, mode_t mode, struct timeval *created, char id[QUEUE_ID_MAX], struct err *e);

/* Walk all message names of a queue, hash directories included. One directory is open at a time. */
struct queue_scan;
struct queue_scan *queue_scan_open(const char *queue);
bool	queue_scan_next(struct queue_scan *, const char **id);	/* false at the end; id valid until the next call */
/* Subdirectory path of what was returned last ("deferred/9"). */
const char *queue_scan_dir(const struct queue_scan *);
int	queue_scan_fd(const struct queue_scan *);	/* of that directory; -1 at the end */
void	queue_scan_close(struct queue_scan **);
/* All names of a queue, as keys of a hash that the caller frees. NULL: some directory could not be read. */
struct hash *queue_names(const char *queue);

#endif
