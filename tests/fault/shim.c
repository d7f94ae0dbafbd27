/*
 * shim.c - LD_PRELOAD: makes chosen calls of a mail program on regular files fail, and its wall clock wrong.
 * The file $FAULT_CONTROL, mapped before any jail, says so: "program operation errno first every". The first-th call from now on
 * fails, and then each every-th; every 0: that one alone. Program "*": all that handle mail. Operations: write, sync, rename,
 * open (creation), truncate, chmod, unlink, link, utime, "any" for all of these, none. Only tests use it.
 *
 * SPDX-License-Identifier: ISC
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define TEXT_SIZE 64

struct control {
	char text[TEXT_SIZE];
	unsigned count, failed;
	int64_t clock_offset;		/* seconds that the wall clock is ahead */
};

static struct control *control;
static int handles_mail;

__attribute__((constructor)) static void
map_control(void)
{
	/* The log and the lock files of master are not the subject. */
	static const char *const programs[] = { "cleanup", "qmgr", "smtp", "local", "virtual", "bounce", "pickup", "smtpd", "flush",
	    "postdrop", "postsuper" };
	const char *path = getenv("FAULT_CONTROL");
	const int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;

	for (size_t i = 0; i < sizeof programs / sizeof *programs; i++)
		handles_mail |= strcmp(program_invocation_short_name, programs[i]) == 0;
	if (fd < 0)
		return;
	void *p = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	control = p == MAP_FAILED ? NULL : p;
	(void)close(fd);
}

/* One word and the blank behind it. */
static int
take(const char **in, const char *word)
{
	const size_t n = strlen(word);

	if (strncmp(*in, word, n) != 0 || (*in)[n] != ' ')
		return 0;
	*in += n + 1;
	return 1;
}

/* Is it this call's turn to fail? Sets errno. */
static int
fails(const char *operation)
{
	const char *in = control == NULL || !handles_mail ? "" : control->text;
	char *end;

	if (!take(&in, "*") && !take(&in, program_invocation_short_name))
		return 0;
	if (!take(&in, "any") && !take(&in, operation))
		return 0;
	const long code = strtol(in, &end, 10), first = strtol(end, &end, 10), every = strtol(end, NULL, 10);
	const long n = __atomic_add_fetch(&control->count, 1, __ATOMIC_RELAXED);

	if (n < first || (n > first && (every == 0 || (n - first) % every != 0)))
		return 0;
	(void)__atomic_add_fetch(&control->failed, 1, __ATOMIC_RELAXED);
	errno = (int)code;
	return 1;
}

/* The log is not what is tested. */
static int
is_file(int fd)
{
	char link[64], path[256];
	const int saved = errno;
	struct stat st;
	ssize_t n = -1;

	if (control != NULL && handles_mail && fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))) {
		(void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
		n = readlink(link, path, sizeof path - 1);
		path[n > 0 ? n : 0] = '\0';
	}
	errno = saved;
	return n > 0 && strstr(path, "/maillog") == NULL && strstr(path, "/sanitizer/") == NULL;
}

#define REAL(type, name, ...) \
	static type (*real)(__VA_ARGS__); \
	if (real == NULL) \
		*(void **)&real = dlsym(RTLD_NEXT, name)

ssize_t
write(int fd, const void *p, size_t n)
{
	REAL(ssize_t, "write", int, const void *, size_t);
	return is_file(fd) && fails("write") ? -1 : real(fd, p, n);
}

ssize_t
writev(int fd, const struct iovec *v, int n)
{
	REAL(ssize_t, "writev", int, const struct iovec *, int);
	return is_file(fd) && fails("write") ? -1 : real(fd, v, n);
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t at)
{
	REAL(ssize_t, "pwrite", int, const void *, size_t, off_t);
	return is_file(fd) && fails("write") ? -1 : real(fd, p, n, at);
}

int
fsync(int fd)
{
	REAL(int, "fsync", int);
	return is_file(fd) && fails("sync") ? -1 : real(fd);
}

int
fdatasync(int fd)
{
	REAL(int, "fdatasync", int);
	return is_file(fd) && fails("sync") ? -1 : real(fd);
}

int
rename(const char *from, const char *to)
{
	REAL(int, "rename", const char *, const char *);
	return fails("rename") ? -1 : real(from, to);
}

int
open(const char *path, int flags, ...)
{
	va_list ap;

	va_start(ap, flags);
	const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(ap, mode_t) : 0;

	va_end(ap);
	REAL(int, "open", const char *, int, ...);
	return (flags & O_CREAT) != 0 && strstr(path, "/maillog") == NULL && fails("open") ? -1 : real(path, flags, mode);
}

int
ftruncate(int fd, off_t length)
{
	REAL(int, "ftruncate", int, off_t);
	return is_file(fd) && fails("truncate") ? -1 : real(fd, length);
}

int
fchmod(int fd, mode_t mode)
{
	REAL(int, "fchmod", int, mode_t);
	return is_file(fd) && fails("chmod") ? -1 : real(fd, mode);
}

int
unlink(const char *path)
{
	struct stat st;
	const int saved = errno, there = lstat(path, &st) == 0;

	errno = saved;
	REAL(int, "unlink", const char *);
	return there && fails("unlink") ? -1 : real(path);
}

int
link(const char *from, const char *to)
{
	REAL(int, "link", const char *, const char *);
	return fails("link") ? -1 : real(from, to);
}

int
utimes(const char *path, const struct timeval times[2])
{
	REAL(int, "utimes", const char *, const struct timeval *);
	return fails("utime") ? -1 : real(path, times);
}

/* --- the clock --- */

int
clock_gettime(clockid_t which, struct timespec *t)
{
	REAL(int, "clock_gettime", clockid_t, struct timespec *);
	const int status = real(which, t);

	if (status == 0 && control != NULL && which == CLOCK_REALTIME)
		t->tv_sec += control->clock_offset;
	return status;
}

int
gettimeofday(struct timeval *restrict t, void *restrict zone)
{
	REAL(int, "gettimeofday", struct timeval *restrict, void *restrict);
	const int status = real(t, zone);

	if (status == 0 && control != NULL)
		t->tv_sec += control->clock_offset;
	return status;
}

time_t
time(time_t *out)
{
	REAL(time_t, "time", time_t *);
	const time_t now = real(NULL) + (control != NULL ? control->clock_offset : 0);

	if (out != NULL)
		*out = now;
	return now;
}
