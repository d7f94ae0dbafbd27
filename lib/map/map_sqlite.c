/*
 * map_sqlite.c - sqlite:FILE, a query against an SQLite database; a loadable module. The database is opened for reading
 * only, before privileges are dropped. Trusts the database's content as that of any table, keys not at all.
 *
 * SPDX-License-Identifier: ISC
 */
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "map/module.h"
#include "map/query.h"

#define FUNCTION	"dict_sqlite_lookup"
#define BUSY_MS		10000

struct table {
	struct arena *mem;
	struct query query;
	sqlite3 *db;
};

static void
table_close(struct map *m)
{
	struct table *t = m->state;

	query_close(&t->query);
	if (t->db != NULL)
		(void)sqlite3_close(t->db);
	arena_free(&t->mem);
	free(t);
}

/* Within '' quotes a quoted key is only a literal; elsewhere it is part of the language. */
static void
warn_unquoted(const struct map *m, const char *query)
{
	bool quoted = false;

	for (const char *p = query; *p != '\0'; p++) {
		if (*p == '\'')
			quoted = !quoted;
		if (*p != '%')
			continue;
		if (*++p != '%' && !quoted) {
			log_warning("%s: query >%s< contains >%%%c< without the recommended '' quotes", m->spec, query, *p);
			return;
		}
	}
}

static bool
open_database(struct map *m, const char *path, struct err *e)
{
	struct table *t = m->state;

	if (sqlite3_open_v2(path, &t->db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK) {
		const char *why = t->db != NULL ? sqlite3_errmsg(t->db) : "out of memory";

		return err_temp(e, "%s: Can't open database: %s?", m->spec, why);
	}
	(void)sqlite3_busy_timeout(t->db, BUSY_MS);
	return true;
}

static bool
configure(struct map *m, struct table_conf *c, struct err *e)
{
	struct table *t = m->state;
	const char *path = table_conf_str(c, "dbpath", NULL, 1), *query = query_sql_template(c);

	if (!table_conf_ok(c, e) || !query_open(&t->query, m, c, query, FUNCTION, e))
		return false;
	t->query.key_word = "key";
	warn_unquoted(m, query);
	return open_database(m, path, e);
}

static bool
table_open(struct map *m, struct err *e)
{
	struct table *t = calloc(1, sizeof *t);

	if (t == NULL)
		log_out_of_memory();
	m->state = t;
	t->mem = arena_new();
	return table_conf_read(m, t->mem, configure, e);
}

static bool
quote(struct span text, struct buf *out, void *arg)
{
	(void)arg;
	if (span_has(text, '\0'))
		return false;
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '\'')
			buf_byte(out, '\'');
		buf_byte(out, text.p[i]);
	}
	return true;
}

static enum map_status
failed(const struct table *t, const char *what, struct err *e)
{
	log_warning(FUNCTION ": %s: SQL %s failed: %s?", t->query.map->name, what, sqlite3_errmsg(t->db));
	return MAP_TEMPORARY(e, "Application error");
}

/* Rows of the first statement; of each the first column. */
static enum map_status
collect(struct table *t, sqlite3_stmt *statement, struct span key, struct result *r, struct err *e)
{
	for (;;) {
		const int rc = sqlite3_step(statement);
		const void *text;

		if (rc == SQLITE_DONE)
			return MAP_FOUND;
		if (rc != SQLITE_ROW)
			return failed(t, "step", e);
		if (sqlite3_column_type(statement, 0) == SQLITE_NULL)
			continue;
		text = sqlite3_column_text(statement, 0);
		if (!query_add(&t->query, r, key, span(text, (size_t)sqlite3_column_bytes(statement, 0)), e))
			return MAP_FAILED;
	}
}

static enum map_status
table_get(struct map *m, struct span key, struct arena *mem, struct span *value, struct err *e)
{
	struct table *t = m->state;
	sqlite3_stmt *statement = NULL;
	struct buf query = {0};
	struct result r = {0};
	enum map_status status;

	key = query_key(&t->query, key, mem);
	status = query_wanted(&t->query, key, e);
	if (status == MAP_FOUND && !query_fill(t->query.text, key, NULL, quote, NULL, &query))
		status = MAP_NOT_FOUND;
	if (status == MAP_FOUND) {
		if (sqlite3_prepare_v2(t->db, buf_cstr(&query), -1, &statement, NULL) != SQLITE_OK)
			status = failed(t, "prepare", e);
		else if (statement != NULL)
			status = collect(t, statement, key, &r, e);
		(void)sqlite3_finalize(statement);
	}
	buf_free(&query);
	if (status == MAP_FOUND)
		return query_done(&r, mem, value);
	(void)query_done(&r, mem, value);
	return status;
}

static const struct map_type type = {
	.name = "sqlite",
	.properties = MAP_TYPE_FIXED,
	.open = table_open,
	.close = table_close,
	.get = table_get,
};

const struct map_module posthaste_map_module_1 = { MAP_MODULE_ABI, MAP_MODULE_SIZE, &type };
