/*
 * queue.c - names and places of queue files.
 *
 * SPDX-License-Identifier: ISC
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "io/file.h"
#include "mail/queue.h"

static const char alphabet[] = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";

#define BASE_TIME	52u
#define BASE_INODE	51u
#define SECONDS_DIGITS	6
#define USEC_DIGITS	4
#define LONG_PREFIX	(SECONDS_DIGITS + USEC_DIGITS)

bool
queue_id_valid(struct span id)
{
	if (id.n < 1 || id.n > 255)
		return false;
	for (size_t i = 0; i < id.n; i++)
		if (!ascii_alnum(id.p[i]) && id.p[i] != '_')
			return false;
	return true;
}

/* Digits of v, most significant first, at least min of them. Returns how many were written. */
static size_t
put_base(char *out, uint64_t v, unsigned base, size_t min)
{
	char reversed[32];
	size_t n = 0;

	while (v > 0 || n < min) {
		reversed[n++] = alphabet[v % base];
		v /= base;
	}
	for (size_t i = 0; i < n; i++)
		out[i] = reversed[n - 1 - i];
	return n;
}

static bool
take_base(struct span digits, unsigned base, uint64_t *out)
{
	uint64_t v = 0;

	for (size_t i = 0; i < digits.n; i++) {
		const char *at = digits.p[i] == '\0' ? NULL : strchr(alphabet, digits.p[i]);

		if (at == NULL || (size_t)(at - alphabet) >= base ||
		    __builtin_mul_overflow(v, (uint64_t)base, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(at - alphabet), &v))
			return false;
	}
	*out = v;
	return digits.n > 0;
}

void
queue_id_make(char out[QUEUE_ID_MAX], struct timeval now, ino_t inode)
{
	if (!conf.enable_long_queue_ids) {
		(void)snprintf(out, QUEUE_ID_MAX, "%05X%lX", (unsigned)now.tv_usec, (unsigned long)inode);
		return;
	}
	size_t n = put_base(out, (uint64_t)now.tv_sec, BASE_TIME, SECONDS_DIGITS);

	n += put_base(out + n, (uint64_t)now.tv_usec, BASE_TIME, USEC_DIGITS);
	out[n++] = 'z';
	n += put_base(out + n, (uint64_t)inode, BASE_INODE, 1);
	out[n] = '\0';
}

bool
queue_id_is_long(struct span id)
{
	size_t z = span_rfind(id, 'z');

	return z < id.n && z >= LONG_PREFIX;
}

bool
queue_id_inode(struct span id, uint64_t *inode)
{
	if (queue_id_is_long(id))
		return take_base(span_from(id, span_rfind(id, 'z') + 1), BASE_INODE, inode);
	*inode = 0;
	if (id.n < 6)
		return false;
	for (size_t i = 5; i < id.n; i++) {
		int digit = ascii_hex(id.p[i]);

		if (digit < 0 || *inode >> 60 != 0)
			return false;
		*inode = *inode << 4 | (unsigned)digit;
	}
	return true;
}

void
queue_id_renumber(char out[QUEUE_ID_MAX], struct span id, ino_t inode, bool want_long)
{
	uint64_t usec = 0;
	size_t z = span_rfind(id, 'z');

	if (!want_long || z >= QUEUE_ID_MAX / 2) {
		(void)take_base(span(id.p + z - USEC_DIGITS, USEC_DIGITS), BASE_TIME, &usec);
		(void)snprintf(out, QUEUE_ID_MAX, "%05X%lX", (unsigned)usec, (unsigned long)inode);
		return;
	}
	memcpy(out, id.p, z + 1);
	out[z + 1 + put_base(out + z + 1, (uint64_t)inode, BASE_INODE, 1)] = '\0';
}

/* The characters that choose the hash directories. */
static void
hash_name(char out[QUEUE_ID_MAX], struct span id)
{
	uint64_t usec;
	size_t z = span_rfind(id, 'z');

	if (queue_id_is_long(id) && take_base(span(id.p + z - USEC_DIGITS, USEC_DIGITS), BASE_TIME, &usec))
		(void)snprintf(out, QUEUE_ID_MAX, "%05X", (unsigned)usec);
	else
		*(char *)mempcpy(out, id.p, id.n < QUEUE_ID_MAX ? id.n : QUEUE_ID_MAX - 1) = '\0';
}

static bool
is_hashed(const char *queue)
{
	struct span names = span_str(conf.hash_queue_names), word;

	while (span_take_word(&names, ", \t\r\n", &word))
		if (span_is(word, queue))
			return true;
	return false;
}

/* Text behind the n bytes that stand in out, cut to the room. New length. */
static size_t
add_text(char out[QUEUE_PATH_MAX], size_t n, struct span text)
{
	text = span_to(text, QUEUE_PATH_MAX - 1 - n);
	if (text.n > 0)
		memcpy(out + n, text.p, text.n);
	out[n + text.n] = '\0';
	return n + text.n;
}

void
queue_path(char out[QUEUE_PATH_MAX], const char *queue, const char *id)
{
	char hash[QUEUE_ID_MAX];
	size_t n = add_text(out, add_text(out, 0, span_str(queue)), SPAN("/"));

	if (is_hashed(queue)) {
		hash_name(hash, span_str(id));
		size_t have = strlen(hash);

		for (size_t i = 0; i < (size_t)conf.hash_queue_depth && n + 2 < QUEUE_PATH_MAX; i++) {
			out[n++] = i < have ? hash[i] : '_';
			out[n++] = '/';
		}
	}
	(void)add_text(out, n, span_str(id));
}

