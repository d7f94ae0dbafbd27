/*
 * index.c - files behind indexed tables. A reader always sees a whole old or a whole new file.
 *
 * SPDX-License-Identifier: ISC
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/vec.h"
#include "io/file.h"
#include "map/index.h"

/* The hash stands here, so that a search touches the entry that it finds and no other. */
struct slot {
	uint32_t hash, entry;		/* index + 1, 0 = empty */
};

struct stage {
	struct arena *mem;
	struct vec entries;		/* struct index_entry */
	struct slot *slots;
	size_t nslots;			/* a power of two */
	size_t bytes;
	bool nul;
};

static char *
join(const char *a, const char *b)
{
	struct buf out = {0};

	buf_printf(&out, "%s%s", a, b);
	return out.p;
}

static const char *
real_path(const struct index *x)
{
	return x->target != NULL ? x->target : x->path;
}

/* A table that is somewhere else. In a directory of somebody else a link may lead to any file of ours. */
static bool
follow_link(struct index *x, struct err *e)
{
	struct stat st;

	if (lstat(x->path, &st) != 0 || !S_ISLNK(st.st_mode))
		return true;
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return err_perm(e, "open database %s: symbolic link of another user is not followed; remove it", x->path);
	x->target = realpath(x->path, NULL);
	return x->target != NULL || err_temp(e, "open database %s: %s", x->path, strerror(errno));
}

/* The new file is what the old one was. */
static void
take_over(int fd, const char *path)
{
	struct stat old;

	if (stat(path, &old) != 0)
		return;
	if (geteuid() == 0 && fchown(fd, old.st_uid, old.st_gid) != 0)
		return;
	(void)fchmod(fd, old.st_mode & 07777);
}

static bool
writable(const char *path)
{
	return faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS) == 0;
}

static bool
open_temporary(struct index *x, struct err *e)
{
	int error;

	/* Who may not write the old table does not replace it either. */
	if (access(real_path(x), F_OK) == 0 && !writable(real_path(x)))
		return err_temp(e, "open %s%s: %s", span_ends(span_str(x->path), SPAN(".db")) ? "" : "database ", x->path,
		    strerror(errno));
	x->temporary = join(real_path(x), ".tmp");
	x->lock = file_open_temporary(x->temporary, 0666);
	if (x->lock >= 0) {
		take_over(x->lock, real_path(x));
		(void)snprintf(x->write_path, sizeof x->write_path, "/proc/self/fd/%d", x->lock);
		return true;
	}
	error = errno;
	if ((error == EACCES || error == EPERM || error == EROFS) && writable(real_path(x)))
		return true;
	return err_temp(e, "open database %s: %s", x->path, strerror(error));
}

bool index_in_place(const struct index *x) { return x->lock < 0 || x->direct; }

const char *
index_write_path(const struct index *x)
{
	if (index_in_place(x))
		return real_path(x);
	return access(x->write_path, F_OK) == 0 ? x->write_path : x->temporary;	/* no /proc */
}

bool
index_open(struct index *x, const struct map *m, const char *suffix, bool nul_by_default, struct err *e)
{
	*x = (struct index){ .fd = -1, .lock = -1, .path = join(m->name, suffix) };
	x->try_nul = (m->flags & MAP_WITHOUT_NUL) == 0;
	x->try_plain = (m->flags & MAP_WITH_NUL) == 0;
	if ((m->flags & MAP_WRITE) && !follow_link(x, e))
		return false;
	return (m->flags & MAP_TRUNCATE) == 0 || index_collect(x, m, true, nul_by_default, e);
}

bool
index_collect(struct index *x, const struct map *m, bool file, bool nul_by_default, struct err *e)
{
	if (file && !open_temporary(x, e))
		return false;
	x->stage = calloc(1, sizeof *x->stage);
	if (x->stage == NULL)
		log_out_of_memory();
	x->stage->mem = arena_new();
	x->stage->entries = VEC_INIT(struct index_entry);
	x->stage->nul = (m->flags & MAP_WITH_NUL) || (nul_by_default && (m->flags & MAP_WITHOUT_NUL) == 0);
	return true;
}

