/*
 * map_lmdb.c - lmdb: tables. On disk as Postfix's: one file without lock file, fcntl() locks on the file itself,
 * the unnamed database, NUL behind keys and values.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/conf.h"
#include "io/file.h"
#include "map/index.h"

#define TRIES		60	/* map size doubles each time */
#define MAP_SIZE_MIN	((size_t)16777216)

struct lmdb {
	struct index index;
	MDB_env *env;
	MDB_dbi dbi;
	MDB_txn *reader;	/* reset, to be renewed */
	int fd;
	struct buf position;	/* key that map_next returned last */
};

static MDB_val
val(struct span s)
{
	return (MDB_val){ .mv_size = s.n, .mv_data = (void *)(uintptr_t)s.p };
}

static struct span
unval(MDB_val v)
{
	return index_unform(span(v.mv_data, v.mv_size));
}

static int
begin_read(struct lmdb *t)
{
	int rc = t->reader == NULL ? mdb_txn_begin(t->env, NULL, MDB_RDONLY, &t->reader) : mdb_txn_renew(t->reader);

	/* Another process made the file grow. */
	for (int i = 0; rc == MDB_MAP_RESIZED && i < TRIES; i++) {
		rc = mdb_env_set_mapsize(t->env, 0);
		if (rc == 0)
			rc = t->reader == NULL ? mdb_txn_begin(t->env, NULL, MDB_RDONLY, &t->reader) : mdb_txn_renew(t->reader);
	}
	return rc;
}

static size_t
map_size(const char *path, size_t at_least)
{
	size_t size = conf.lmdb_map_size > 0 ? (size_t)conf.lmdb_map_size : MAP_SIZE_MIN;
	struct stat st;

	if (stat(path, &st) == 0 && (size_t)st.st_size > size)
		size = (size_t)st.st_size;
	if (at_least > size)
		size = at_least;
	return (size + 65535) & ~(size_t)65535;
}

static int
open_database(struct lmdb *t)
{
	MDB_txn *txn;
	int rc = file_lock_range(t->fd, FILE_LOCK_SHARED, true) ? begin_read(t) : errno;

	if (rc == 0) {
		txn = t->reader;
		t->reader = NULL;
		rc = mdb_dbi_open(txn, NULL, 0, &t->dbi);
		if (rc == 0)
			rc = mdb_txn_commit(txn);	/* keeps the handle for later transactions */
		else
			mdb_txn_abort(txn);
	}
	(void)file_lock_range(t->fd, FILE_UNLOCK, true);
	return rc;
}

static int
open_env(struct lmdb *t, const char *path, unsigned flags, size_t size)
{
	int rc = mdb_env_create(&t->env);

	if (rc == 0)
		rc = mdb_env_set_mapsize(t->env, map_size(path, size));
	if (rc == 0)
		rc = mdb_env_open(t->env, path, MDB_NOSUBDIR | MDB_NOLOCK | flags, 0666);
	if (rc == 0)
		rc = mdb_env_get_fd(t->env, &t->fd);
	if (rc == 0)
		(void)fcntl(t->fd, F_SETFD, FD_CLOEXEC);
	return rc;
}

static void
close_env(struct lmdb *t)
{
	if (t->reader != NULL)
		mdb_txn_abort(t->reader);
	if (t->env != NULL)
		mdb_env_close(t->env);
	t->env = NULL;
	t->reader = NULL;
}

static void
lmdb_close(struct map *m)
{
	struct lmdb *t = m->state;

	close_env(t);
	buf_free(&t->position);
	index_close(&t->index);
	free(t);
}

static bool
lmdb_open(struct map *m, struct err *e)
{
	struct lmdb *t = calloc(1, sizeof *t);
	int rc = 0;

	if (t == NULL)
		log_out_of_memory();
	m->state = t;
	if (!index_open(&t->index, m, ".lmdb", true, e)) {
		lmdb_close(m);
		return false;
	}
	if (t->index.stage != NULL)	/* a rebuild */
		return true;
	/* Whoever may write makes the file: there is no way to have it otherwise. */
	if ((m->flags & MAP_WRITE) == 0)
		rc = access(t->index.path, F_OK) == 0 ? 0 : errno;
	if (rc == 0)
		rc = open_env(t, t->index.path, (m->flags & MAP_WRITE) ? 0 : MDB_RDONLY, 0);
	if (rc == 0)
		rc = open_database(t);
	if (rc != 0) {
		(void)err_temp(e, "open database %s: %s", t->index.path, mdb_strerror(rc));
		lmdb_close(m);
		return false;
	}
	index_opened(&t->index, t->fd);
	map_warn_stale(t->index.path, m->name);
	return (m->flags & MAP_BULK) == 0 || index_collect(&t->index, m, false, true, e);
}

