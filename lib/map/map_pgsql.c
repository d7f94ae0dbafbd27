/*
 * map_pgsql.c - pgsql:FILE, a query against a PostgreSQL server; a loadable module. Connections are made when a key is
 * asked for, by the process that asks. Trusts the answers as those of any table, keys not at all; a server that hangs is
 * given up after the table's timeout.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "map/host_query.h"
#include "map/module.h"
#include "map/query.h"

#define FUNCTION	"dict_pgsql_lookup"
#define TIMEOUT		30

struct table {
	struct arena *mem;
	struct query query;
	struct hosts hosts;
	const char *user, *password, *dbname, *encoding;
	int timeout;
};

static void
connection_close(void *connection)
{
	PQfinish(connection);
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

/* A function that takes the key, before query, before the older form. */
static const char *
template_of(struct table_conf *c)
{
	const char *query = table_conf_str(c, "query", "", 0), *function = table_conf_str(c, "select_function", "", 0);

	if (*query == '\0' && *function != '\0')
		return arena_printf(c->mem, "SELECT %s('%%s')", function);
	return query_sql_template(c);
}

static bool
configure(struct map *m, struct table_conf *c, struct err *e)
{
	struct table *t = m->state;
	const char *hosts = table_conf_str(c, "hosts", "", 0);

	t->user = table_conf_str(c, "user", "", 0);
	t->password = table_conf_str(c, "password", "", 0);
	t->dbname = table_conf_str(c, "dbname", NULL, 1);
	t->encoding = table_conf_str(c, "encoding", "UTF8", 1);
	t->timeout = table_conf_int(c, "timeout", TIMEOUT, 1, 0);
	hosts_open(&t->hosts, *hosts != '\0' ? hosts : "localhost", table_conf_int(c, "idle_interval", 60, 1, 0),
	    table_conf_int(c, "retry_interval", 60, 1, 0), connection_close);
	const char *query = template_of(c);

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

/* A message of the library, without the newline at its end. */
static struct span
trimmed(const char *text)
{
	struct span s = span_str(text);

	while (s.n > 0 && s.p[s.n - 1] == ' ')
		s.n--;
	return s;
}

/* The parameters of one host. NULL-terminated pairs; "postgresql://..." brings most of them itself. */
static PGconn *
start(const struct table *t, const struct host *h)
{
	struct arena *mem = arena_new();
	const bool uri = span_find(span_str(h->where), '/') < strlen(h->where) && !h->local;
	const struct span where = span_str(h->where);
	const size_t colon = h->local || uri ? where.n : span_rfind(where, ':');
	const char *names[] = { "dbname", "host", "port", "user", "password", "connect_timeout", NULL };
	const char *values[] = { t->dbname, span_cstr(span_to(where, colon), mem), colon < where.n ? where.p + colon + 1 : NULL,
	    t->user, t->password, arena_printf(mem, "%d", t->timeout), NULL };
	const char *uri_names[] = { "dbname", "connect_timeout", NULL };
	const char *uri_values[] = { h->where, values[5], NULL };
	PGconn *conn = uri ? PQconnectdbParams(uri_names, uri_values, 1) : PQconnectdbParams(names, values, 0);

	arena_free(&mem);
	return conn;
}

/* The host is connected now. False: it cannot be, which was logged. */
static bool
connected(void *table, struct host *h)
{
	struct table *t = table;
	PGconn *conn;
	const char *why;

	if (h->connection != NULL)
		return true;
	conn = start(t, h);
	why = conn == NULL ? "out of memory" : PQstatus(conn) != CONNECTION_OK ? PQerrorMessage(conn) : NULL;
	if (why == NULL && PQsetClientEncoding(conn, t->encoding) != 0)
		why = PQerrorMessage(conn);
	if (why != NULL) {
		log_warning("connect to pgsql server %s: %.*s", h->name, SPAN_ARG(trimmed(why)));
		PQfinish(conn);
		return false;
	}
	h->connection = conn;
	hosts_connected(&t->hosts, h);
	return true;
}

static bool
quote(struct span text, struct buf *out, void *arg)
{
	PGconn *conn = arg;
	char *copy;
	int error = 0;
	size_t n;

	if (span_has(text, '\0'))
		return false;
	copy = malloc(2 * text.n + 1);
	if (copy == NULL)
		log_out_of_memory();
	n = PQescapeStringConn(conn, copy, text.p, text.n, &error);
	if (error == 0)
		buf_add(out, copy, n);
	free(copy);
	return error == 0;
}

/* Until a whole result is there. False: time is up or the connection gone. */
static bool
wait_for_result(PGconn *conn, int64_t end)
{
	while (PQisBusy(conn)) {
		struct pollfd pfd = { .fd = PQsocket(conn), .events = POLLIN };
		const int64_t left = end - clock_ms();

		if (left <= 0 || (poll(&pfd, 1, (int)left) == 0)) {
			errno = ETIMEDOUT;
			return false;
		}
		if (!PQconsumeInput(conn)) {
			errno = 0;
			return false;
		}
	}
	return true;
}

/* The last result of the query, as PQexec() gives it. NULL: the connection is of no use any more. */
static PGresult *
run(PGconn *conn, const char *query, int timeout)
{
	const int64_t end = clock_ms() + 1000 * (int64_t)timeout;
	PGresult *last = NULL, *next;

	errno = 0;
	if (!PQsendQuery(conn, query))
		return NULL;
	for (;;) {
		if (!wait_for_result(conn, end)) {
			PQclear(last);
			return NULL;
		}
		next = PQgetResult(conn);
		if (next == NULL)
			return last;
		PQclear(last);
		last = next;
		if (PQresultStatus(last) == PGRES_COPY_IN || PQresultStatus(last) == PGRES_COPY_OUT)
			return last;
	}
}

static enum map_status
collect(struct table *t, const PGresult *result, struct span key, struct result *r, struct err *e)
{
	for (int i = 0; i < PQntuples(result); i++)
		for (int j = 0; j < PQnfields(result); j++)
			if (!query_add(&t->query, r, key, span(PQgetvalue(result, i, j), (size_t)PQgetlength(result, i, j)), e))
				return MAP_FAILED;
	return MAP_FOUND;
}

/* Ask one host. *again: it is gone, ask another. */
static enum map_status
ask(void *table, struct host *h, struct span key, struct result *r, bool *again, struct err *e)
{
	struct table *t = table;
	struct buf query = {0};
	PGresult *result;
	enum map_status status = MAP_FOUND;
	ExecStatusType outcome;

	*again = false;
	if (!query_fill(t->query.text, key, NULL, quote, h->connection, &query)) {
		buf_free(&query);
		return MAP_NOT_FOUND;
	}
	result = run(h->connection, buf_cstr(&query), t->timeout);
	buf_free(&query);
	outcome = result != NULL ? PQresultStatus(result) : PGRES_FATAL_ERROR;
	if (outcome == PGRES_TUPLES_OK) {
		status = collect(t, result, key, r, e);
	} else if (outcome != PGRES_COMMAND_OK) {
		const char *why = result != NULL ? PQresultErrorMessage(result) : errno == ETIMEDOUT ? "timeout" : PQerrorMessage(h->connection);

		log_warning("pgsql query failed: fatal error from host %s: %.*s", h->name, SPAN_ARG(trimmed(why)));
		*again = result == NULL || PQstatus(h->connection) != CONNECTION_OK || outcome == PGRES_COPY_IN || outcome == PGRES_COPY_OUT;
		status = MAP_TEMPORARY(e, "Application error");
	}
	PQclear(result);
	return status;
}

static enum map_status
table_get(struct map *m, struct span key, struct arena *mem, struct span *value, struct err *e)
{
	static const struct host_query how = { connected, ask };
	struct table *t = m->state;

	return host_query_get(&how, &t->query, &t->hosts, t, key, mem, value, e);
}

static const struct map_type type = {
	.name = "pgsql",
	.properties = MAP_TYPE_FIXED,
	.open = table_open,
	.close = table_close,
	.get = table_get,
};

const struct map_module posthaste_map_module_1 = { MAP_MODULE_ABI, MAP_MODULE_SIZE, &type };