static bool
make_parents(char *path)
{
	for (char *p = strchr(path, '/'); p != NULL; p = strchr(p + 1, '/')) {
		*p = '\0';
		bool ok = file_make_dir(path, 0700);

		*p = '/';
		if (!ok)
			return false;
	}
	return true;
}

bool
queue_make_dirs(const char *queue, const char *id)
{
	char path[QUEUE_PATH_MAX];

	queue_path(path, queue, id);
	return make_parents(path);
}

bool
queue_rename(const char *id, const char *from, const char *to)
{
	char a[QUEUE_PATH_MAX], b[QUEUE_PATH_MAX];

	queue_path(a, from, id);
	queue_path(b, to, id);
	if (rename(a, b) == 0)
		return true;
	return errno == ENOENT && make_parents(b) && rename(a, b) == 0;
}

bool
queue_unlink(const char *queue, const char *id)
{
	char path[QUEUE_PATH_MAX];

	queue_path(path, queue, id);
	return unlink(path) == 0;
}

int
queue_open(const char *queue, const char *id, int flags, mode_t mode)
{
	char path[QUEUE_PATH_MAX];

	queue_path(path, queue, id);
	int fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW, mode);

	if (fd < 0 && errno == ENOENT && (flags & O_CREAT) && make_parents(path))
		fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW, mode);
	return fd;
}

int
queue_open_moving(const char *queue, const char *id, int flags)
{
	int fd = queue_open(queue, id, flags, 0);

	if (fd < 0 && errno == ENOENT && strcmp(queue, "incoming") == 0)
		fd = queue_open("active", id, flags, 0);
	return fd;
}

int
queue_create(const char *queue, mode_t mode, struct timeval *created, char id[QUEUE_ID_MAX], struct err *e)
{
	char temp[QUEUE_PATH_MAX], path[QUEUE_PATH_MAX];
	struct stat st;

	for (int try = 0; try < 100; try++) {
		struct timeval now = clock_wall();

		(void)snprintf(temp, sizeof temp, "%s/%ld.%d", queue, (long)now.tv_usec, (int)getpid());
		int fd = open(temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);

		if (fd < 0 && errno == EEXIST)
			continue;
		if (fd < 0) {
			(void)err_temp(e, "cannot create file in %s: %s", queue, strerror(errno));
			return -1;
		}
		if (fstat(fd, &st) == 0) {
			queue_id_make(id, now, st.st_ino);
			queue_path(path, queue, id);
			/* The inode is ours, so the name is free unless the clock went back onto a removed file's ID. */
			if (rename(temp, path) == 0 || (errno == ENOENT && make_parents(path) && rename(temp, path) == 0)) {
				*created = now;
				return fd;
			}
		}
		(void)err_temp(e, "cannot name file in %s: %s", queue, strerror(errno));
		(void)unlink(temp);
		(void)close(fd);
		return -1;
	}
	(void)err_temp(e, "cannot create file in %s: too many name collisions", queue);
	return -1;
}

#define SCAN_DEPTH 5

struct queue_scan {
	struct {
		DIR *dir;
		char path[QUEUE_PATH_MAX];
	} level[SCAN_DEPTH];
	int depth;			/* -1 = done */
	bool incomplete;		/* a directory that is there could not be read */
};

static bool
descend(struct queue_scan *s, const char *path)
{
	if (s->depth + 1 >= SCAN_DEPTH)
		return false;
	DIR *dir = opendir(path);

	if (dir == NULL) {
		s->incomplete |= errno != ENOENT;
		return false;
	}
	s->depth++;
	s->level[s->depth].dir = dir;
	(void)snprintf(s->level[s->depth].path, QUEUE_PATH_MAX, "%s", path);
	return true;
}

struct queue_scan *
queue_scan_open(const char *queue)
{
	struct queue_scan *s = calloc(1, sizeof *s);

	if (s == NULL)
		log_out_of_memory();
	s->depth = -1;
	(void)descend(s, queue);
	return s;
}

bool
queue_scan_next(struct queue_scan *s, const char **id)
{
	while (s->depth >= 0) {
		errno = 0;
		const struct dirent *d = readdir(s->level[s->depth].dir);

		if (d == NULL) {
			s->incomplete |= errno != 0;
			(void)closedir(s->level[s->depth--].dir);
			continue;
		}
		size_t len = strlen(d->d_name);

		if (len == 1 && d->d_name[0] != '.') {
			char sub[QUEUE_PATH_MAX];

			if (snprintf(sub, sizeof sub, "%s/%s", s->level[s->depth].path, d->d_name) < (int)sizeof sub)
				(void)descend(s, sub);
			continue;
		}
		if (!queue_id_valid(span_str(d->d_name)))
			continue;
		*id = d->d_name;
		return true;
	}
	return false;
}

const char *
queue_scan_dir(const struct queue_scan *s)
{
	return s->depth >= 0 ? s->level[s->depth].path : "";
}

int
queue_scan_fd(const struct queue_scan *s)
{
	return s->depth >= 0 ? dirfd(s->level[s->depth].dir) : -1;
}

void
queue_scan_close(struct queue_scan **sp)
{
	struct queue_scan *s = *sp;

	if (s == NULL)
		return;
	while (s->depth >= 0)
		(void)closedir(s->level[s->depth--].dir);
	free(s);
	*sp = NULL;
}

struct hash *
queue_names(const char *queue)
{
	struct queue_scan *scan = queue_scan_open(queue);
	struct hash *names = hash_new();
	const char *id;

	while (queue_scan_next(scan, &id))
		(void)hash_put(names, span_str(id), names);
	if (scan->incomplete)
		hash_free(&names, NULL);
	queue_scan_close(&scan);
	return names;
}
