/*
 * file.h - files opened with suspicion, locks, whole-file reading and atomic replacement.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef IO_FILE_H
#define IO_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * Open a regular file that someone else may have prepared: no symbolic link as last component, exactly one hard
 * link, a regular file, owned by owner (or (uid_t)-1 for any). flags as open(2); O_CREAT uses mode. *st may be NULL.
 * -1, *e and errno on failure.
 */
int	file_open_safe(const char *path, int flags, mode_t mode, uid_t owner, struct stat *st, struct err *e);
/* openat(2) of a file that is only looked at: reading it leaves no new access time behind where the caller may have it so
 * (he owns the file), which spares the write of an inode for each of many. No symbolic link, close-on-exec, never waits. */
int	file_open_look(int dir, const char *path);
/* Descriptors that are closed together, because that is one call where their numbers follow one another. Start with {0}. */
struct file_closing {
	int fd[16];
	size_t n;
};
void	file_close_later(struct file_closing *, int fd);	/* -1 is fine */
void	file_close_now(struct file_closing *);

enum file_lock { FILE_LOCK_SHARED, FILE_LOCK_EXCLUSIVE, FILE_UNLOCK };
bool	file_lock(int fd, enum file_lock, bool wait);		/* flock(2), as the queue uses on Linux */
bool	file_lock_range(int fd, enum file_lock, bool wait);	/* fcntl(2) on the whole file, as tables and mailboxes use */

bool	file_write_all(int fd, const void *p, size_t n);	/* errno on failure */
/* Whole content of a file of at most max bytes. */
bool	file_read_all(const char *path, size_t max, struct buf *out, struct err *e);
bool	file_read_fd(int fd, size_t max, struct buf *out);	/* from where fd stands; errno, EFBIG when it is longer */
/* Make a rename durable: fsync the directory that path is in. */
void	file_sync_parent(const char *path);
/*
 * Open and lock (exclusively) a temporary file that will be renamed over another; waits for whoever has it, and
 * takes the new one when that was renamed meanwhile. Empty afterwards. -1 and errno on failure.
 */
int	file_open_temporary(const char *path, mode_t mode);
bool	file_make_dir(const char *path, mode_t mode);		/* true also when it exists */
/* As many open descriptors as the system lets this process have, whatever a shell's limit is. */
void	file_raise_limit(void);

#endif
