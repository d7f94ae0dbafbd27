/*
 * map_mysql.c - mysql:FILE, a query against a MySQL or MariaDB server; a loadable module. Connections are made when a key
 * is asked for, by the process that asks. Trusts the answers as those of any table, keys not at all; a server that hangs
 * is given up after the table's timeout.
 *
 * SPDX-License-Identifier: ISC
 */
#include <mysql.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "map/host_query.h"
#include "map/module.h"
#include "map/query.h"

#define FUNCTION	"dict_mysql_lookup"
#define TIMEOUT		30

struct table {
	struct arena *mem;
	struct query query;
	struct hosts hosts;
	const char *user, *password, *dbname, *charset, *option_file, *option_group;
	const char *tls_cert, *tls_key, *tls_ca_file, *tls_ca_path, *tls_ciphers;
	bool require_result_set, verify, verify_set;
	int timeout;
};

static void
connection_close(void *connection)
{
	mysql_close(connection);
}

static void
table_close(struct map *m)
{
	struct table *t = m->state;

	query_close(&t->query);
	hosts_free(&t->hosts);
	arena_free(&t->mem);
	free(t);
}

/* "" counts as not set. */
static const char *
text(struct table_conf *c, const char *name)
{
	const char *value = table_conf_str(c, name, "", 0);

	return *value != '\0' ? value : NULL;
}