/* One form of the key; with the read transaction open. */
static int
get_form(struct lmdb *t, struct span key, bool nul, struct arena *mem, struct span *value)
{
	MDB_val k = val(index_form(key, nul, mem)), v;
	int rc;

	if (k.mv_size > (size_t)mdb_env_get_maxkeysize(t->env))
		return MDB_NOTFOUND;
	rc = mdb_get(t->reader, t->dbi, &k, &v);
	if (rc == 0)
		*value = span_copy(unval(v), mem);
	return rc;
}

static enum map_status
lmdb_get(struct map *m, struct span key, struct arena *mem, struct span *value, struct err *e)
{
	struct lmdb *t = m->state;
	int rc = MDB_NOTFOUND;

	if (t->env == NULL)
		return MAP_NOT_FOUND;
	if (!file_lock_range(t->fd, FILE_LOCK_SHARED, true))
		return MAP_TEMPORARY(e, "lock %s: %s", t->index.path, strerror(errno));
	rc = begin_read(t);
	if (rc == 0) {
		rc = MDB_NOTFOUND;
		if (t->index.try_nul && (rc = get_form(t, key, true, mem, value)) == 0)
			t->index.try_plain = false;
		if (rc == MDB_NOTFOUND && t->index.try_plain && (rc = get_form(t, key, false, mem, value)) == 0)
			t->index.try_nul = false;
		mdb_txn_reset(t->reader);
	}
	(void)file_lock_range(t->fd, FILE_UNLOCK, true);
	if (rc == MDB_NOTFOUND)
		return MAP_NOT_FOUND;
	return rc == 0 ? MAP_FOUND : MAP_TEMPORARY(e, "error reading %s: %s", m->spec, mdb_strerror(rc));
}

/* One change in a transaction of its own. value NULL: delete. */
static int
change(struct lmdb *t, MDB_val *key, MDB_val *value, unsigned flags)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(t->env, NULL, 0, &txn);

	if (rc == MDB_MAP_RESIZED)
		return (rc = mdb_env_set_mapsize(t->env, 0)) == 0 ? MDB_MAP_RESIZED : rc;
	if (rc != 0)
		return rc;
	rc = value != NULL ? mdb_put(txn, t->dbi, key, value, flags) : mdb_del(txn, t->dbi, key, NULL);
	if (rc == 0)
		rc = mdb_txn_commit(txn);
	else
		mdb_txn_abort(txn);
	if (rc == MDB_MAP_FULL) {
		MDB_envinfo info;

		(void)mdb_env_info(t->env, &info);
		rc = mdb_env_set_mapsize(t->env, info.me_mapsize * 2);
		if (rc == 0)
			rc = MDB_MAP_RESIZED;
	}
	return rc;
}

static int
locked_change(struct lmdb *t, MDB_val key, MDB_val *value, unsigned flags)
{
	int rc = MDB_MAP_RESIZED;

	if (t->reader != NULL) {
		mdb_txn_abort(t->reader);	/* the map may not move under it */
		t->reader = NULL;
	}
	if (!file_lock_range(t->fd, FILE_LOCK_EXCLUSIVE, true))
		return errno;
	for (int i = 0; rc == MDB_MAP_RESIZED && i < TRIES; i++)
		rc = change(t, &key, value, flags);
	(void)file_lock_range(t->fd, FILE_UNLOCK, true);
	return rc;
}

