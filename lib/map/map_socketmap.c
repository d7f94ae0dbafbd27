/*
 * map_socketmap.c - socketmap:inet:host:port:name, socketmap:unix:path:name: tables behind a server that speaks
 * netstrings. "name key" is answered "OK value", "NOTFOUND", "TEMP why", "TIMEOUT why" or "PERM why".
 * The server is not trusted with where mail is written (MAP_TYPE_UNAUTH). Answers are limited to
 * socketmap_max_reply_size bytes and peer_answer_seconds. Values may have newlines: servers of TLS policies separate attributes with them.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "map/peer.h"
#include "map/query.h"
#include "map/type.h"

#define REASON_MAX	200
#define IDLE_MS		10000	/* an idle connection, and any after LIFE_MS, is not used again */
#define LIFE_MS		100000

struct socketmap {
	struct peer *peer;
	const char *name;	/* in the map's spec */
};

static bool
socketmap_open(struct map *m, struct err *e)
{
	const struct span spec = span_str(m->name);
	const size_t colon = span_rfind(spec, ':');
	struct socketmap *s;
	char *endpoint;

	if (colon == spec.n)
		return err_perm(e, "socketmap requires server:socketmap argument");
	s = calloc(1, sizeof *s);
	if (s == NULL)
		log_out_of_memory();
	endpoint = span_strdup(span_to(spec, colon));
	s->peer = peer_open(endpoint, e);
	s->name = m->name + colon + 1;
	free(endpoint);
	if (s->peer == NULL) {
		free(s);
		return false;
	}
	m->state = s;
	return true;
}

static void
socketmap_close(struct map *m)
{
	struct socketmap *s = m->state;

	peer_close(&s->peer);
	free(s);
}

static const char *
broken(const struct peer *p)
{
	switch (stream_state(p->stream)) {
	case STREAM_TIMEOUT: return "time limit exceeded";
	default: return "unexpected disconnect";
	}
}

/* The length in front of a netstring. NULL, or what is wrong. */
static const char *
take_length(struct stream *s, size_t *length)
{
	const size_t most = (size_t)conf.socketmap_max_reply_size;
	char c;

	*length = 0;
	for (size_t digits = 0; ; digits++) {
		if (!stream_read(s, &c, 1))
			return "";
		if (c == ':' && digits > 0)
			return NULL;
		if (!ascii_digit(c))
			return "input format error";
		*length = *length * 10 + (size_t)(c - '0');
		if (*length > most || digits > most)
			return "input exceeds size limit";
	}
}

/* One exchange. NULL, or what went wrong; *connected: the server is there; *retry: a new connection may do. */
static const char *
ask(struct socketmap *s, struct span key, struct arena *mem, struct span *reply, bool *connected, bool *retry)
{
	struct peer *p = s->peer;
	const char *why;
	size_t length;
	char *data, comma = ',';

	*retry = false;
	if (p->stream != NULL && (clock_ms() - p->used > IDLE_MS || clock_ms() - p->opened > LIFE_MS))
		peer_drop(p);
	*connected = peer_connect(p, "", 1000 * (int64_t)peer_answer_seconds);
	if (!*connected)
		return strerror(errno);
	stream_printf(p->stream, "%zu:%s ", strlen(s->name) + 1 + key.n, s->name);
	stream_put(p->stream, key);
	stream_puts(p->stream, ",");
	why = stream_flush(p->stream) ? take_length(p->stream, &length) : "";
	if (why == NULL) {
		data = arena_alloc(mem, length + 1);
		if (!stream_read(p->stream, data, length) || !stream_read(p->stream, &comma, 1))
			why = "";
		else if (comma != ',')
			why = "input format error";
		*reply = span(data, length);
	}
	if (why == NULL)
		return NULL;
	if (*why == '\0') {
		*retry = stream_state(p->stream) != STREAM_TIMEOUT;
		why = broken(p);
	}
	peer_drop(p);
	return why;
}

static const struct {
	const char *word, *text;
	bool permanent;
} failures[] = {
	{ "TEMP", "temporary", false },
	{ "TIMEOUT", "timeout", false },
	{ "PERM", "permanent", true },
	{ NULL, "unknown", false },
};

static enum map_status
failed(const struct map *m, struct span word, struct span reason, struct err *e)
{
	size_t i = 0;

	while (failures[i].word != NULL && !span_is(word, failures[i].word))
		i++;
	reason = span_to(reason, REASON_MAX);
	log_warning("%s socketmap server %s error%s%.*s", m->spec, failures[i].text, reason.n > 0 ? ": " : "", SPAN_ARG(reason));
	return failures[i].permanent ? MAP_PERMANENT(e, "Application error") : MAP_TEMPORARY(e, "Application error");
}

static enum map_status
socketmap_get(struct map *m, struct span key, struct arena *mem, struct span *value, struct err *e)
{
	struct span reply, word;
	bool retry = true, connected, has_text;
	const char *why = NULL;

	for (int attempt = 0; attempt < 2 && retry; attempt++)
		why = ask(m->state, key, mem, &reply, &connected, &retry);
	if (why != NULL) {
		log_warning("table %s lookup error: %s", m->spec, why);
		return MAP_TEMPORARY(e, "%s", connected ? "Application error" : why);
	}
	has_text = span_take_until(&reply, ' ', &word);
	if (!has_text) {
		word = reply;
		reply = SPAN_NULL;
	}
	if (span_is(word, "NOTFOUND") || (span_is(word, "OK") && !has_text))
		return MAP_NOT_FOUND;
	if (!span_is(word, "OK"))
		return failed(m, word, reply, e);
	if (!query_value_fits_lines(m, key, reply, e))
		return MAP_FAILED;
	*value = reply;
	return MAP_FOUND;
}

const struct map_type map_type_socketmap = {
	.name = "socketmap",
	.properties = MAP_TYPE_UNAUTH,
	.open = socketmap_open,
	.close = socketmap_close,
	.get = socketmap_get,
};
