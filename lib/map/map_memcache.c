/*
 * map_memcache.c - memcache:FILE, a memcached server in front of another table ("backup"), or alone.
 * Everything that the server says is checked: it answers for the key that was asked, with a length within
 * data_size_limit. It is not trusted with where mail is written (MAP_TYPE_UNAUTH). Keys with blanks or control
 * characters never get into a command.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "map/peer.h"
#include "map/query.h"
#include "map/type.h"

struct memcache {
	struct arena *mem;
	struct query query;
	struct peer *peer;
	struct map *backup;		/* NULL: none */
	const EVP_MD *digest;		/* NULL: keys go as they are */
	int flags, ttl, data_limit, line_limit, tries, pause, timeout;
};

static void
memcache_close(struct map *m)
{
	struct memcache *c = m->state;

	query_close(&c->query);
	peer_close(&c->peer);
	map_close(&c->backup);
	arena_free(&c->mem);
	free(c);
}

static bool
open_peers(struct memcache *c, struct map *m, struct table_conf *t, struct err *e)
{
	const char *backup = table_conf_str(t, "backup", "", 0), *digest = table_conf_str(t, "key_digest", "", 0);

	c->peer = peer_open(table_conf_str(t, "memcache", "inet:localhost:11211", 0), e);
	if (c->peer == NULL)
		return false;
	if (*digest != '\0' && (c->digest = EVP_get_digestbyname(digest)) == NULL)
		return err_perm(e, "%s: no such digest: key_digest = %s", m->name, digest);
	if (*backup == '\0')
		return true;
	c->backup = map_open(backup, m->flags);
	return map_open_error(c->backup) == NULL || err_perm(e, "%s", map_open_error(c->backup));
}

static bool
configure(struct map *m, struct table_conf *t, struct err *e)
{
	struct memcache *c = m->state;
	const char *format = table_conf_str(t, "key_format", "%s", 0);

	c->flags = table_conf_int(t, "flags", 0, 0, 0);
	c->ttl = table_conf_int(t, "ttl", 3600, 0, 0);
	c->timeout = table_conf_int(t, "timeout", 2, 1, 0);
	c->tries = table_conf_int(t, "max_try", 2, 1, 0);
	c->pause = table_conf_int(t, "retry_pause", 1, 1, 0);
	c->line_limit = table_conf_int(t, "line_size_limit", 1024, 1, 0);
	c->data_limit = table_conf_int(t, "data_size_limit", 10240, 1, 0);
	return table_conf_ok(t, e) && query_open(&c->query, m, t, format, "dict_memcache_lookup", e) && open_peers(c, m, t, e);
}

static bool
memcache_open(struct map *m, struct err *e)
{
	struct memcache *c = calloc(1, sizeof *c);

	if (c == NULL)
		log_out_of_memory();
	m->state = c;
	c->mem = arena_new();
	return table_conf_read(m, c->mem, configure, e);
}

