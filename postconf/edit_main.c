/*
 * edit_main.c - main.cf: set, remove and comment out parameters.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "postconf/postconf.h"

struct request {
	const char *name, *value;	/* value NULL with -X, -# */
	unsigned found;
};

static struct request *
find(const struct vec *requests, struct span name)
{
	for (size_t i = 0; i < requests->n; i++)
		if (span_is(name, VEC_AT(requests, struct request, i)->name))
			return VEC_AT(requests, struct request, i);
	return NULL;
}

static struct span
skip_blanks(const char *text)
{
	while (ascii_space(*text))
		text++;
	return span_str(text);
}

static void
add_setting(struct vec *requests, const char *text)
{
	struct span name, value;
	struct request *r;
	const char *why;

	if (!conf_split_pair(span_str(text), &name, &value, &why))
		log_fatal("%s: \"%.*s\"", why, SPAN_ARG(skip_blanks(text)));
	r = find(requests, name);
	if (r != NULL)
		log_warning("ignoring earlier request: '%s = %s'", r->name, r->value);
	else
		r = vec_add(requests);
	r->name = span_cstr(name, memory);
	r->value = span_cstr(value, memory);
}

static void
add_name(struct vec *requests, const char *text)
{
	const struct span name = skip_blanks(text);	/* blanks behind it are part of it, and so match nothing */

	if (span_trim(name).n == 0)
		log_fatal("-X or -# requires non-blank parameter names");
	if (span_has(name, '='))
		log_fatal("-X or -# requires parameter names without value");
	if (find(requests, name) == NULL)
		((struct request *)vec_add(requests))->name = span_cstr(name, memory);
}

static struct span
name_of(struct span line)
{
	size_t n = 0;

	while (n < line.n && line.p[n] != '=' && !ascii_space(line.p[n]))
		n++;
	return span_to(line, n);
}

static void
write_setting(struct edit_file *f, const struct request *r)
{
	edit_line(f, span_str(arena_printf(memory, "%s = %s", r->name, r->value)));
}

static void
write_commented(struct edit_file *f, struct span line)
{
	edit_line(f, span_str(arena_printf(memory, "#%.*s", SPAN_ARG(line))));
}

/* The first line of an entry that a request names. */
static void
apply(struct edit_file *f, struct request *r, struct span line)
{
	if (r->found++ == 1)
		log_warning("%s: multiple entries for \"%s\"", f->path, r->name);
	if (HAS(OPT_e))
		write_setting(f, r);
	else if (HAS(OPT_comment))
		write_commented(f, line);
}

static int
compare(const void *a, const void *b)
{
	return strcmp(((const struct request *)a)->name, ((const struct request *)b)->name);
}

static void
rewrite(struct edit_file *f, struct vec *requests)
{
	struct request *current = NULL;		/* of the entry that continuation lines belong to */

	for (size_t i = 0; i < f->lines.n; i++) {
		const struct span line = *VEC_AT(&f->lines, struct span, i);

		if (edit_is_comment(line)) {
			edit_line(f, line);
		} else if (ascii_space(*line.p)) {
			if (current == NULL)
				edit_line(f, line);
			else if (HAS(OPT_comment))
				write_commented(f, line);
		} else {
			current = find(requests, name_of(line));
			if (current != NULL)
				apply(f, current, line);
			else
				edit_line(f, line);
		}
	}
	if (!HAS(OPT_e))
		return;
	qsort(requests->p, requests->n, sizeof(struct request), compare);
	for (size_t i = 0; i < requests->n; i++)
		if (VEC_AT(requests, struct request, i)->found == 0)
			write_setting(f, VEC_AT(requests, struct request, i));
}

void
edit_main(char **arguments)
{
	struct vec requests = VEC_INIT(struct request);
	struct edit_file f;

	for (; *arguments != NULL; arguments++) {
		edit_check_argument(*arguments);
		if (HAS(OPT_e))
			add_setting(&requests, *arguments);
		else
			add_name(&requests, *arguments);
	}
	edit_open(&f, main_cf);
	rewrite(&f, &requests);
	edit_commit(&f);
	vec_free(&requests);
}