static bool
copy_file(int from, int to)
{
	char piece[65536];
	ssize_t n;

	while ((n = copy_file_range(from, NULL, to, NULL, 1 << 30, 0)) > 0)
		continue;
	if (n == 0 || (errno != EXDEV && errno != ENOSYS && errno != EINVAL && errno != EOPNOTSUPP))
		return n == 0;
	while ((n = read(from, piece, sizeof piece)) > 0)		/* goes on where the other call ended */
		if (!file_write_all(to, piece, (size_t)n))
			return false;
	return n == 0;
}

/* Nobody changes the old one meanwhile. */
static bool
copy_old(struct index *x, struct err *e)
{
	const int old = open(real_path(x), O_RDONLY | O_CLOEXEC);
	bool ok;

	if (old < 0 && errno == ENOENT)
		return true;
	ok = (old >= 0 && file_lock(old, FILE_LOCK_SHARED, true) && copy_file(old, x->lock)) ||
	    err_temp(e, "copy database %s: %s", x->path, strerror(errno));
	if (old >= 0)
		(void)close(old);
	return ok;
}

bool
index_begin(struct index *x, bool copy, struct err *e)
{
	if (!open_temporary(x, e))
		return false;
	x->direct = !copy;
	return index_in_place(x) || copy_old(x, e);
}

static void
drop_stage(struct index *x)
{
	if (x->stage == NULL)
		return;
	arena_free(&x->stage->mem);
	vec_free(&x->stage->entries);
	free(x->stage->slots);
	free(x->stage);
	x->stage = NULL;
}

void
index_close(struct index *x)
{
	if (x->lock >= 0) {		/* not committed */
		(void)unlink(x->temporary);
		(void)close(x->lock);
	}
	drop_stage(x);
	free(x->path);
	free(x->target);
	free(x->temporary);
	*x = (struct index){ .fd = -1, .lock = -1 };
}

void
index_opened(struct index *x, int fd)
{
	struct stat st;

	x->fd = fd;
	if (fd >= 0 && fstat(fd, &st) == 0) {
		x->dev = st.st_dev;
		x->ino = st.st_ino;
		x->mtime = st.st_mtim;
	}
}

bool
index_changed(const struct index *x, bool by_mtime)
{
	struct stat st;

	if (x->fd < 0 || fstat(x->fd, &st) != 0)
		return false;
	return st.st_nlink == 0 ||
	    (by_mtime && (st.st_mtim.tv_sec != x->mtime.tv_sec || st.st_mtim.tv_nsec != x->mtime.tv_nsec));
}

bool
index_rewritten(const struct index *x)
{
	struct stat st;

	return fstat(x->fd, &st) == 0 && st.st_nlink > 0 &&
	    (st.st_mtim.tv_sec != x->mtime.tv_sec || st.st_mtim.tv_nsec != x->mtime.tv_nsec);
}

struct span
index_form(struct span s, bool nul, struct arena *mem)
{
	const struct span copy = span_copy(s, mem);	/* a NUL follows it */

	return nul ? span(copy.p, copy.n + 1) : copy;
}

struct span
index_unform(struct span stored)
{
	return stored.n > 0 && stored.p[stored.n - 1] == '\0' ? span(stored.p, stored.n - 1) : stored;
}

bool
index_writes_nul(const struct index *x)
{
	return x->try_nul;
}

static struct index_entry *
entry_at(const struct stage *s, size_t i)
{
	return VEC_AT(&s->entries, struct index_entry, i);
}

static struct slot *
slot_of(const struct stage *s, struct span key, uint32_t hash)
{
	size_t i = hash & (s->nslots - 1);

	while (s->slots[i].entry != 0 &&
	    (s->slots[i].hash != hash || !span_eq(entry_at(s, s->slots[i].entry - 1)->key, key)))
		i = (i + 1) & (s->nslots - 1);
	return &s->slots[i];
}

