/*
 * map_mongodb.c - mongodb:FILE, a find command to a MongoDB server through libmongoc; a loadable module. The connection is
 * made at the first question, by the process that asks. Trusts the server's documents as it trusts any table, keys not at all.
 *
 * SPDX-License-Identifier: ISC
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mongoc/mongoc.h>

#include "base/log.h"
#include "map/module.h"
#include "map/query.h"

#define FUNCTION	"dict_mongodb_lookup"
#define SAMPLE_KEY	"user@a.b.c.d.e.f.g.h.i"	/* has all parts that a template can name */

struct table {
	struct arena *mem;
	struct query query;
	const char *database, *collection;
	mongoc_uri_t *uri;
	bson_t *options;		/* of find: the projection */
	mongoc_client_t *client;
	pid_t owner;			/* of client */
};

static void
library_log(mongoc_log_level_t level, const char *domain, const char *text, void *arg)
{
	(void)arg;
	if (level <= MONGOC_LOG_LEVEL_WARNING)
		log_warning("mongodb: %s: %s", domain, text);
}

static void
start_library(void)
{
	static bool started;

	if (started)
		return;
	started = true;
	mongoc_log_set_handler(library_log, NULL);
	mongoc_init();
}

/* A parent's client is left alone: taking it down would speak on the parent's connection. */
static void
drop_client(struct table *t)
{
	if (t->client != NULL && t->owner == getpid())
		mongoc_client_destroy(t->client);
	t->client = NULL;
}

static void
table_close(struct map *m)
{
	struct table *t = m->state;

	query_close(&t->query);
	drop_client(t);
	if (t->uri != NULL)
		mongoc_uri_destroy(t->uri);
	if (t->options != NULL)
		bson_destroy(t->options);
	arena_free(&t->mem);
	free(t);
}

/* --- configuration --- */

/* What JSON allows between "". Keys that are not UTF-8 are in no document. */
static bool
quote(struct span text, struct buf *out, void *arg)
{
	(void)arg;
	if (!span_valid_utf8(text))
		return false;
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];

		if (c < ' ')
			buf_printf(out, "\\u%04x", c);
		else if (c == '"' || c == '\\')
			buf_printf(out, "\\%c", c);
		else
			buf_byte(out, text.p[i]);
	}
	return true;
}

/* Out of a string of JSON a key would be part of the language. */
static bool
is_quoted(const char *filter)
{
	bool inside = false;

	for (const char *p = filter; *p != '\0'; p++) {
		if (*p == '\\' && p[1] != '\0')
			p++;
		else if (*p == '"')
			inside = !inside;
		else if (*p == '%' && p[1] != '\0' && *++p != '%' && !inside)
			return false;
	}
	return true;
}

/* NULL: *e says why. */
static bson_t *
parse(const struct map *m, const char *param, const char *json, size_t n, struct err *e)
{
	bson_error_t error = {0};
	bson_t *b = bson_new_from_json((const uint8_t *)json, (ssize_t)n, &error);

	if (b == NULL)
		(void)err_perm(e, "%s: %s is not JSON: %s: %s", m->spec, param, json, error.message);
	return b;
}

static bool
check_filter(const struct map *m, const struct query *q, struct err *e)
{
	struct buf text = {0};
	bson_t *b = NULL;

	if (!is_quoted(q->text))
		return err_perm(e, "%s: put %% letters of query_filter between \"\": %s", m->spec, q->text);
	if (query_fill(q->text, span_str(SAMPLE_KEY), NULL, quote, NULL, &text))
		b = parse(m, "query_filter", buf_cstr(&text), text.n, e);
	buf_free(&text);
	if (b == NULL)
		return false;
	bson_destroy(b);
	return true;
}

