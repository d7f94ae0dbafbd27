/*
 * map_tcp.c - tcp:host:port, tables behind a server that speaks lines: "get KEY" is answered "200 VALUE", "500 TEXT"
 * (no such key) or "400 TEXT" (try later); bytes outside of printable ASCII, blanks and '%' travel as %XX.
 * The server is not trusted with where mail is written (MAP_TYPE_UNAUTH). Lines are cut off at LINE_MAX_BYTES, a question
 * is given up after peer_answer_seconds.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "map/peer.h"
#include "map/query.h"
#include "map/type.h"

#define LINE_MAX_BYTES	4096
#define ATTEMPTS	10

static bool
tcp_open(struct map *m, struct err *e)
{
	m->state = peer_open_inet(m->name, e);
	return m->state != NULL;
}

static void
tcp_close(struct map *m)
{
	struct peer *p = m->state;

	peer_close(&p);
}

static void
put_quoted(struct stream *s, struct span text)
{
	for (size_t i = 0; i < text.n; i++) {
		const char c = text.p[i];

		if (ascii_print(c) && c != ' ' && c != '%')
			stream_write(s, &c, 1);
		else
			stream_printf(s, "%%%02X", (unsigned char)c);
	}
}

/* False: a '%' without two hexadecimal digits behind it. */
static bool
unquote(struct span text, struct arena *mem, struct span *out)
{
	char *p = arena_alloc(mem, text.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] != '%') {
			p[n++] = text.p[i];
			continue;
		}
		if (text.n - i < 3 || ascii_hex(text.p[i + 1]) < 0 || ascii_hex(text.p[i + 2]) < 0)
			return false;
		p[n++] = (char)(ascii_hex(text.p[i + 1]) * 16 + ascii_hex(text.p[i + 2]));
		i += 2;
	}
	*out = span(p, n);
	return true;
}

/* One exchange. False: the connection is gone or unusable, and that was logged; errno 0 when there was one. */
static bool
ask(struct peer *p, struct span key, struct span *line)
{
	if (!peer_connect(p, "TCP map ", 1000 * (int64_t)peer_answer_seconds))
		return false;
	stream_puts(p->stream, "get ");
	put_quoted(p->stream, key);
	stream_puts(p->stream, "\n");
	if (stream_flush(p->stream) && stream_line(p->stream, LINE_MAX_BYTES, line)) {
		if (line->n > 0 && line->p[line->n - 1] == '\n')
			return true;
		if (line->n == LINE_MAX_BYTES) {
			log_warning("read TCP map reply from %s: text longer than %d", p->where, LINE_MAX_BYTES);
			peer_drop(p);
			errno = 0;
			return false;
		}
	}
	switch (stream_state(p->stream)) {
	case STREAM_TIMEOUT: errno = ETIMEDOUT; break;
	case STREAM_ERROR: errno = stream_errno(p->stream); break;
	default: errno = ECONNRESET; break;
	}
	log_warning("read TCP map reply from %s: unexpected EOF (%s)", p->where, strerror(errno));
	peer_drop(p);
	errno = 0;
	return false;
}

/* The server cannot be asked: again and again, a second apart. False: not in ATTEMPTS, or not within the time limit. */
static bool
ask_patiently(struct peer *p, struct span key, struct span *line)
{
	const int64_t end = clock_ms() + 1000 * (int64_t)peer_answer_seconds;

	for (int i = 0; i < ATTEMPTS; i++) {
		if (i > 0)
			(void)usleep((useconds_t)peer_pause_ms * 1000);
		if (ask(p, key, line))
			return true;
		if (clock_ms() >= end)
			break;
	}
	return false;
}

static enum map_status
unusable(struct peer *p, const char *why, struct span line, struct err *e)
{
	log_warning("read TCP map reply from %s: %s: %.*s", p->where, why, SPAN_ARG(line));
	peer_drop(p);
	return MAP_TEMPORARY(e, "Application error");
}

static enum map_status
tcp_get(struct map *m, struct span key, struct arena *mem, struct span *value, struct err *e)
{
	struct peer *p = m->state;
	struct span line, text;

	if (!ask_patiently(p, key, &line))
		return MAP_TEMPORARY(e, "%s", errno != 0 ? strerror(errno) : "Application error");
	line = span_chomp(line);
	if (line.n < 4 || !ascii_digit(line.p[0]) || !ascii_digit(line.p[1]) || !ascii_digit(line.p[2]) ||
	    !ascii_space(line.p[3]) || !unquote(span_from(line, 4), mem, &text))
		return unusable(p, "malformed reply", line, e);
	switch (line.p[0]) {
	case '5':
		return MAP_NOT_FOUND;
	case '4':
		peer_drop(p);
		return MAP_TEMPORARY(e, "Application error");
	case '2':
		if (!query_value_fits(m, key, text, e))
			return MAP_FAILED;
		*value = text;
		return MAP_FOUND;
	default:
		return unusable(p, "bad status code", line, e);
	}
}

const struct map_type map_type_tcp = {
	.name = "tcp",
	.properties = MAP_TYPE_UNAUTH,
	.open = tcp_open,
	.close = tcp_close,
	.get = tcp_get,
};
