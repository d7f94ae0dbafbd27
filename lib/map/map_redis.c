/*
 * map_redis.c - redis:FILE, keys of a Redis server; a loadable module. One command a key, chosen by "query": GET, HGET or
 * SMEMBERS; words are sent with their length, so that no key can be more than an argument. Answers are read by hiredis,
 * fed with at most ANSWER_MAX bytes and no longer than the table's timeout. TCP, UNIX sockets and TLS (verified); sentinels
 * are asked where the master is.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <hiredis/hiredis.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "io/file.h"
#include "io/stream.h"
#include "map/host_query.h"
#include "map/module.h"
#include "map/peer.h"
#include "map/query.h"

#define FUNCTION	"dict_redis_lookup"
#define PORT		"6379"
#define SENTINEL_PORT	"26379"
#define TIMEOUT		10
#define WORDS_MAX	3
#define ANSWER_MAX	(1u << 20)
#define PASSWORD_MAX	4096

struct table {
	struct arena *mem;
	struct query query;
	struct hosts hosts;
	const char *words[WORDS_MAX - 1];	/* the command, and a template before the key */
	size_t n;
	const char *user, *password;
	const char *sentinel;		/* the master's name there; NULL: hosts are the servers themselves */
	int db, timeout;
	SSL_CTX *tls;			/* NULL: without */
};

struct connection {
	struct stream *stream;
	redisReader *reader;
	SSL *ssl;
	unsigned unanswered;		/* commands sent before the first question */
};

/* --- parameters */

static const struct {
	const char *command;
	size_t words;			/* with the command itself, without the key */
} commands[] = { { "GET", 1 }, { "HGET", 2 }, { "SMEMBERS", 1 } };

static bool
set_command(struct table *t, const struct map *m, const char *text, struct err *e)
{
	struct span rest = span_str(text), word;
	bool whole;
	size_t i = 0;

	while (t->n < WORDS_MAX - 1 && span_take_word(&rest, " \t", &word))
		t->words[t->n++] = span_cstr(word, t->mem);
	while (t->n > 0 && i < sizeof commands / sizeof *commands && !span_iis(span_str(t->words[0]), commands[i].command))
		i++;
	if (t->n == 0 || i == sizeof commands / sizeof *commands || commands[i].words != t->n || span_trim(rest).n > 0)
		return err_perm(e, "%s: query must be GET, HGET name or SMEMBERS, without the key: query = %s", m->name, text);
	return t->n < 2 || query_check(t->words[1], m->name, "query", &whole, e);
}

/* One line: the password alone. */
static bool
read_password(struct table *t, const char *path, struct err *e)
{
	struct buf content = {0};
	struct span line = SPAN_NULL, text;
	const bool ok = file_read_all(path, PASSWORD_MAX, &content, e);

	if (ok) {
		text = buf_view(&content);
		if (!span_take_until(&text, '\n', &line))
			line = buf_view(&content);
		t->password = span_cstr(line, t->mem);
		buf_free(&content);
	}
	return ok;
}

static bool
set_tls(struct table *t, const struct map *m, struct table_conf *c, struct err *e)
{
	const char *ca = table_conf_str(c, "tls_ca_cert_file", "", 0), *cert = table_conf_str(c, "tls_cert", "", 0);
	const char *key = table_conf_str(c, "tls_key", cert, 0);
	bool ok;

	if (!table_conf_bool(c, "tls", false))
		return table_conf_ok(c, e);
	t->tls = SSL_CTX_new(TLS_client_method());
	ok = t->tls != NULL && SSL_CTX_set_min_proto_version(t->tls, TLS1_2_VERSION) == 1 &&
	    (*ca != '\0' ? SSL_CTX_load_verify_locations(t->tls, ca, NULL) : SSL_CTX_set_default_verify_paths(t->tls)) == 1 &&
	    (*cert == '\0' || (SSL_CTX_use_certificate_chain_file(t->tls, cert) == 1 &&
	    SSL_CTX_use_PrivateKey_file(t->tls, key, SSL_FILETYPE_PEM) == 1));
	if (!ok)
		return err_perm(e, "%s: TLS: %s", m->name, ERR_reason_error_string(ERR_get_error()));
	SSL_CTX_set_verify(t->tls, SSL_VERIFY_PEER, NULL);
	(void)signal(SIGPIPE, SIG_IGN);		/* OpenSSL writes with write(2) */
	return true;
}

