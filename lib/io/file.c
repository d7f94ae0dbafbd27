/*
 * file.c - files, locks.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/file.h"

static const char *
complaint(const struct stat *st, uid_t owner)
{
	if (!S_ISREG(st->st_mode))
		return "not a regular file";
	if (st->st_nlink != 1)
		return "file has multiple hard links";
	if (owner != (uid_t)-1 && st->st_uid != owner)
		return "file has unexpected owner";
	return NULL;
}

int
file_open_safe(const char *path, int flags, mode_t mode, uid_t owner, struct stat *st_out, struct err *e)
{
	struct stat st = {0};
	int fd = open(path, flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, mode);

	if (fd < 0) {
		(void)err_temp(e, "cannot open file %s: %s", path, errno == ELOOP ? "file is a symbolic link" : strerror(errno));
		return -1;
	}
	const char *bad = fstat(fd, &st) != 0 ? strerror(errno) : complaint(&st, owner);

	if (bad != NULL) {
		(void)err_perm(e, "cannot open file %s: %s", path, bad);
		(void)close(fd);
		errno = EPERM;
		return -1;
	}
	if (st_out != NULL)
		*st_out = st;
	return fd;
}

int
file_open_look(int dir, const char *path)
{
	const int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	int fd = openat(dir, path, flags | O_NOATIME);

	return fd < 0 && errno == EPERM ? openat(dir, path, flags) : fd;
}

void
file_close_now(struct file_closing *c)
{
	for (size_t first = 0, next; first < c->n; first = next) {
		for (next = first + 1; next < c->n && c->fd[next] == c->fd[next - 1] + 1; )
			next++;
		(void)close_range((unsigned)c->fd[first], (unsigned)c->fd[next - 1], 0);
	}
	c->n = 0;
}

void
file_close_later(struct file_closing *c, int fd)
{
	size_t at = c->n;

	if (fd < 0)
		return;
	for (; at > 0 && c->fd[at - 1] > fd; at--)
		c->fd[at] = c->fd[at - 1];
	c->fd[at] = fd;
	c->n++;
	if (c->n == sizeof c->fd / sizeof *c->fd)
		file_close_now(c);
}

bool
file_lock(int fd, enum file_lock how, bool wait)
{
	static const int ops[] = { [FILE_LOCK_SHARED] = LOCK_SH, [FILE_LOCK_EXCLUSIVE] = LOCK_EX, [FILE_UNLOCK] = LOCK_UN };
	int rc;

	do {
		rc = flock(fd, ops[how] | (wait ? 0 : LOCK_NB));
	} while (rc != 0 && errno == EINTR);
	return rc == 0;
}

bool
file_lock_range(int fd, enum file_lock how, bool wait)
{
	static const short types[] = { [FILE_LOCK_SHARED] = F_RDLCK, [FILE_LOCK_EXCLUSIVE] = F_WRLCK, [FILE_UNLOCK] = F_UNLCK };
	struct flock lock = { .l_type = types[how], .l_whence = SEEK_SET };
	int rc;

	do {
		rc = fcntl(fd, wait ? F_SETLKW : F_SETLK, &lock);
	} while (rc != 0 && errno == EINTR);
	return rc == 0;
}

bool
file_write_all(int fd, const void *data, size_t n)
{
	const char *p = data;

	while (n > 0) {
		ssize_t put = write(fd, p, n);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0) {
			if (put == 0)
				errno = ENOSPC;
			return false;
		}
		p += put;
		n -= (size_t)put;
	}
	return true;
}

bool
file_read_fd(int fd, size_t max, struct buf *out)
{
	ssize_t got;

	do {
		buf_reserve(out, 65536);
		got = read(fd, out->p + out->n, 65536);
		if (got > 0)
			out->n += (size_t)got;
		if (out->n > max) {
			errno = EFBIG;
			return false;
		}
	} while (got > 0 || (got < 0 && errno == EINTR));
	out->p[out->n] = '\0';
	return got == 0;
}

bool
file_read_all(const char *path, size_t max, struct buf *out, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_temp(e, "open %s: %s", path, strerror(errno));
	bool ok = file_read_fd(fd, max, out);
	int why = errno;

	(void)close(fd);
	if (ok)
		return true;
	if (why == EFBIG)
		return err_perm(e, "%s: file is larger than %zu bytes", path, max);
	return err_temp(e, "read %s: %s", path, strerror(why));
}

bool
file_make_dir(const char *path, mode_t mode)
{
	struct stat st;

	return mkdir(path, mode) == 0 || (errno == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode));
}

void
file_sync_parent(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *directory = slash == NULL ? span_strdup(SPAN(".")) :
	    span_strdup(span(path, slash == path ? 1 : (size_t)(slash - path)));
	const int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0) {
		(void)fsync(fd);
		(void)close(fd);
	}
	free(directory);
}

/* The path still names the file that is open. */
static bool
same_file(const struct stat *open_file, const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && st.st_ino == open_file->st_ino && st.st_dev == open_file->st_dev;
}

int
file_open_temporary(const char *path, mode_t mode)
{
	struct stat by_fd;

	for (;;) {
		const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, mode);
		int error;

		if (fd < 0)
			return -1;
		if (file_lock(fd, FILE_LOCK_EXCLUSIVE, true) && fstat(fd, &by_fd) == 0) {
			if (!same_file(&by_fd, path)) {
				(void)close(fd);	/* renamed or removed while we waited */
				continue;
			}
			if (S_ISREG(by_fd.st_mode) && (by_fd.st_nlink != 1 || by_fd.st_uid != geteuid()) && unlink(path) == 0) {
				(void)close(fd);	/* somebody else's, or a name of another file: not to be written */
				continue;
			}
			if (S_ISREG(by_fd.st_mode) && by_fd.st_nlink == 1 && ftruncate(fd, 0) == 0)
				return fd;
			if (!S_ISREG(by_fd.st_mode))
				errno = EEXIST;
		}
		error = errno;
		(void)close(fd);
		errno = error;
		return -1;
	}
}

void
file_raise_limit(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) != 0 || l.rlim_cur == l.rlim_max)
		return;
	l.rlim_cur = l.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &l);
}
