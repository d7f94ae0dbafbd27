/*
 * query.c - asks tables, lists and edits them.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/vec.h"
#include "conf/json.h"
#include "postmap/postmap.h"

#define PIECE		65536u	/* bytes of input read at a time, and of output that may wait */

struct map *
open_table(const char *name, unsigned flags)
{
	char *spec = full_spec(name);
	struct map *table = map_open(spec, flags);

	if (map_open_error(table) != NULL)
		log_fatal("%s", map_open_error(table));
	free(spec);
	return table;
}

static void
write_out(const struct buf *text)
{
	if (text->n > 0 && fwrite(text->p, 1, text->n, stdout) != text->n)
		log_fatal("write error: %s", strerror(errno));
}

int
end_output(int status)
{
	if (fflush(stdout) != 0)
		log_fatal("write error: %s", strerror(errno));
	return status;
}

static void
print_pair(const struct options *o, struct span key, struct span value)
{
	struct buf line = {0};

	if (o->json) {
		buf_byte(&line, '{');
		json_quote(&line, key);
		buf_str(&line, ": ");
		json_quote(&line, value);
		buf_str(&line, "}\n");
	} else {
		buf_span(&line, key);
		buf_str(&line, o->aliases ? ":\t" : "\t");
		buf_span(&line, value);
		buf_byte(&line, '\n');
	}
	write_out(&line);
	buf_free(&line);
}

static bool
ask(struct map *table, struct span key, struct arena *mem, struct span *value)
{
	struct err e = {0};

	switch (map_get(table, key, mem, value, &e)) {
	case MAP_NOT_FOUND:
		return false;
	case MAP_FAILED:
		if (span_starts(span_str(e.text), SPAN("error reading ")))
			log_fatal("%s", e.text);
		if (e.kind == ERR_TEMPORARY)
			log_fatal("table %s: query error: %s", map_spec(table), e.text);
		log_fatal("table %s: query error", map_spec(table));
	case MAP_FOUND:
		break;
	}
	if (value->n == 0) {
		log_warning("table %s: key %.*s: empty string result is not allowed", map_spec(table), SPAN_ARG(key));
		log_warning("table %s should return NO RESULT in case of NOT FOUND", map_spec(table));
	}
	return true;
}

int
query_tables(const struct options *o, char **spec)
{
	struct arena *mem = arena_new();
	const struct span key = span_str(o->query);
	struct span value;
	bool found = false;

	for (; *spec != NULL && !found; spec++) {
		struct map *table = open_table(*spec, o->flags);

		found = ask(table, key, mem, &value);
		map_close(&table);
	}
	if (found && o->json)
		print_pair(o, key, value);
	else if (found && (fwrite(value.p, 1, value.n, stdout) != value.n || putchar('\n') == EOF))
		log_fatal("write error: %s", strerror(errno));
	arena_free(&mem);
	return end_output(found ? 0 : 1);
}

struct vec
open_all(const struct options *o, char **spec, unsigned more)
{
	struct vec tables = VEC_INIT(struct map *);

	for (; *spec != NULL; spec++)
		*(struct map **)vec_add(&tables) = open_table(*spec, o->flags | more);
	return tables;
}

void
close_all(struct vec *tables)
{
	for (size_t i = 0; i < tables->n; i++)
		map_close(VEC_AT(tables, struct map *, i));
	vec_free(tables);
}

bool
ask_all(const struct options *o, const struct vec *tables, struct span key, struct arena *mem)
{
	struct span value;

	for (size_t i = 0; i < tables->n; i++) {
		if (ask(*VEC_AT(tables, struct map *, i), key, mem, &value)) {
			print_pair(o, key, value);
			return true;
		}
	}
	return false;
}

bool
next_line(struct span *line, char **memory, size_t *cap)
{
	const ssize_t n = getline(memory, cap, stdin);

	if (n < 0)
		return false;
	*line = span(*memory, (size_t)n);
	if (line->n > 0 && line->p[line->n - 1] == '\n')
		line->n--;
	line->n = span_find(*line, '\0');
	return true;
}