/* {"projection": {...}}: the one that is given, or one that has the attributes. */
static bool
make_options(struct map *m, const char *projection, const char *attributes, struct err *e)
{
	struct table *t = m->state;
	struct span list = span_str(attributes), name;
	bson_t *fields;

	if (*projection != '\0') {
		fields = parse(m, "projection", projection, strlen(projection), e);
		if (fields == NULL)
			return false;
	} else {
		fields = BCON_NEW("_id", BCON_INT32(0));
		while (span_take_word(&list, ", \t\r\n", &name))
			BSON_APPEND_INT32(fields, span_cstr(name, t->mem), 1);
	}
	t->options = bson_new();
	BSON_APPEND_DOCUMENT(t->options, "projection", fields);
	bson_destroy(fields);
	return true;
}

static bool
make_uri(struct map *m, const char *text, int timeout, struct err *e)
{
	static const char *const limits[] = { MONGOC_URI_SERVERSELECTIONTIMEOUTMS, MONGOC_URI_CONNECTTIMEOUTMS, MONGOC_URI_SOCKETTIMEOUTMS };
	struct table *t = m->state;
	bson_error_t error = {0};

	t->uri = mongoc_uri_new_with_error(text, &error);
	if (t->uri == NULL)		/* the text holds a password, the message does not */
		return err_perm(e, "%s: uri cannot be used: %s", m->spec, error.message);
	for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
		if (!mongoc_uri_has_option(t->uri, limits[i]))
			(void)mongoc_uri_set_option_as_int32(t->uri, limits[i], timeout * 1000);
	return true;
}

static bool
configure(struct map *m, struct table_conf *c, struct err *e)
{
	struct table *t = m->state;
	const char *uri = table_conf_str(c, "uri", NULL, 1);
	const char *filter, *projection, *attributes;
	int timeout, limit;

	t->database = table_conf_str(c, "dbname", NULL, 1);
	t->collection = table_conf_str(c, "collection", NULL, 1);
	filter = table_conf_str(c, "query_filter", NULL, 1);
	projection = table_conf_str(c, "projection", "", 0);
	attributes = table_conf_str(c, "result_attribute", "", 0);
	timeout = table_conf_int(c, "timeout", 10, 1, 1000);
	limit = table_conf_int(c, "expansion_limit", 10, 0, 100);
	if (!table_conf_ok(c, e) || !query_open(&t->query, m, c, filter, FUNCTION, e))
		return false;
	t->query.expansion_limit = limit;
	t->query.key_word = "key";
	if (*projection == '\0' && *attributes == '\0')
		return err_perm(e, "%s: no result_attribute and no projection: name what a document's result is", m->spec);
	return check_filter(m, &t->query, e) && make_options(m, projection, attributes, e) && make_uri(m, uri, timeout, e);
}

static bool
table_open(struct map *m, struct err *e)
{
	struct table *t = calloc(1, sizeof *t);

	if (t == NULL)
		log_out_of_memory();
	start_library();
	m->state = t;
	t->mem = arena_new();
	return table_conf_read(m, t->mem, configure, e);
}

/* --- questions --- */

static bool
connected(struct table *t)
{
	bson_error_t error = {0};

	if (t->client != NULL && t->owner == getpid())
		return true;
	t->client = mongoc_client_new_from_uri_with_error(t->uri, &error);
	t->owner = getpid();
	if (t->client == NULL) {
		log_warning("%s: connect to mongodb server: %s", t->query.map->spec, error.message);
		return false;
	}
	(void)mongoc_client_set_error_api(t->client, MONGOC_ERROR_API_VERSION_2);
	(void)mongoc_client_set_appname(t->client, "posthaste");
	return true;
}