static enum map_status
lmdb_put(struct map *m, struct span key, struct span value, struct err *e)
{
	struct lmdb *t = m->state;
	struct arena *mem;
	const bool nul = index_writes_nul(&t->index);
	MDB_val k, v;
	int rc;

	if (t->index.stage != NULL)
		return index_stage(&t->index, m, m->spec, key, value);
	mem = arena_new();
	k = val(index_form(key, nul, mem));
	v = val(index_form(value, nul, mem));
	rc = locked_change(t, k, &v, (m->flags & MAP_DUP_REPLACE) ? 0 : MDB_NOOVERWRITE);
	arena_free(&mem);
	if (rc == MDB_KEYEXIST && (m->flags & MAP_DUP_WARN))
		log_warning("%s: duplicate entry: \"%.*s\"", m->spec, SPAN_ARG(key));
	if (rc == 0 || rc == MDB_KEYEXIST)
		return rc == 0 ? MAP_NOT_FOUND : MAP_FOUND;
	return MAP_TEMPORARY(e, "error updating %s: %s", m->spec, mdb_strerror(rc));
}

static enum map_status
lmdb_remove(struct map *m, struct span key, struct err *e)
{
	struct lmdb *t = m->state;
	struct arena *mem;
	int rc = MDB_NOTFOUND;

	if (t->index.stage != NULL)
		return index_unstage(&t->index, key);
	mem = arena_new();
	if (t->index.try_nul)
		rc = locked_change(t, val(index_form(key, true, mem)), NULL, 0);
	if (rc == MDB_NOTFOUND && t->index.try_plain)
		rc = locked_change(t, val(index_form(key, false, mem)), NULL, 0);
	arena_free(&mem);
	if (rc == MDB_NOTFOUND || rc == 0)
		return rc == 0 ? MAP_FOUND : MAP_NOT_FOUND;
	return MAP_TEMPORARY(e, "error deleting from %s: %s", m->spec, mdb_strerror(rc));
}

static enum map_status
lmdb_next(struct map *m, bool first, struct arena *mem, struct span *key, struct span *value, struct err *e)
{
	struct lmdb *t = m->state;
	MDB_cursor *cursor;
	MDB_val k = val(buf_view(&t->position)), v;
	int rc;

	if (!file_lock_range(t->fd, FILE_LOCK_SHARED, true))
		return MAP_TEMPORARY(e, "lock %s: %s", t->index.path, strerror(errno));
	if ((rc = begin_read(t)) == 0) {
		const struct span last = buf_view(&t->position);

		rc = mdb_cursor_open(t->reader, t->dbi, &cursor);
		if (rc == 0) {
			rc = mdb_cursor_get(cursor, &k, &v, first ? MDB_FIRST : MDB_SET_RANGE);
			if (rc == 0 && !first && span_eq(span(k.mv_data, k.mv_size), last))
				rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
			if (rc == 0) {
				buf_reset(&t->position);
				buf_add(&t->position, k.mv_data, k.mv_size);
				*key = span_copy(unval(k), mem);
				*value = span_copy(unval(v), mem);
			}
			mdb_cursor_close(cursor);
		}
		mdb_txn_reset(t->reader);
	}
	(void)file_lock_range(t->fd, FILE_UNLOCK, true);
	if (rc == MDB_NOTFOUND)
		return MAP_NOT_FOUND;
	return rc == 0 ? MAP_FOUND : MAP_TEMPORARY(e, "error reading %s: %s", m->spec, mdb_strerror(rc));
}

/* Keys in order make full pages; the size is known, so the map never has to grow in between. */
static int
write_staged(struct lmdb *t, struct index_entry *entries, size_t n)
{
	MDB_txn *txn;
	int rc = index_in_place(&t->index) && !file_lock_range(t->fd, FILE_LOCK_EXCLUSIVE, true) ? errno : 0;

	if (rc == 0)
		rc = mdb_txn_begin(t->env, NULL, 0, &txn);
	if (rc != 0)
		return rc;
	rc = mdb_dbi_open(txn, NULL, 0, &t->dbi);
	if (rc == 0 && index_in_place(&t->index))
		rc = mdb_drop(txn, t->dbi, 0);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		MDB_val k = val(entries[i].key), v = val(entries[i].value);

		rc = mdb_put(txn, t->dbi, &k, &v, MDB_APPEND);
	}
	if (rc == 0)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return rc;
}