/* Keys, one a line, of standard input. */
struct keys {
	struct buf text;		/* what was read; up to at it is done with */
	size_t at;
	bool ended;
};

/* A whole line of what was read, or at the end of input what is left. */
static bool
take_key(struct keys *k, struct span *key)
{
	const struct span left = span_from(buf_view(&k->text), k->at);
	const size_t n = span_find(left, '\n');

	if (n == left.n && (n == 0 || !k->ended))
		return false;
	*key = span_to(left, span_find(span_to(left, n), '\0'));
	k->at += n < left.n ? n + 1 : n;
	return true;
}

static void
read_keys(struct keys *k)
{
	ssize_t n;

	buf_drop(&k->text, k->at);
	k->at = 0;
	buf_reserve(&k->text, PIECE);
	while ((n = read(STDIN_FILENO, k->text.p + k->text.n, PIECE)) < 0 && errno == EINTR)
		continue;
	k->ended = n <= 0;
	k->text.n += n > 0 ? (size_t)n : 0;
}

static void
hold_all(const struct vec *tables, bool on)
{
	for (size_t i = 0; i < tables->n; i++)
		map_hold(*VEC_AT(tables, struct map *, i), on);
}

/* Tables are locked while keys are at hand: nobody who changes one has to wait for our input, or for whoever reads our output. */
int
query_stdin(const struct options *o, char **spec)
{
	struct vec tables = open_all(o, spec, 0);
	struct arena *mem = arena_new();
	struct keys keys = {0};
	struct span key;
	int status = 1;

	(void)setvbuf(stdout, NULL, _IOFBF, 2 * PIECE);
	while (!keys.ended) {
		read_keys(&keys);
		hold_all(&tables, true);
		for (; take_key(&keys, &key); arena_reset(mem)) {
			if (ask_all(o, &tables, key, mem))
				status = 0;
			if (__fpending(stdout) > PIECE) {
				hold_all(&tables, false);
				(void)end_output(0);
				hold_all(&tables, true);
			}
		}
		hold_all(&tables, false);
		(void)end_output(0);
	}
	buf_free(&keys.text);
	arena_free(&mem);
	close_all(&tables);
	return end_output(status);
}

int
list_table(const struct options *o, const char *spec)
{
	struct map *table;
	struct arena *mem = arena_new();
	struct span key, value;
	struct err e = {0};
	enum map_status status;

	if (span_starts(span_str(spec), SPAN("proxy:")))
		log_fatal("can't sequence maps via the proxy service");
	table = open_table(spec, o->flags);

	for (bool first = true; (status = map_next(table, first, mem, &key, &value, &e)) == MAP_FOUND; first = false) {
		if (key.n == 0)
			log_warning("table %s: empty lookup key value is not allowed", map_spec(table));
		if (value.n == 0)
			log_warning("table %s: key %.*s: empty string value is not allowed", map_spec(table), SPAN_ARG(key));
		print_pair(o, key, value);
		arena_reset(mem);
	}
	if (status == MAP_FAILED)
		log_fatal("%s", e.text);
	arena_free(&mem);
	map_close(&table);
	return end_output(0);
}

static bool
remove_key(struct map *table, struct span key)
{
	struct err e = {0};
	const enum map_status status = map_delete(table, key, &e);

	if (status == MAP_FAILED)
		log_fatal("%s", e.text);
	return status == MAP_FOUND;
}

int
delete_key(const struct options *o, char **spec)
{
	bool found = false;

	for (; *spec != NULL; spec++) {
		struct map *table = open_table(*spec, o->flags | MAP_WRITE);

		found |= remove_key(table, span_str(o->remove));
		map_close(&table);
	}
	return found ? 0 : 1;
}

int
delete_stdin(const struct options *o, char **spec)
{
	struct vec tables = open_all(o, spec, MAP_WRITE);
	char *memory = NULL;
	size_t cap = 0;
	struct span key;
	bool found = false;

	while (next_line(&key, &memory, &cap))
		for (size_t i = 0; key.n > 0 && i < tables.n; i++)
			found |= remove_key(*VEC_AT(&tables, struct map *, i), key);
	free(memory);
	close_all(&tables);
	return found ? 0 : 1;
}