/* A text, a whole number, or an array of these. Others are nothing that a result could be. */
static bool
add_value(struct table *t, bson_iter_t *at, struct span key, struct result *r, struct err *e)
{
	struct buf number = {0};
	bson_iter_t inner;
	uint32_t n;
	bool ok = true;

	if (BSON_ITER_HOLDS_UTF8(at)) {
		const char *text = bson_iter_utf8(at, &n);

		return query_add(&t->query, r, key, span(text, n), e);
	}
	if (BSON_ITER_HOLDS_INT(at)) {
		buf_printf(&number, "%" PRId64, bson_iter_as_int64(at));
		ok = query_add(&t->query, r, key, buf_view(&number), e);
		buf_free(&number);
	} else if (BSON_ITER_HOLDS_ARRAY(at) && bson_iter_recurse(at, &inner)) {
		while (ok && bson_iter_next(&inner))	/* no deeper: an array in an array is passed over */
			ok = BSON_ITER_HOLDS_ARRAY(&inner) || add_value(t, &inner, key, r, e);
	} else if (!BSON_ITER_HOLDS_NULL(at)) {
		log_warning("table \"%s\": field %s for \"%.*s\" is neither text nor a whole number -- ignored", t->query.map->spec,
		    bson_iter_key(at), SPAN_ARG(key));
	}
	return ok;
}

static bool
add_document(struct table *t, const bson_t *document, struct span key, struct result *r, struct err *e)
{
	bson_iter_t at;

	if (!bson_iter_init(&at, document))
		return true;
	while (bson_iter_next(&at))
		if (!add_value(t, &at, key, r, e))
			return false;
	return true;
}

static bool
is_gone(const bson_error_t *error)
{
	return error->domain == MONGOC_ERROR_STREAM;
}

/* *again: the connection was lost, and nothing has been answered. */
static enum map_status
ask(struct table *t, const bson_t *filter, struct span key, struct result *r, bool *again, struct err *e)
{
	mongoc_collection_t *collection = mongoc_client_get_collection(t->client, t->database, t->collection);
	mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(collection, filter, t->options, NULL);
	enum map_status status = MAP_FOUND;
	const bson_t *document;
	bson_error_t error = {0};

	*again = false;
	while (status == MAP_FOUND && mongoc_cursor_next(cursor, &document))
		if (!add_document(t, document, key, r, e))
			status = MAP_FAILED;
	if (status == MAP_FOUND && mongoc_cursor_error(cursor, &error)) {
		log_warning("%s: query failed: %s", t->query.map->spec, error.message);
		*again = is_gone(&error) && r->count == 0 && r->text.n == 0;
		status = MAP_TEMPORARY(e, "Application error");
	}
	mongoc_cursor_destroy(cursor);
	mongoc_collection_destroy(collection);
	return status;
}

static enum map_status
find(struct table *t, struct span text, struct span key, struct result *r, struct err *e)
{
	bson_t *filter = parse(t->query.map, "query_filter", text.p, text.n, e);
	enum map_status status = MAP_FAILED;
	bool again = filter != NULL;

	for (int tries = 0; again && tries < 2; tries++) {
		if (!connected(t)) {
			status = MAP_TEMPORARY(e, "Application error");
			break;
		}
		status = ask(t, filter, key, r, &again, e);
		if (again)
			drop_client(t);
	}
	if (filter != NULL)
		bson_destroy(filter);
	return status;
}

static enum map_status
table_get(struct map *m, struct span key, struct arena *mem, struct span *value, struct err *e)
{
	struct table *t = m->state;
	struct buf text = {0};
	struct result r = {0};
	enum map_status status, found;

	key = query_key(&t->query, key, mem);
	status = query_wanted(&t->query, key, e);
	if (status == MAP_FOUND && !query_fill(t->query.text, key, NULL, quote, NULL, &text))
		status = MAP_NOT_FOUND;
	if (status == MAP_FOUND)
		status = find(t, buf_view(&text), key, &r, e);
	buf_free(&text);
	found = query_done(&r, mem, value);
	return status == MAP_FOUND ? found : status;
}

static const struct map_type type = {
	.name = "mongodb",
	.properties = MAP_TYPE_FIXED,
	.open = table_open,
	.close = table_close,
	.get = table_get,
};

const struct map_module posthaste_map_module_1 = { MAP_MODULE_ABI, MAP_MODULE_SIZE, &type };