static int
apply_entry(const struct map *m, MDB_txn *txn, MDB_dbi dbi, const struct index_entry *entry)
{
	MDB_val k = val(entry->key), v = val(entry->value);
	int rc;

	if (entry->gone) {
		rc = mdb_del(txn, dbi, &k, NULL);
		return rc == MDB_NOTFOUND ? 0 : rc;
	}
	return mdb_put(txn, dbi, &k, &v, entry->replace || (m->flags & MAP_DUP_REPLACE) ? 0 : MDB_NOOVERWRITE);
}

/* All changes in one transaction. *told: entries whose duplicates were warned of in an earlier try. */
static int
try_changes(struct map *m, const struct index_entry *entries, size_t n, size_t *told)
{
	struct lmdb *t = m->state;
	MDB_txn *txn;
	int rc = mdb_txn_begin(t->env, NULL, 0, &txn);

	if (rc != 0)
		return rc;
	for (size_t i = 0; rc == 0 && i < n; i++) {
		rc = apply_entry(m, txn, t->dbi, &entries[i]);
		if (rc != MDB_KEYEXIST)
			continue;
		rc = 0;
		if (i >= *told && (m->flags & MAP_DUP_WARN))
			log_warning("%s: duplicate entry: \"%.*s\"", m->spec, SPAN_ARG(index_unform(entries[i].key)));
		if (i >= *told)
			*told = i + 1;
	}
	if (rc == 0)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return rc;
}

/* The map is too small: ours, or since another process made the file grow. */
static int
enlarge(struct lmdb *t, int rc)
{
	MDB_envinfo info;

	if (rc == MDB_MAP_RESIZED)
		return mdb_env_set_mapsize(t->env, 0);
	(void)mdb_env_info(t->env, &info);
	return mdb_env_set_mapsize(t->env, info.me_mapsize * 2);
}

static bool
finish_changes(struct map *m, struct err *e)
{
	struct lmdb *t = m->state;
	size_t n, bytes, told = 0;
	const struct index_entry *entries = index_staged(&t->index, false, &n, &bytes);
	int rc = file_lock_range(t->fd, FILE_LOCK_EXCLUSIVE, true) ? MDB_MAP_FULL : errno;

	for (int i = 0; (rc == MDB_MAP_FULL || rc == MDB_MAP_RESIZED) && i < TRIES; i++) {
		const int before = i == 0 ? 0 : enlarge(t, rc);

		rc = before == 0 ? try_changes(m, entries, n, &told) : before;
	}
	(void)file_lock_range(t->fd, FILE_UNLOCK, true);
	return rc == 0 || err_temp(e, "error updating %s: %s", m->spec, mdb_strerror(rc));
}

static bool
lmdb_finish(struct map *m, struct err *e)
{
	struct lmdb *t = m->state;
	struct index_entry *entries;
	struct stat old;
	size_t n, bytes;
	int rc;

	if (t->index.stage == NULL)
		return true;
	if (m->flags & MAP_BULK)
		return finish_changes(m, e);
	entries = index_staged(&t->index, true, &n, &bytes);
	if (index_in_place(&t->index) && stat(index_write_path(&t->index), &old) == 0)
		bytes += (size_t)old.st_size;	/* pages of the old content are free only afterwards */
	rc = open_env(t, index_write_path(&t->index), MDB_NOSYNC, bytes * 3 + n * 32 + MAP_SIZE_MIN);
	if (rc == 0)
		rc = write_staged(t, entries, n);
	if (rc == 0)
		rc = mdb_env_sync(t->env, 1);
	close_env(t);
	if (rc != 0)
		return err_temp(e, "error updating %s: %s", m->spec, mdb_strerror(rc));
	return index_commit(&t->index, e);
}

static bool
lmdb_changed(const struct map *m)
{
	return index_changed(&((const struct lmdb *)m->state)->index, false);
}

const struct map_type map_type_lmdb = {
	.name = "lmdb",
	.properties = MAP_TYPE_FIXED | MAP_TYPE_WRITABLE | MAP_TYPE_CREATABLE,
	.open = lmdb_open,
	.close = lmdb_close,
	.get = lmdb_get,
	.put = lmdb_put,
	.remove = lmdb_remove,
	.next = lmdb_next,
	.finish = lmdb_finish,
	.changed = lmdb_changed,
};
