/*
 * map_db.c - hash: and btree: tables, Berkeley DB files that Postfix reads and writes too.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#ifdef HAVE_DB
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <db.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/conf.h"
#include "io/file.h"
#include "io/unbroken.h"
#include "map/index.h"

#define ENTRY_OVERHEAD	8u		/* bytes of a page that an entry takes beside its own */
#define CHANGE_PAGES	8u		/* more pages than one change writes */
#define BUILD_CACHE_MAX	(512u << 20)

enum action { ACTION_PUT, ACTION_REMOVE };

/* Before the bytes of key and value in struct bdb's changes. */
struct change {
	enum action action;
	u_int32_t key, value;	/* bytes */
};

struct bdb {
	struct index index;
	bool collecting;	/* MAP_BULK: changes until bdb_finish() */
	struct buf changes;
	size_t nchanges;
	u_int32_t page;		/* bytes of a page of the table */
	DB *db;
	DBC *cursor;
	int fd;			/* of the file, for file_lock(); belongs to the library */
	DBTYPE type;
	bool kept;		/* the file was changed and cannot be opened again */
	bool current;		/* while the file is held: it was not changed before */
	bool hold, held;	/* bdb_hold() is on; and the file is locked for it */
};

static DBT
dbt(struct span s)
{
	DBT out;

	memset(&out, 0, sizeof out);
	out.data = (void *)(uintptr_t)s.p;
	out.size = (u_int32_t)s.n;
	return out;
}

static struct span
undbt(const DBT *d, struct arena *mem)
{
	return span_copy(index_unform(span(d->data, d->size)), mem);
}

/* The library would write to standard error by itself. */
static void
no_output(const DB_ENV *env, const char *prefix, const char *text)
{
	(void)env;
	(void)prefix;
	(void)text;
}

static int
open_file(struct bdb *t, const char *path, u_int32_t flags, u_int32_t cache, size_t entries)
{
	int rc = db_create(&t->db, NULL, 0);

	if (rc != 0)
		return rc;
	t->db->set_errcall(t->db, no_output);
	if ((rc = t->db->set_cachesize(t->db, 0, cache, 0)) == 0 && t->type == DB_HASH && entries > 4096)
		rc = t->db->set_h_nelem(t->db, entries > UINT_MAX ? UINT_MAX : (u_int32_t)entries);
	if (rc == 0)
		rc = t->db->open(t->db, NULL, path, NULL, t->type, flags, 0666);
	if (rc == 0)
		rc = t->db->fd(t->db, &t->fd);
	if (rc == 0)
		(void)fcntl(t->fd, F_SETFD, FD_CLOEXEC);
	return rc;
}

static void
close_file(struct bdb *t)
{
	if (t->cursor != NULL)
		(void)t->cursor->close(t->cursor);
	if (t->db != NULL)
		(void)t->db->close(t->db, DB_NOSYNC);
	t->cursor = NULL;
	t->db = NULL;
}

static void
bdb_close(struct map *m)
{
	struct bdb *t = m->state;

	close_file(t);
	index_close(&t->index);
	buf_free(&t->changes);
	free(t);
}

static u_int32_t
cache_size(int wanted)
{
	return wanted > 0 ? (u_int32_t)wanted : 131072;
}

/*
 * Pages of a hash: file are written in no order at all, so a cache that does not hold most of them reads and writes each
 * many times. The entries are in memory anyway; a table as large as that is given a cache for all of it.
 */
static u_int32_t
build_cache_size(size_t bytes, size_t entries)
{
	size_t table = (bytes + entries * ENTRY_OVERHEAD) * 2;
	u_int32_t least = cache_size(conf.berkeley_db_create_buffer_size);

	return table <= least ? least : table < BUILD_CACHE_MAX ? (u_int32_t)table : BUILD_CACHE_MAX;
}

