/*
 * json_in.c - settings as JSON on standard input: {"name": "value", ...}, also several objects in a row, as postconf -j
 * writes them.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "io/file.h"
#include "postconf/postconf.h"

#ifdef HAVE_JSON_C
#include <json-c/json.h>

#define INPUT_MAX	(16u << 20)

static void
read_input(struct buf *text)
{
	char piece[65536];
	ssize_t n;

	while ((n = read(STDIN_FILENO, piece, sizeof piece)) > 0) {
		buf_add(text, piece, (size_t)n);
		if (text->n > INPUT_MAX)
			log_fatal("JSON input: more than %u bytes", INPUT_MAX);
	}
	if (n < 0)
		log_fatal("JSON input: read error");
}

/* A value as main.cf has it. */
static const char *
value_text(const char *name, struct json_object *value)
{
	switch (json_object_get_type(value)) {
	case json_type_boolean:
		return json_object_get_boolean(value) ? "yes" : "no";
	case json_type_int:
	case json_type_double:
		return json_object_get_string(value);
	case json_type_string:
		if (strlen(json_object_get_string(value)) == (size_t)json_object_get_string_len(value))
			return json_object_get_string(value);
		log_fatal("JSON input: the value of \"%s\" has a NUL in it", name);
	default:
		log_fatal("JSON input: the value of \"%s\" is neither text nor a number nor true or false", name);
	}
}

static void
add_object(struct vec *arguments, struct json_object *object, unsigned number)
{
	if (!json_object_is_type(object, json_type_object))
		log_fatal("JSON input: value %u is not an object like {\"name\": \"value\"}", number);
	json_object_object_foreach(object, name, value) {
		const char *text = value_text(name, value);

		if (*name == '\0' || strpbrk(name, "= \t\r\n#") != NULL)
			log_fatal("JSON input: \"%s\" cannot be the name of a parameter", name);
		*(char **)vec_add(arguments) = arena_printf(memory, "%s=%s", name, text);
	}
}

char **
json_arguments(void)
{
	struct vec arguments = VEC_INIT(char *);
	struct json_tokener *parser = json_tokener_new_ex(4);
	struct buf input = {0};
	struct span rest;
	unsigned number = 0;
	char **list;

	if (parser == NULL)
		log_out_of_memory();
	json_tokener_set_flags(parser, JSON_TOKENER_STRICT | JSON_TOKENER_ALLOW_TRAILING_CHARS);
	read_input(&input);
	for (rest = span_trim(buf_view(&input)); rest.n > 0; rest = span_trim(rest)) {
		struct json_object *object = json_tokener_parse_ex(parser, rest.p, (int)rest.n);
		const enum json_tokener_error why = json_tokener_get_error(parser);

		if (why == json_tokener_continue)
			log_fatal("JSON input: the end is missing");
		if (why != json_tokener_success)
			log_fatal("JSON input: %s at byte %zu", json_tokener_error_desc(why),
			    (size_t)(rest.p - input.p) + json_tokener_get_parse_end(parser) + 1);
		add_object(&arguments, object, ++number);
		(void)json_object_put(object);
		rest = span_from(rest, json_tokener_get_parse_end(parser));
		json_tokener_reset(parser);
	}
	json_tokener_free(parser);
	buf_free(&input);
	if (arguments.n == 0)
		log_fatal("JSON input: no settings");
	list = ARENA_ARRAY(memory, char *, arguments.n + 1);	/* zeroed: NULL at the end */
	memcpy(list, arguments.p, arguments.n * sizeof *list);
	vec_free(&arguments);
	return list;
}
#else
char **
json_arguments(void)
{
	log_fatal("JSON input is not available: this build has no json-c");
}
#endif
