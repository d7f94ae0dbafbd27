/*
 * shim.c - LD_PRELOAD: makes each k-th write, sync or rename of a mail program's regular files fail.
 * What fails is said in the file $FAULT_CONTROL, mapped before any jail: "operation errno k", for example "write 5 7".
 * Operations: write, sync, rename, none. Only tests use it.
 *
 * SPDX-License-Identifier: ISC
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define TEXT_SIZE 64

struct control {
	char text[TEXT_SIZE];
	unsigned count, failed;
};

static struct control *control;

__attribute__((constructor)) static void
map_control(void)
{
	/* The log and the lock files of master are not the subject. */
	static const char *const programs[] = { "cleanup", "qmgr", "smtp", "local", "virtual", "bounce", "pickup" };
	const char *path = getenv("FAULT_CONTROL");
	int wanted = 0;

	for (size_t i = 0; i < sizeof programs / sizeof *programs; i++)
		wanted |= strcmp(program_invocation_short_name, programs[i]) == 0;
	int fd = wanted && path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;

	if (fd < 0)
		return;
	control = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (control == MAP_FAILED)
		control = NULL;
	(void)close(fd);
}

/* Is it this call's turn to fail? Sets errno. */
static int
fails(const char *operation)
{
	const size_t n = strlen(operation);
	char *end;

	if (control == NULL || strncmp(control->text, operation, n) != 0 || control->text[n] != ' ')
		return 0;
	const long code = strtol(control->text + n, &end, 10), every = strtol(end, NULL, 10);

	if (every <= 0 || __atomic_add_fetch(&control->count, 1, __ATOMIC_RELAXED) % (unsigned long)every != 0)
		return 0;
	(void)__atomic_add_fetch(&control->failed, 1, __ATOMIC_RELAXED);
	errno = (int)code;
	return 1;
}

static int
is_file(int fd)
{
	const int saved = errno;
	struct stat st;
	const int yes = control != NULL && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);

	errno = saved;
	return yes;
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