/* Left behind by a program that died early; the library would refuse it. */
static void
remove_empty(const char *path)
{
	struct stat st;

	if (lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0) {
		log_warning("removing zero-length database file: %s", path);
		(void)unlink(path);
	}
}

static int
open_again(struct bdb *t, unsigned map_flags)
{
	const bool writing = (map_flags & MAP_WRITE) != 0;
	int rc = open_file(t, t->index.path, writing ? (map_flags & MAP_CREATE ? DB_CREATE : 0) : DB_RDONLY,
	    cache_size(writing ? conf.berkeley_db_create_buffer_size : conf.berkeley_db_read_buffer_size), 0);

	if (rc == 0)
		index_opened(&t->index, t->fd);
	return rc;
}

/* The library reads the first page when it opens a file: not while another process writes. */
static int
open_current(struct bdb *t, unsigned map_flags)
{
	const int guard = open(t->index.path, O_RDONLY | O_CLOEXEC);
	int rc;

	if (guard >= 0)
		(void)file_lock(guard, FILE_LOCK_SHARED, true);
	rc = open_again(t, map_flags);
	if (guard >= 0)
		(void)close(guard);
	return rc;
}

/*
 * Pages that we remember are no good when another process changed the file. In a chroot it may not be found again: then
 * we go on as we are, and the process restarts when it asks bdb_changed().
 */
static int
open_changed(struct map *m)
{
	struct bdb *t = m->state, old = *t;

	t->db = NULL;
	t->cursor = NULL;
	if (open_current(t, m->flags) == 0) {
		close_file(&old);
		return 0;
	}
	close_file(t);
	*t = old;
	t->kept = true;
	return file_lock(t->fd, FILE_LOCK_SHARED, true) ? 0 : errno;
}

/* 0: locked, and what the library remembers is what the file has. */
static int
lock_current(struct map *m, enum file_lock how)
{
	struct bdb *t = m->state;
	int rc;

	for (;;) {
		if (!file_lock(t->fd, how, true))
			return errno;
		if (t->kept || !index_rewritten(&t->index))
			return 0;
		if ((rc = open_changed(m)) != 0)
			return rc;
	}
}

static bool
bdb_open(struct map *m, DBTYPE type, struct err *e)
{
	struct bdb *t = calloc(1, sizeof *t);
	int rc;

	if (t == NULL)
		log_out_of_memory();
	m->state = t;
	t->type = type;
	if (!index_open(&t->index, m, ".db", true, e)) {
		bdb_close(m);
		return false;
	}
	if (m->flags & MAP_WRITE)
		remove_empty(t->index.path);
	if (t->index.stage != NULL)
		return true;
	rc = open_current(t, m->flags);
	if (rc != 0) {
		(void)err_temp(e, "open database %s: %s", t->index.path, rc > 0 ? strerror(rc) : "Invalid argument");
		bdb_close(m);
		return false;
	}
	map_warn_stale(t->index.path, m->name);
	if ((m->flags & MAP_BULK) == 0)
		return true;
	(void)t->db->get_pagesize(t->db, &t->page);
	close_file(t);			/* it is a table and may be changed: bdb_finish() does */
	t->index.fd = -1;
	t->collecting = true;
	return true;
}

static bool hash_open(struct map *m, struct err *e) { return bdb_open(m, DB_HASH, e); }
static bool btree_open(struct map *m, struct err *e) { return bdb_open(m, DB_BTREE, e); }

static enum map_status
failed(const struct map *m, const char *what, int rc, struct err *e)
{
	return MAP_TEMPORARY(e, "error %s %s: %s", what, m->spec, db_strerror(rc));
}

static int
get_form(const struct bdb *t, struct span key, bool nul, struct arena *mem, struct span *value)
{
	DBT k = dbt(index_form(key, nul, mem)), v = dbt(SPAN_NULL);
	const int rc = t->db->get(t->db, NULL, &k, &v, 0);

	if (rc == 0)
		*value = undbt(&v, mem);
	return rc;
}