static void
connection_close(void *arg)
{
	struct connection *c = arg;

	if (c->ssl != NULL)
		SSL_free(c->ssl);
	stream_free(&c->stream);
	redisReaderFree(c->reader);
	free(c);
}

static bool
configure(struct map *m, struct table_conf *c, struct err *e)
{
	struct table *t = m->state;
	const char *file = table_conf_str(c, "password_file", "", 0);

	t->user = table_conf_str(c, "user", "", 0);
	t->password = table_conf_str(c, "password", "", 0);
	t->sentinel = table_conf_str(c, "sentinel", "", 0);
	if (*t->sentinel == '\0')
		t->sentinel = NULL;
	t->db = table_conf_int(c, "db", 0, 0, 0);
	t->timeout = table_conf_int(c, "timeout", TIMEOUT, 1, 0);
	hosts_open(&t->hosts, table_conf_str(c, "hosts", "inet:localhost:" PORT, 1), table_conf_int(c, "idle_interval", 60, 1, 0),
	    table_conf_int(c, "retry_interval", 60, 1, 0), connection_close);
	const char *query = table_conf_str(c, "query", "GET", 1), *format = table_conf_str(c, "key_format", "%s", 1);
	bool whole;

	if (!table_conf_ok(c, e) || !set_command(t, m, query, e) || !query_open(&t->query, m, c, format, FUNCTION, e) ||
	    !set_tls(t, m, c, e))
		return false;
	if (t->n > 1 && query_check(t->words[1], m->name, "query", &whole, NULL))
		m->fixed = m->fixed && whole;
	return *file == '\0' || read_password(t, file, e);
}

static void
table_close(struct map *m)
{
	struct table *t = m->state;

	query_close(&t->query);
	hosts_free(&t->hosts);
	SSL_CTX_free(t->tls);
	arena_free(&t->mem);
	free(t);
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

/* --- connection */

static ssize_t
tls_result(SSL *ssl, int rc)
{
	if (rc > 0)
		return rc;
	switch (SSL_get_error(ssl, rc)) {
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		errno = EAGAIN;
		break;
	case SSL_ERROR_SYSCALL:
		errno = errno != 0 ? errno : ECONNRESET;
		break;
	default:
		errno = EPROTO;
		break;
	}
	ERR_clear_error();
	return -1;
}

static ssize_t
tls_read(void *ctx, void *p, size_t n)
{
	errno = 0;
	return tls_result(ctx, SSL_read(ctx, p, n > 65536 ? 65536 : (int)n));
}

static ssize_t
tls_write(void *ctx, const void *p, size_t n)
{
	errno = 0;
	return tls_result(ctx, SSL_write(ctx, p, n > 65536 ? 65536 : (int)n));
}

static const struct stream_transport tls_transport = { .read = tls_read, .write = tls_write };

/* NULL, or what went wrong. The name must be in the certificate; an address likewise. */
static const char *
start_tls(const struct table *t, struct connection *c, int fd, const char *where)
{
	const struct timeval limit = { .tv_sec = t->timeout };
	const struct span spec = span_str(where);
	struct arena *mem = arena_new();
	struct span host = span_to(spec, span_rfind(spec, ':'));
	const char *name, *why = NULL;

	if (host.n > 1 && *host.p == '[')
		host = span(host.p + 1, host.n - 2);
	name = span_cstr(host, mem);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	c->ssl = SSL_new(t->tls);
	if (c->ssl == NULL || SSL_set_fd(c->ssl, fd) != 1)
		why = "out of memory";
	else if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(c->ssl), name) != 1 &&
	    (SSL_set1_host(c->ssl, name) != 1 || SSL_set_tlsext_host_name(c->ssl, name) != 1))
		why = "bad host name";
	else if (SSL_connect(c->ssl) != 1)
		why = SSL_get_verify_result(c->ssl) != X509_V_OK ? X509_verify_cert_error_string(SSL_get_verify_result(c->ssl)) : "TLS handshake failed";
	ERR_clear_error();
	arena_free(&mem);
	if (why == NULL)
		stream_set_transport(c->stream, &tls_transport, c->ssl);
	return why;
}