static bool
configure(struct map *m, struct table_conf *c, struct err *e)
{
	struct table *t = m->state;
	const char *hosts = table_conf_str(c, "hosts", "", 0), *query;

	t->user = table_conf_str(c, "user", "", 0);
	t->password = table_conf_str(c, "password", "", 0);
	t->dbname = table_conf_str(c, "dbname", NULL, 1);
	t->charset = table_conf_str(c, "charset", "utf8mb4", 1);
	t->option_file = text(c, "option_file");
	t->option_group = text(c, "option_group");
	t->tls_cert = text(c, "tls_cert_file");
	t->tls_key = text(c, "tls_key_file");
	t->tls_ca_file = text(c, "tls_CAfile");
	t->tls_ca_path = text(c, "tls_CApath");
	t->tls_ciphers = text(c, "tls_ciphers");
	t->verify_set = table_conf_has(c, "tls_verify_cert");
	t->verify = table_conf_bool(c, "tls_verify_cert", false);
	t->require_result_set = table_conf_bool(c, "require_result_set", true);
	t->timeout = table_conf_int(c, "timeout", TIMEOUT, 1, 0);
	hosts_open(&t->hosts, *hosts != '\0' ? hosts : "localhost", table_conf_int(c, "idle_interval", 60, 1, 0),
	    table_conf_int(c, "retry_interval", 60, 1, 0), connection_close);
	query = query_sql_template(c);
	return table_conf_ok(c, e) && query_open(&t->query, m, c, query, FUNCTION, e);
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

static void
set_options(const struct table *t, MYSQL *db)
{
	const unsigned seconds = (unsigned)t->timeout;
	const my_bool verify = t->verify;

	(void)mysql_options(db, MYSQL_OPT_CONNECT_TIMEOUT, &seconds);
	(void)mysql_options(db, MYSQL_OPT_READ_TIMEOUT, &seconds);
	(void)mysql_options(db, MYSQL_OPT_WRITE_TIMEOUT, &seconds);
	if (t->option_file != NULL)
		(void)mysql_options(db, MYSQL_READ_DEFAULT_FILE, t->option_file);
	(void)mysql_options(db, MYSQL_READ_DEFAULT_GROUP, t->option_group != NULL ? t->option_group : "client");
	(void)mysql_options(db, MYSQL_SET_CHARSET_NAME, t->charset);
	if (t->tls_cert != NULL || t->tls_key != NULL || t->tls_ca_file != NULL || t->tls_ca_path != NULL || t->tls_ciphers != NULL)
		(void)mysql_ssl_set(db, t->tls_key, t->tls_cert, t->tls_ca_file, t->tls_ca_path, t->tls_ciphers);
	if (t->verify_set)
		(void)mysql_options(db, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
}

/* The host is connected now. False: it cannot be, which was logged. */
static bool
connected(void *table, struct host *h)
{
	struct table *t = table;
	struct arena *mem;
	const struct span where = span_str(h->where);
	const size_t colon = h->local ? where.n : span_rfind(where, ':');
	uint64_t port = 0;
	MYSQL *db, *ok = NULL;

	if (h->connection != NULL)
		return true;
	db = mysql_init(NULL);
	if (db == NULL)
		log_out_of_memory();
	if (colon < where.n && (!span_to_u64(span_from(where, colon + 1), &port) || port > 65535)) {
		log_warning("connect to mysql server %s: unknown service: %s/tcp", h->name, where.p + colon + 1);
		mysql_close(db);
		return false;
	}
	set_options(t, db);
	mem = arena_new();
	ok = mysql_real_connect(db, h->local ? NULL : span_cstr(span_to(where, colon), mem), t->user, t->password, t->dbname,
	    (unsigned)port, h->local ? h->where : NULL, CLIENT_MULTI_RESULTS);
	arena_free(&mem);
	if (ok == NULL) {
		log_warning("connect to mysql server %s: %s", h->name, mysql_error(db));
		mysql_close(db);
		return false;
	}
	h->connection = db;
	hosts_connected(&t->hosts, h);
	return true;
}

static bool
quote(struct span s, struct buf *out, void *arg)
{
	char *copy;
	unsigned long n;

	copy = malloc(2 * s.n + 1);
	if (copy == NULL)
		log_out_of_memory();
	n = mysql_real_escape_string(arg, copy, s.p, s.n);
	if (n != (unsigned long)-1)
		buf_add(out, copy, n);
	free(copy);
	return n != (unsigned long)-1;
}

static enum map_status
collect(struct table *t, MYSQL_RES *result, struct span key, struct result *r, struct err *e)
{
	MYSQL_ROW row;

	while ((row = mysql_fetch_row(result)) != NULL) {
		const unsigned long *size = mysql_fetch_lengths(result);

		for (unsigned i = 0; i < mysql_num_fields(result); i++)
			if (row[i] != NULL && !query_add(&t->query, r, key, span(row[i], size[i]), e))
				return MAP_FAILED;
	}
	return MAP_FOUND;
}

static enum map_status
failed(const struct table *t, const char *why, struct err *e)
{
	log_warning("%s: query failed: %s", t->query.map->spec, why);
	return MAP_TEMPORARY(e, "Application error");
}

/* All results must be taken, or the connection is out of step; one with rows is the answer, a second is refused. */
static enum map_status
take_results(struct table *t, MYSQL *db, struct span key, struct result *r, bool *again, struct err *e)
{
	enum map_status status = MAP_FOUND;
	int more, sets = 0;

	do {
		MYSQL_RES *result = mysql_store_result(db);

		if (result != NULL && ++sets > 1 && status == MAP_FOUND)
			status = failed(t, "multiple result sets returning data are not supported", e);
		else if (result != NULL && status == MAP_FOUND)
			status = collect(t, result, key, r, e);
		mysql_free_result(result);
		if (result == NULL && mysql_errno(db) != 0) {
			*again = mysql_errno(db) >= 2000;
			return failed(t, mysql_error(db), e);
		}
		more = mysql_next_result(db);
	} while (more == 0);
	if (more > 0) {
		*again = mysql_errno(db) >= 2000;
		return failed(t, mysql_error(db), e);
	}
	if (status == MAP_FOUND && sets == 0 && t->require_result_set)
		return failed(t, "query returned no result set(require_result_set = yes)", e);
	return status;
}

/* Ask one host. *again: it is gone (errors from 2000 on are the client library's), ask another. */
static enum map_status
ask(void *table, struct host *h, struct span key, struct result *r, bool *again, struct err *e)
{
	struct table *t = table;
	struct buf query = {0};
	MYSQL *db = h->connection;
	int rc;

	*again = false;
	if (!query_fill(t->query.text, key, NULL, quote, db, &query)) {
		buf_free(&query);
		return MAP_NOT_FOUND;
	}
	rc = mysql_real_query(db, query.p, query.n);
	buf_free(&query);
	if (rc == 0)
		return take_results(t, db, key, r, again, e);
	*again = mysql_errno(db) >= 2000;
	return failed(t, mysql_error(db), e);
}

static enum map_status
table_get(struct map *m, struct span key, struct arena *mem, struct span *value, struct err *e)
{
	static const struct host_query how = { connected, ask };
	struct table *t = m->state;

	return host_query_get(&how, &t->query, &t->hosts, t, key, mem, value, e);
}

static const struct map_type type = {
	.name = "mysql",
	.properties = MAP_TYPE_FIXED,
	.open = table_open,
	.close = table_close,
	.get = table_get,
};

const struct map_module posthaste_map_module_1 = { MAP_MODULE_ABI, MAP_MODULE_SIZE, &type };