static int
find(struct bdb *t, struct span key, struct arena *mem, struct span *value)
{
	int rc = DB_NOTFOUND;

	if (t->index.try_nul && (rc = get_form(t, key, true, mem, value)) == 0)
		t->index.try_plain = false;
	if (rc == DB_NOTFOUND && t->index.try_plain && (rc = get_form(t, key, false, mem, value)) == 0)
		t->index.try_nul = false;
	return rc;
}

/* What is found is right: pages are whole. What is not may have moved to a page that those we remember do not lead to. */
static enum map_status
bdb_get(struct map *m, struct span key, struct arena *mem, struct span *value, struct err *e)
{
	struct bdb *t = m->state;
	int rc;

	if (t->collecting || t->index.stage != NULL)
		return MAP_NOT_FOUND;
	if (!t->held && !file_lock(t->fd, FILE_LOCK_SHARED, true))
		return MAP_TEMPORARY(e, "lock %s: %s", t->index.path, strerror(errno));
	rc = find(t, key, mem, value);
	if (rc != 0 && !t->kept && !(t->held && t->current)) {
		t->current = true;
		if (index_rewritten(&t->index)) {
			rc = lock_current(m, FILE_LOCK_SHARED);
			if (rc == 0)
				rc = find(t, key, mem, value);
		}
	}
	t->current = t->current && t->hold;
	t->held = t->hold;
	if (!t->held)
		(void)file_lock(t->fd, FILE_UNLOCK, true);
	if (rc == DB_NOTFOUND)
		return MAP_NOT_FOUND;
	return rc == 0 ? MAP_FOUND : failed(m, "reading", rc, e);
}

static void
bdb_hold(struct map *m, bool on)
{
	struct bdb *t = m->state;

	t->hold = on;
	if (!on && t->held)
		(void)file_lock(t->fd, FILE_UNLOCK, true);
	t->held = t->held && on;
	t->current = t->current && on;
}

static int
end_change(struct bdb *t, int rc)
{
	if (rc == 0)
		rc = t->db->sync(t->db, 0);
	index_opened(&t->index, t->fd);
	(void)file_lock(t->fd, FILE_UNLOCK, true);
	return rc;
}

static int
put_entry(const struct map *m, struct span key, struct span value, struct arena *mem)
{
	const struct bdb *t = m->state;
	const bool nul = index_writes_nul(&t->index);
	DBT k = dbt(index_form(key, nul, mem)), v = dbt(index_form(value, nul, mem));
	const int rc = t->db->put(t->db, NULL, &k, &v, (m->flags & MAP_DUP_REPLACE) ? 0 : DB_NOOVERWRITE);

	if (rc == DB_KEYEXIST && (m->flags & MAP_DUP_WARN))
		log_warning("%s: duplicate entry: \"%.*s\"", t->index.path, SPAN_ARG(key));
	return rc;
}

static enum map_status
collect(struct bdb *t, enum action action, struct span key, struct span value)
{
	const struct change c = { action, (u_int32_t)key.n, (u_int32_t)value.n };

	buf_add(&t->changes, &c, sizeof c);
	buf_span(&t->changes, key);
	buf_span(&t->changes, value);
	t->nchanges++;
	return MAP_NOT_FOUND;
}

static enum map_status
bdb_put(struct map *m, struct span key, struct span value, struct err *e)
{
	struct bdb *t = m->state;
	struct arena *mem;
	int rc;

	if (t->index.stage != NULL)
		return index_stage(&t->index, m, t->index.path, key, value);
	if (t->collecting)
		return collect(t, ACTION_PUT, key, value);
	if ((rc = lock_current(m, FILE_LOCK_EXCLUSIVE)) != 0)
		return MAP_TEMPORARY(e, "lock %s: %s", t->index.path, strerror(rc));
	mem = arena_new();
	rc = put_entry(m, key, value, mem);
	arena_free(&mem);
	rc = end_change(t, rc);
	if (rc == 0 || rc == DB_KEYEXIST)
		return rc == 0 ? MAP_NOT_FOUND : MAP_FOUND;
	return failed(m, "updating", rc, e);
}