static void
grow_slots(struct stage *s)
{
	struct slot *old = s->slots;
	size_t n = s->nslots;

	if (s->entries.n * 2 < n)
		return;
	assert(s->entries.n < UINT32_MAX / 2);
	s->nslots = n == 0 ? 1024 : n * 4;
	s->slots = calloc(s->nslots, sizeof *s->slots);
	if (s->slots == NULL)
		log_out_of_memory();
	for (size_t k = 0; k < n; k++) {
		size_t i = old[k].hash & (s->nslots - 1);

		if (old[k].entry == 0)
			continue;
		while (s->slots[i].entry != 0)
			i = (i + 1) & (s->nslots - 1);
		s->slots[i] = old[k];
	}
	free(old);
}

static struct index_entry *
add_entry(struct stage *s, struct slot *slot, uint32_t hash)
{
	struct index_entry *entry = vec_add(&s->entries);

	*slot = (struct slot){ hash, (uint32_t)s->entries.n };
	return entry;
}

enum map_status
index_stage(struct index *x, const struct map *m, const char *label, struct span key, struct span value)
{
	struct stage *s = x->stage;
	const struct span stored = index_form(key, s->nul, s->mem);
	const uint32_t hash = (uint32_t)span_hash(stored);
	struct index_entry *entry;
	struct slot *slot;

	grow_slots(s);
	slot = slot_of(s, stored, hash);
	if (slot->entry != 0) {
		entry = entry_at(s, slot->entry - 1);
		if (entry->gone) {
			entry->value = index_form(value, s->nul, s->mem);
			entry->gone = false;
			entry->replace = true;
			return MAP_NOT_FOUND;
		}
		if (m->flags & MAP_DUP_REPLACE)
			entry->value = index_form(value, s->nul, s->mem);
		else if (m->flags & MAP_DUP_WARN)
			log_warning("%s: duplicate entry: \"%.*s\"", label, SPAN_ARG(key));
		return MAP_FOUND;
	}
	entry = add_entry(s, slot, hash);
	*entry = (struct index_entry){ .key = stored, .value = index_form(value, s->nul, s->mem) };
	s->bytes += entry->key.n + entry->value.n;
	return MAP_NOT_FOUND;
}

enum map_status
index_unstage(struct index *x, struct span key)
{
	struct stage *s = x->stage;
	const struct span stored = index_form(key, s->nul, s->mem);
	const uint32_t hash = (uint32_t)span_hash(stored);
	struct index_entry *entry;
	struct slot *slot;

	grow_slots(s);
	slot = slot_of(s, stored, hash);
	if (slot->entry == 0) {
		*add_entry(s, slot, hash) = (struct index_entry){ .key = stored, .gone = true };
		return MAP_NOT_FOUND;
	}
	entry = entry_at(s, slot->entry - 1);
	if (entry->gone)
		return MAP_NOT_FOUND;
	entry->gone = true;
	return MAP_FOUND;
}

static int
compare(const void *a, const void *b)
{
	return span_cmp(((const struct index_entry *)a)->key, ((const struct index_entry *)b)->key);
}

struct index_entry *
index_staged(struct index *x, bool sorted, size_t *n, size_t *bytes)
{
	struct stage *s = x->stage;

	if (sorted && s->entries.n > 0)
		qsort(s->entries.p, s->entries.n, sizeof(struct index_entry), compare);
	*n = s->entries.n;
	*bytes = s->bytes;
	return s->entries.p;
}

bool
index_commit(struct index *x, struct err *e)
{
	if (!index_in_place(x)) {
		if (fsync(x->lock) != 0 || rename(x->temporary, real_path(x)) != 0)
			return err_temp(e, "rename %s to %s: %s", x->temporary, real_path(x), strerror(errno));
		file_sync_parent(real_path(x));
		(void)close(x->lock);
		x->lock = -1;
	}
	drop_stage(x);
	return true;
}