/* The key for the server. False: this one is not kept there; *why says so. */
static bool
server_key(const struct memcache *c, struct span key, struct buf *out, const char **why)
{
	unsigned char hash[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	*why = "domain mismatch";
	if (query_wanted(&c->query, key, NULL) != MAP_FOUND)
		return false;
	*why = "empty lookup key expansion";
	if (!query_fill(c->query.text, key, NULL, NULL, NULL, out) || out->n == 0)
		return false;
	if (c->digest != NULL) {
		*why = "no digest";
		if (EVP_Digest(out->p, out->n, hash, &n, c->digest, NULL) != 1)
			return false;
		buf_reset(out);
		for (unsigned i = 0; i < n; i++)
			buf_printf(out, "%02X", hash[i]);
	}
	*why = "name contains space";
	for (size_t i = 0; i < out->n; i++)
		if ((unsigned char)out->p[i] <= ' ' || out->p[i] == 127)
			return false;
	return true;
}

static int
reason(const struct peer *p)
{
	switch (stream_state(p->stream)) {
	case STREAM_TIMEOUT: return ETIMEDOUT;
	case STREAM_ERROR: return stream_errno(p->stream);
	default: return ECONNRESET;
	}
}

/* How one attempt ended. The text of a REFUSED one is the server's line. */
enum outcome { ANSWERED, BROKEN, CUT_SHORT, REFUSED };

static bool
read_line(struct memcache *c, struct span *line)
{
	if (!stream_line(c->peer->stream, (size_t)c->line_limit + 1, line) || line->n == 0 || line->p[line->n - 1] != '\n')
		return false;
	*line = span_chomp(*line);
	return true;
}

/* "VALUE key flags bytes", with more behind it when the server is asked for that. */
static bool
value_size(struct span line, struct span key, size_t limit, size_t *size)
{
	struct span word;
	uint64_t n;

	if (!span_take_word(&line, " ", &word) || !span_is(word, "VALUE") ||
	    !span_take_word(&line, " ", &word) || !span_eq(word, key) || !span_take_word(&line, " ", &word) ||
	    !span_take_word(&line, " ", &word) || !span_to_u64(word, &n) || n > limit)
		return false;
	*size = (size_t)n;
	return true;
}

static enum outcome
get_once(struct memcache *c, struct span key, struct arena *mem, struct span *value, bool *found, struct span *line)
{
	struct stream *s = c->peer->stream;
	size_t size;
	char *data, crlf[2];

	stream_puts(s, "get ");
	stream_put(s, key);
	stream_puts(s, "\r\n");
	if (!stream_flush(s) || !read_line(c, line))
		return BROKEN;
	*found = false;
	if (span_is(*line, "END"))
		return ANSWERED;
	*line = span_copy(*line, mem);
	if (!value_size(*line, key, (size_t)c->data_limit, &size))
		return REFUSED;
	data = arena_alloc(mem, size + 1);
	if (!stream_read(s, data, size) || !stream_read(s, crlf, 2) || memcmp(crlf, "\r\n", 2) != 0)
		return CUT_SHORT;
	if (!read_line(c, line))
		return BROKEN;
	if (!span_is(*line, "END"))
		return REFUSED;
	*value = span(data, size);
	*found = true;
	return ANSWERED;
}

static enum outcome
store_once(struct memcache *c, struct span key, const struct span *value, struct span *line)
{
	struct stream *s = c->peer->stream;

	if (value != NULL) {
		stream_puts(s, "set ");
		stream_put(s, key);
		stream_printf(s, " %d %d %zu\r\n", c->flags, c->ttl, value->n);
		stream_put(s, *value);
		stream_puts(s, "\r\n");
	} else {
		stream_puts(s, "delete ");
		stream_put(s, key);
		stream_puts(s, "\r\n");
	}
	if (!stream_flush(s) || !read_line(c, line))
		return BROKEN;
	if (span_is(*line, value != NULL ? "STORED" : "DELETED"))
		return ANSWERED;
	return value == NULL && span_is(*line, "NOT_FOUND") ? ANSWERED : REFUSED;
}

static void
warn(struct memcache *c, enum outcome how, const char *what, struct span line)
{
	const struct map *m = c->query.map;

	if (how == BROKEN)
		log_warning("database %s: I/O error: %s", m->spec, strerror(reason(c->peer)));
	else if (how == CUT_SHORT)
		log_warning("%s: EOF receiving memcache server reply", m->name);
	else if (what == NULL)
		log_warning("%s: unexpected memcache server reply: %.*s", m->name, SPAN_ARG(line));
	else
		log_warning("database %s: %s failed: %.*s", m->spec, what, SPAN_ARG(line));
}

enum { GET, SET, DELETE };

/* Until the server answers, max_try times. *found: of GET and DELETE. */
static enum map_status
ask(struct memcache *c, int command, struct span key, struct arena *mem, struct span *value, struct err *e)
{
	static const char *const names[] = { [SET] = "update", [DELETE] = "delete" };
	struct span line = SPAN_NULL;
	bool found = true;

	for (int i = 1; ; i++) {
		enum outcome how;

		if (i > 1)
			(void)usleep((useconds_t)c->pause * 1000u * (useconds_t)peer_pause_ms);
		if (!peer_connect(c->peer, "", 1000 * (int64_t)c->timeout))
			return MAP_TEMPORARY(e, "%s", strerror(errno));
		how = command == GET ? get_once(c, key, mem, value, &found, &line) :
		    store_once(c, key, command == SET ? value : NULL, &line);
		if (how == ANSWERED)
			return !found || (command == DELETE && span_is(line, "NOT_FOUND")) ? MAP_NOT_FOUND : MAP_FOUND;
		if (i >= c->tries) {
			const int why = reason(c->peer);

			warn(c, how, names[command], line);
			peer_drop(c->peer);
			return how == BROKEN ? MAP_TEMPORARY(e, "%s", strerror(why)) : MAP_TEMPORARY(e, "Application error");
		}
		peer_drop(c->peer);
	}
}

static enum map_status
memcache_get(struct map *m, struct span key, struct arena *mem, struct span *value, struct err *e)
{
	struct memcache *c = m->state;
	struct buf name = {0};
	enum map_status status = MAP_NOT_FOUND, there;
	const char *why;

	key = query_key(&c->query, key, mem);
	if (server_key(c, key, &name, &why)) {
		status = ask(c, GET, buf_view(&name), mem, value, e);
		if (status != MAP_FOUND && c->backup != NULL) {
			there = map_get(c->backup, key, mem, value, e);
			if (there == MAP_FOUND)
				(void)ask(c, SET, buf_view(&name), mem, value, NULL);
			status = there;
		}
	}
	buf_free(&name);
	if (status == MAP_FOUND && !query_value_fits(m, key, *value, e))
		return MAP_FAILED;
	return status;
}

/* Put or remove (value NULL), there and in the backup; the backup's result counts. */
static enum map_status
store(struct map *m, struct span key, struct span *value, struct err *e)
{
	struct memcache *c = m->state;
	struct arena *mem = arena_new();
	struct buf name = {0};
	enum map_status status = MAP_NOT_FOUND;
	const char *why;
	struct err cause = {0};

	key = query_key(&c->query, key, mem);
	if (server_key(c, key, &name, &why)) {
		status = ask(c, value != NULL ? SET : DELETE, buf_view(&name), mem, value, &cause);
		if (status == MAP_FAILED)
			(void)err_temp(e, "table %s: %s error: %s", m->spec, value != NULL ? "update" : "delete", cause.text);
		if (c->backup != NULL)
			status = value != NULL ? map_put(c->backup, key, *value, e) : map_delete(c->backup, key, e);
		else if (value != NULL && status == MAP_FOUND)
			status = MAP_NOT_FOUND;		/* map_put() tells of duplicates only */
	} else {
		log_info("%s: skipping %s for name \"%.*s\": %s", m->name, value != NULL ? "update" : "delete", SPAN_ARG(key), why);
	}
	buf_free(&name);
	arena_free(&mem);
	return status;
}

static enum map_status
memcache_put(struct map *m, struct span key, struct span value, struct err *e)
{
	return store(m, key, &value, e);
}

static enum map_status
memcache_remove(struct map *m, struct span key, struct err *e)
{
	return store(m, key, NULL, e);
}

static enum map_status
memcache_next(struct map *m, bool first, struct arena *mem, struct span *key, struct span *value, struct err *e)
{
	struct memcache *c = m->state;

	if (c->backup != NULL)
		return map_next(c->backup, first, mem, key, value, e);
	log_warning("database %s: first/next support requires backup database", m->spec);
	return MAP_NOT_FOUND;
}

const struct map_type map_type_memcache = {
	.name = "memcache",
	.properties = MAP_TYPE_FIXED | MAP_TYPE_WRITABLE | MAP_TYPE_UNAUTH,
	.open = memcache_open,
	.close = memcache_close,
	.get = memcache_get,
	.put = memcache_put,
	.remove = memcache_remove,
	.next = memcache_next,
};