static int
delete_form(const struct bdb *t, struct span key, bool nul, struct arena *mem)
{
	DBT k = dbt(index_form(key, nul, mem));

	return t->db->del(t->db, NULL, &k, 0);
}

static int
delete_entry(const struct bdb *t, struct span key, struct arena *mem)
{
	int rc = DB_NOTFOUND;

	if (t->index.try_nul)
		rc = delete_form(t, key, true, mem);
	if (rc == DB_NOTFOUND && t->index.try_plain)
		rc = delete_form(t, key, false, mem);
	return rc;
}

static enum map_status
bdb_remove(struct map *m, struct span key, struct err *e)
{
	struct bdb *t = m->state;
	struct arena *mem;
	int rc;

	if (t->index.stage != NULL)
		return index_unstage(&t->index, key);
	if (t->collecting)
		return collect(t, ACTION_REMOVE, key, SPAN_NULL);
	if ((rc = lock_current(m, FILE_LOCK_EXCLUSIVE)) != 0)
		return MAP_TEMPORARY(e, "lock %s: %s", t->index.path, strerror(rc));
	mem = arena_new();
	rc = delete_entry(t, key, mem);
	rc = end_change(t, rc);
	arena_free(&mem);
	if (rc == DB_NOTFOUND || rc == 0)
		return rc == 0 ? MAP_FOUND : MAP_NOT_FOUND;
	return failed(m, "deleting from", rc, e);
}

static enum map_status
bdb_next(struct map *m, bool first, struct arena *mem, struct span *key, struct span *value, struct err *e)
{
	struct bdb *t = m->state;
	DBT k = dbt(SPAN_NULL), v = dbt(SPAN_NULL);
	int rc;

	rc = t->cursor == NULL ? lock_current(m, FILE_LOCK_SHARED) : file_lock(t->fd, FILE_LOCK_SHARED, true) ? 0 : errno;
	if (rc != 0)
		return MAP_TEMPORARY(e, "lock %s: %s", t->index.path, strerror(rc));
	if (t->cursor == NULL)
		rc = t->db->cursor(t->db, NULL, &t->cursor, 0);
	if (rc == 0)
		rc = t->cursor->get(t->cursor, &k, &v, first ? DB_FIRST : DB_NEXT);
	if (rc == 0) {
		*key = undbt(&k, mem);
		*value = undbt(&v, mem);
	}
	(void)file_lock(t->fd, FILE_UNLOCK, true);
	if (rc == DB_NOTFOUND)
		return MAP_NOT_FOUND;
	return rc == 0 ? MAP_FOUND : failed(m, "reading", rc, e);
}

/* Readers wait for the lock. */
static int
empty_in_place(const struct bdb *t)
{
	u_int32_t count;

	return file_lock(t->fd, FILE_LOCK_EXCLUSIVE, true) ? t->db->truncate(t->db, NULL, &count, 0) : errno;
}

/* The staged entries into the new file. */
static int
write_staged(struct bdb *t)
{
	struct index_entry *entries;
	size_t n, bytes;
	int rc;

	entries = index_staged(&t->index, t->type == DB_BTREE, &n, &bytes);
	/* An empty file is fine for the library when it may create. */
	rc = open_file(t, index_write_path(&t->index), DB_CREATE, build_cache_size(bytes, n), n);
	if (rc == 0 && index_in_place(&t->index))
		rc = empty_in_place(t);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		if (entries[i].gone)
			continue;
		DBT k = dbt(entries[i].key), v = dbt(entries[i].value);

		rc = t->db->put(t->db, NULL, &k, &v, 0);
	}
	return rc;
}

struct update {
	const struct map *map;
	u_int32_t cache;
};

/*
 * All pages stay in the library's cache until the last entry is in; then they are written at once. In place, this runs in
 * a child, because closing a file writes, too, also after an error.
 */
