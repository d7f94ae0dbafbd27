/*
 * map_cdb.c - cdb: tables, constant databases (tinycdb). Read-only once built; no NUL behind keys unless asked.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#ifdef HAVE_CDB
#include <cdb.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "map/index.h"

struct cdb_table {
	struct index index;
	struct cdb cdb;
	unsigned at;		/* of cdb_seqnext */
	int fd;
};

static void
table_close(struct map *m)
{
	struct cdb_table *t = m->state;

	if (t->fd >= 0) {
		cdb_free(&t->cdb);
		(void)close(t->fd);
	}
	index_close(&t->index);
	free(t);
}

static bool
table_open(struct map *m, struct err *e)
{
	struct cdb_table *t = calloc(1, sizeof *t);

	if (t == NULL)
		log_out_of_memory();
	t->fd = -1;
	m->state = t;
	if ((m->flags & MAP_WRITE) && (m->flags & MAP_TRUNCATE) == 0) {
		free(t);
		return err_perm(e, "%s map requires O_RDONLY access mode", m->spec);
	}
	if (!index_open(&t->index, m, ".cdb", false, e)) {
		table_close(m);
		return false;
	}
	if (t->index.stage != NULL)
		return true;
	t->fd = open(t->index.path, O_RDONLY | O_CLOEXEC);
	if (t->fd < 0 || cdb_init(&t->cdb, t->fd) != 0) {
		(void)err_temp(e, "open database %s: %s", t->index.path, strerror(errno));
		if (t->fd >= 0)
			(void)close(t->fd);
		t->fd = -1;
		table_close(m);
		return false;
	}
	index_opened(&t->index, t->fd);
	map_warn_stale(t->index.path, m->name);
	return true;
}

static bool
find_form(struct cdb_table *t, struct span key, bool nul, struct arena *mem, struct span *value)
{
	const struct span k = index_form(key, nul, mem);
	const void *data;

	if (cdb_find(&t->cdb, k.p, (unsigned)k.n) <= 0)
		return false;
	data = cdb_getdata(&t->cdb);
	if (data == NULL)
		return false;
	*value = span_copy(index_unform(span(data, cdb_datalen(&t->cdb))), mem);
	return true;
}

static enum map_status
table_get(struct map *m, struct span key, struct arena *mem, struct span *value, struct err *e)
{
	struct cdb_table *t = m->state;

	(void)e;
	if (t->fd < 0)
		return MAP_NOT_FOUND;
	if (t->index.try_nul && find_form(t, key, true, mem, value)) {
		t->index.try_plain = false;
		return MAP_FOUND;
	}
	if (t->index.try_plain && find_form(t, key, false, mem, value)) {
		t->index.try_nul = false;
		return MAP_FOUND;
	}
	return MAP_NOT_FOUND;
}

static enum map_status
table_put(struct map *m, struct span key, struct span value, struct err *e)
{
	struct cdb_table *t = m->state;

	if (t->index.stage == NULL)
		return MAP_PERMANENT(e, "%s map requires O_RDONLY access mode", m->spec);
	return index_stage(&t->index, m, m->name, key, value);
}

static enum map_status
table_next(struct map *m, bool first, struct arena *mem, struct span *key, struct span *value, struct err *e)
{
	struct cdb_table *t = m->state;
	const void *k, *v;

	(void)e;
	if (first)
		cdb_seqinit(&t->at, &t->cdb);
	if (cdb_seqnext(&t->at, &t->cdb) <= 0)
		return MAP_NOT_FOUND;
	k = cdb_getkey(&t->cdb);
	v = cdb_getdata(&t->cdb);
	if (k == NULL || v == NULL)
		return MAP_PERMANENT(e, "error reading %s: damaged file", m->spec);
	*key = span_copy(index_unform(span(k, cdb_keylen(&t->cdb))), mem);
	*value = span_copy(index_unform(span(v, cdb_datalen(&t->cdb))), mem);
	return MAP_FOUND;
}

static bool
table_finish(struct map *m, struct err *e)
{
	struct cdb_table *t = m->state;
	struct cdb_make maker;
	struct index_entry *entries;
	size_t n, bytes;
	bool ok;

	if (t->index.stage == NULL)
		return true;
	if (index_in_place(&t->index))
		return err_temp(e, "open database %s.tmp: %s", t->index.path, strerror(EACCES));
	entries = index_staged(&t->index, false, &n, &bytes);
	ok = cdb_make_start(&maker, t->index.lock) == 0;
	for (size_t i = 0; ok && i < n; i++)
		ok = cdb_make_add(&maker, entries[i].key.p, (unsigned)entries[i].key.n, entries[i].value.p,
		    (unsigned)entries[i].value.n) == 0;
	if (!ok || cdb_make_finish(&maker) != 0)
		return err_temp(e, "error writing %s: %s", t->index.path, strerror(errno));
	return index_commit(&t->index, e);
}

static bool
table_changed(const struct map *m)
{
	return index_changed(&((const struct cdb_table *)m->state)->index, true);
}

const struct map_type map_type_cdb = {
	.name = "cdb",
	.properties = MAP_TYPE_FIXED | MAP_TYPE_WRITABLE | MAP_TYPE_CREATABLE,
	.open = table_open,
	.close = table_close,
	.get = table_get,
	.put = table_put,
	.next = table_next,
	.finish = table_finish,
	.changed = table_changed,
};
#else
typedef int map_cdb_is_empty;
#endif