static bool
send_command(struct connection *c, size_t n, const char **words, const size_t *sizes)
{
	char *text = NULL;
	const int size = redisFormatCommandArgv(&text, (int)n, words, sizes);

	if (size < 0)
		return false;
	stream_write(c->stream, text, (size_t)size);
	redisFreeCommand(text);
	return true;
}

static bool
send_words(struct connection *c, const char *a, const char *b, const char *d)
{
	const char *words[] = { a, b, d };
	const size_t sizes[] = { strlen(a), strlen(b), d != NULL ? strlen(d) : 0 };

	c->unanswered++;
	return send_command(c, d != NULL ? 3 : 2, words, sizes);
}

/* Who we are and which database, in front of the first question and sent with it. */
static bool
introduce(const struct table *t, struct connection *c)
{
	struct buf db = {0};
	bool ok = true;

	if (*t->password != '\0')
		ok = *t->user != '\0' ? send_words(c, "AUTH", t->user, t->password) : send_words(c, "AUTH", t->password, NULL);
	if (ok && t->db != 0) {
		buf_printf(&db, "%d", t->db);
		ok = send_words(c, "SELECT", buf_cstr(&db), NULL);
		buf_free(&db);
	}
	return ok;
}

/* NULL: *why says what is wrong with the connection. */
static redisReply *
read_reply(struct connection *c, const char **why)
{
	size_t taken = 0;
	void *reply = NULL;

	for (;;) {
		if (redisReaderGetReply(c->reader, &reply) != REDIS_OK) {
			*why = "malformed answer";
			return NULL;
		}
		if (reply != NULL)
			return reply;
		if (taken > ANSWER_MAX) {
			*why = "answer is too long";
			return NULL;
		}
		if (!stream_fill(c->stream)) {
			*why = stream_reason(c->stream);
			return NULL;
		}
		const struct span bytes = stream_buffered(c->stream);

		taken += bytes.n;
		if (redisReaderFeed(c->reader, bytes.p, bytes.n) != REDIS_OK) {
			*why = "malformed answer";
			return NULL;
		}
		stream_consume(c->stream, bytes.n);
	}
}

/* What may be said and how long it may take, from now on. */
static void
start_clock(const struct table *t, struct connection *c)
{
	stream_set_timeout(c->stream, 1000 * (int64_t)t->timeout);
	stream_set_deadline(c->stream, clock_ms() + 1000 * (int64_t)t->timeout);
}

/* NULL: *why. */
static struct connection *
dial(const struct table *t, const char *where, bool local, const char *port, const char **why)
{
	const bool bare = !local && span_rfind(span_str(where), ':') == strlen(where);
	struct connection *c;
	struct buf full = {0};
	int fd;

	buf_printf(&full, "%s%s%s", where, bare ? ":" : "", bare ? port : "");
	fd = peer_dial(buf_cstr(&full), local, 1000 * (int64_t)t->timeout);
	buf_free(&full);
	if (fd < 0) {
		*why = strerror(errno);
		return NULL;
	}
	c = calloc(1, sizeof *c);
	if (c == NULL)
		log_out_of_memory();
	c->stream = stream_new(fd);
	c->reader = redisReaderCreate();
	if (c->reader == NULL)
		log_out_of_memory();
	start_clock(t, c);
	return c;
}

static bool
is_text(const redisReply *r)
{
	return r->type == REDIS_REPLY_STRING && r->len > 0 && !span_has(span(r->str, (size_t)r->len), '\0');
}

/* Ask a sentinel where the master is now. False: *why. */
static bool
find_master(const struct table *t, const struct host *h, struct buf *where, const char **why)
{
	struct connection *c = dial(t, h->where, h->local, SENTINEL_PORT, why);
	redisReply *reply = NULL;
	bool ok = false;

	if (c == NULL)
		return false;
	*why = "no answer";
	if (send_words(c, "SENTINEL", "get-master-addr-by-name", t->sentinel) && stream_flush(c->stream))
		reply = read_reply(c, why);
	if (reply != NULL) {
		*why = "the sentinel does not know this master";
		ok = reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 && is_text(reply->element[0]) && is_text(reply->element[1]);
		if (ok)
			buf_printf(where, "[%s]:%s", reply->element[0]->str, reply->element[1]->str);
		freeReplyObject(reply);
	}
	connection_close(c);
	return ok;
}