static int
apply_changes(void *arg)
{
	const struct update *u = arg;
	struct bdb *t = u->map->state;
	struct arena *mem = arena_new();
	const char *at = t->changes.p;
	int rc = open_file(t, index_write_path(&t->index), DB_CREATE, u->cache, 0);

	for (size_t i = 0; rc == 0 && i < t->nchanges; i++) {
		struct change c;

		memcpy(&c, at, sizeof c);
		at += sizeof c;
		rc = c.action == ACTION_REMOVE ? delete_entry(t, span(at, c.key), mem)
		    : put_entry(u->map, span(at, c.key), span(at + c.key, c.value), mem);
		if (rc == DB_KEYEXIST || rc == DB_NOTFOUND)
			rc = 0;
		at += (size_t)c.key + c.value;
		arena_reset(mem);
	}
	arena_free(&mem);
	return rc == 0 ? t->db->sync(t->db, 0) : rc;
}

static int
change_file(struct bdb *t, struct update *u)
{
	int guard, rc;

	if (!index_in_place(&t->index)) {
		rc = apply_changes(u);
		close_file(t);
		return rc;
	}
	guard = open(index_write_path(&t->index), O_RDONLY | O_CLOEXEC);
	if (guard < 0)
		return errno;
	rc = file_lock(guard, FILE_LOCK_EXCLUSIVE, true) ? unbroken(apply_changes, u) : errno;
	(void)close(guard);
	return rc;
}

/* For all pages that the changes can touch, or BUILD_CACHE_MAX when they are too many. A large cache costs time to set up. */
static u_int32_t
update_cache_size(const struct bdb *t)
{
	struct stat st = {0};
	uintmax_t most;

	(void)stat(index_write_path(&t->index), &st);
	most = (uintmax_t)t->nchanges * CHANGE_PAGES * t->page;
	if (most > (uintmax_t)st.st_size)
		most = (uintmax_t)st.st_size;
	most += (uintmax_t)t->changes.n * 4 + (1u << 20);
	return most < BUILD_CACHE_MAX ? (u_int32_t)most : BUILD_CACHE_MAX;
}

/* A table whose pages may not all fit into memory is copied. */
static bool
update(struct map *m, struct err *e)
{
	struct bdb *t = m->state;
	struct update u = { m, update_cache_size(t) };
	int rc;

	if (!index_begin(&t->index, u.cache == BUILD_CACHE_MAX, e))
		return false;
	rc = change_file(t, &u);
	if (rc != 0) {
		(void)failed(m, "updating", rc, e);
		return false;
	}
	return index_commit(&t->index, e);
}

static bool
bdb_finish(struct map *m, struct err *e)
{
	struct bdb *t = m->state;
	int rc;

	if (t->collecting)
		return update(m, e);
	if (t->index.stage == NULL)
		return true;
	rc = write_staged(t);
	if (rc == 0)
		rc = t->db->sync(t->db, 0);
	close_file(t);
	if (rc != 0) {
		(void)failed(m, "updating", rc, e);
		return false;
	}
	return index_commit(&t->index, e);
}

static bool
bdb_changed(const struct map *m)
{
	return index_changed(&((const struct bdb *)m->state)->index, true);
}

#define BDB_ROW(type_name, open_fn) { \
	.name = type_name, \
	.properties = MAP_TYPE_FIXED | MAP_TYPE_WRITABLE | MAP_TYPE_CREATABLE, \
	.open = open_fn, .close = bdb_close, .get = bdb_get, .put = bdb_put, .remove = bdb_remove, \
	.next = bdb_next, .finish = bdb_finish, .changed = bdb_changed, .hold = bdb_hold }

const struct map_type map_type_hash = BDB_ROW("hash", hash_open);
const struct map_type map_type_btree = BDB_ROW("btree", btree_open);
#else
typedef int map_db_is_empty;
#endif