static struct connection *
reach(const struct table *t, const struct host *h, const char **why)
{
	struct buf where = {0};
	struct connection *c = NULL;

	if (t->sentinel == NULL)
		buf_str(&where, h->where);
	if (t->sentinel == NULL || find_master(t, h, &where, why))
		c = dial(t, buf_cstr(&where), t->sentinel == NULL && h->local, PORT, why);
	if (c != NULL && t->tls != NULL) {
		*why = start_tls(t, c, stream_fd(c->stream), buf_cstr(&where));
		if (*why != NULL) {
			connection_close(c);
			c = NULL;
		}
	}
	buf_free(&where);
	return c;
}

static bool
connected(void *table, struct host *h)
{
	struct table *t = table;
	const char *why = NULL;

	if (h->connection != NULL)
		return true;
	h->connection = reach(t, h, &why);
	if (h->connection != NULL && introduce(t, h->connection)) {
		hosts_connected(&t->hosts, h);
		return true;
	}
	log_warning("connect to redis server %s: %s", h->name, why != NULL ? why : "out of memory");
	return false;
}

/* --- questions */

static bool
add_reply(struct table *t, const redisReply *reply, struct span key, struct result *r, struct err *e)
{
	switch (reply->type) {
	case REDIS_REPLY_STRING:
	case REDIS_REPLY_STATUS:
		return query_add(&t->query, r, key, span(reply->str, (size_t)reply->len), e);
	case REDIS_REPLY_ARRAY:
		for (size_t i = 0; i < reply->elements; i++)
			if (reply->element[i]->type == REDIS_REPLY_STRING && !add_reply(t, reply->element[i], key, r, e))
				return false;
		return true;
	default:
		return true;
	}
}

static enum map_status
failed(const struct table *t, const struct host *h, const char *why, struct err *e)
{
	log_warning("%s: query failed: host %s: %s", t->query.map->spec, h->name, why);
	return MAP_TEMPORARY(e, "Application error");
}

static bool
send_question(struct table *t, struct connection *c, struct span key, struct buf text[2])
{
	const char *words[WORDS_MAX] = { t->words[0] };
	size_t sizes[WORDS_MAX] = { strlen(t->words[0]) }, n = 1;

	if (t->n > 1) {
		if (!query_fill(t->words[1], key, NULL, NULL, NULL, &text[0]))
			return false;
		words[n] = buf_cstr(&text[0]);
		sizes[n++] = text[0].n;
	}
	if (!query_fill(t->query.text, key, NULL, NULL, NULL, &text[1]))
		return false;
	words[n] = buf_cstr(&text[1]);
	sizes[n++] = text[1].n;
	return send_command(c, n, words, sizes);
}

/* Ask one host. *again: it is gone, ask another. */
static enum map_status
ask(void *table, struct host *h, struct span key, struct result *r, bool *again, struct err *e)
{
	struct table *t = table;
	struct connection *c = h->connection;
	struct buf text[2] = {0};
	enum map_status status = MAP_FOUND;
	redisReply *reply = NULL;
	const char *why = "";

	const bool sent = send_question(t, c, key, text);

	buf_free(&text[0]);
	buf_free(&text[1]);
	*again = false;
	if (!sent)
		return MAP_NOT_FOUND;
	*again = true;
	start_clock(t, c);
	if (!stream_flush(c->stream))
		return failed(t, h, stream_reason(c->stream), e);
	for (;; c->unanswered--) {
		freeReplyObject(reply);
		reply = read_reply(c, &why);
		if (reply == NULL)
			return failed(t, h, why, e);
		if (reply->type == REDIS_REPLY_ERROR) {
			status = failed(t, h, reply->str, e);
			*again = c->unanswered > 0;	/* not let in: of no use */
			break;
		}
		if (c->unanswered == 0) {
			*again = false;
			if (!add_reply(t, reply, key, r, e))
				status = MAP_FAILED;
			break;
		}
	}
	freeReplyObject(reply);
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
	.name = "redis",
	.properties = MAP_TYPE_FIXED,
	.open = table_open,
	.close = table_close,
	.get = table_get,
};

const struct map_module posthaste_map_module_1 = { MAP_MODULE_ABI, MAP_MODULE_SIZE, &type };
