/*
 * show_master.c - master.cf: entries, single fields, and -o parameters.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "postconf/postconf.h"

bool
pattern_parse(const char *text, size_t least, size_t most, struct pattern *p)
{
	char *part[3] = { NULL, NULL, NULL };
	struct span rest = span_str(text), one;
	size_t n = 0;

	*p = (struct pattern){ NULL, NULL, NULL, false };
	if (*text == '/')
		return false;
	for (; span_take_word(&rest, "/", &one); n++) {
		if (n == most || (span_has(one, '*') && one.n > 1))
			return false;
		part[n] = span_cstr(one, memory);
	}
	p->name = part[0];
	p->type = part[1];
	p->third = part[2];
	return n >= least;
}

static bool
part_matches(const char *pattern, const char *text)
{
	return pattern == NULL || text == NULL || strcmp(pattern, "*") == 0 || strcmp(pattern, text) == 0;
}

bool
pattern_matches(const struct pattern *p, const char *name, const char *type, const char *third)
{
	return part_matches(p->name, name) && part_matches(p->type, type) && part_matches(p->third, third);
}

size_t
field_number(const char *name)
{
	size_t i = 0;

	while (i < ENTRY_FIELDS && strcmp(entry_field_name[i], name) != 0)
		i++;
	return i;
}

struct requests {
	struct pattern *p;
	size_t n;
	char **text;
};

static struct requests
parse_requests(char **text, size_t most, const char *message)
{
	struct requests r = { .text = text };

	while (text[r.n] != NULL)
		r.n++;
	r.p = ARENA_ARRAY(memory, struct pattern, r.n);
	for (size_t i = 0; i < r.n; i++)
		if (!pattern_parse(text[i], 1, most, &r.p[i]))
			log_fatal("%s", message);
	return r;
}

static bool
requested(struct requests *r, const char *name, const char *type, const char *third)
{
	bool found = r->n == 0;

	for (size_t i = 0; i < r->n; i++) {
		if (pattern_matches(&r->p[i], name, type, third)) {
			r->p[i].matched = true;
			found = true;
		}
	}
	return found;
}

static void
warn_unmatched(const struct requests *r)
{
	print_flush();
	for (size_t i = 0; i < r->n; i++)
		if (!r->p[i].matched)
			log_warning("unmatched request: \"%s\"", r->text[i]);
}

static void
show_entry(const struct entry *entry)
{
	struct buf text = {0};

	entry_print(entry, HAS(OPT_f), HAS(OPT_x), &text);
	if (HAS(OPT_j))
		print_setting(arena_printf(memory, "%s/%s", entry->name, entry->type), buf_cstr(&text));
	else
		print_line(buf_cstr(&text));
	buf_free(&text);
}

void
show_entries(char **text)
{
	struct requests r = parse_requests(text, 2, "-M option requires service_name[/type]");

	for (size_t i = 0; i < entries.n; i++) {
		const struct entry *entry = VEC_AT(&entries, struct entry, i);

		if (requested(&r, entry->name, entry->type, NULL))
			show_entry(entry);
	}
	warn_unmatched(&r);
}

static void
show_third(const struct entry *entry, const char *third, const char *value)
{
	print_setting(arena_printf(memory, "%s/%s/%s", entry->name, entry->type, third), value);
}

/* With -f like the entry itself: each -o on a line of its own. */
static void
show_folded_command(const struct entry *entry)
{
	struct buf text = {0};

	if (!HAS(OPT_h))
		buf_printf(&text, "%s/%s/command = ", entry->name, entry->type);
	buf_str(&text, entry_word(entry, ENTRY_FIELDS - 1));
	entry_print_arguments(entry, true, HAS(OPT_x), 0, &text);
	print_line(buf_cstr(&text));
	buf_free(&text);
}

static void
show_field(const struct entry *entry, size_t field)
{
	const bool command = field == ENTRY_FIELDS - 1;

	if (command && HAS(OPT_f) && !HAS(OPT_H) && !HAS(OPT_j))
		show_folded_command(entry);
	else
		show_third(entry, entry_field_name[field], command ? entry_command(entry, HAS(OPT_x)) : entry_word(entry, field));
}

void
show_fields(char **text)
{
	struct requests r = parse_requests(text, 3, "-F option requires service_name[/type[/field]]");

	for (size_t i = 0; i < r.n; i++)
		if (r.p[i].third != NULL && strcmp(r.p[i].third, "*") != 0 && field_number(r.p[i].third) == ENTRY_FIELDS)
			log_fatal("invalid service attribute name: \"%s\"", r.p[i].third);
	for (size_t i = 0; i < entries.n; i++) {
		const struct entry *entry = VEC_AT(&entries, struct entry, i);

		for (size_t field = 0; field < ENTRY_FIELDS; field++)
			if (requested(&r, entry->name, entry->type, entry_field_name[field]))
				show_field(entry, field);
	}
	warn_unmatched(&r);
}

#define PARAMETER_SYNTAX	"-P option requires service_name[/type[/parameter]]"

void
show_service_parameters(char **text)
{
	struct requests r = parse_requests(text, 3, PARAMETER_SYNTAX);

	for (size_t i = 0; i < entries.n; i++) {
		const struct entry *entry = VEC_AT(&entries, struct entry, i);

		for (size_t k = 0; k < entry->settings.n; k++) {
			const struct setting *s = VEC_AT(&entry->settings, struct setting, k);

			if (requested(&r, entry->name, entry->type, s->name))
				show_third(entry, s->name, HAS(OPT_x) ? expanded(entry, s->value) : s->value);
		}
	}
	warn_unmatched(&r);
}

static const char *
service_setting(const struct entry *entry, const char *name)
{
	for (size_t i = 0; i < entry->settings.n; i++) {
		const struct setting *s = VEC_AT(&entry->settings, struct setting, i);

		if (strcmp(s->name, name) == 0)
			return s->value;
	}
	return NULL;
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void
show_all_of(const struct entry *entry, struct requests *r)
{
	struct vec names = VEC_INIT(const char *);

	for (size_t i = 0; i < row_count(); i++)
		if (r->n > 0 || (row_at(i)->class & classes))
			*(const char **)vec_add(&names) = row_at(i)->name;
	for (size_t i = 0; i < entry->settings.n; i++)
		if (row_find(VEC_AT(&entry->settings, struct setting, i)->name) == NULL)
			*(const char **)vec_add(&names) = VEC_AT(&entry->settings, struct setting, i)->name;
	if (names.n > 0)
		qsort(names.p, names.n, names.size, compare_names);
	for (size_t i = 0; i < names.n; i++) {
		const char *name = *VEC_AT(&names, const char *, i), *value = service_setting(entry, name);

		if (!requested(r, entry->name, entry->type, name))
			continue;
		if (value == NULL)
			value = setting_of(name);
		if (value == NULL)
			value = default_of(name);
		if (value != NULL)
			show_third(entry, name, HAS(OPT_x) ? expanded_value(entry, name, value) : value);
	}
	vec_free(&names);
}

void
show_service_all(char **text)
{
	struct requests r = parse_requests(text, 3, PARAMETER_SYNTAX);

	for (size_t i = 0; i < entries.n; i++)
		show_all_of(VEC_AT(&entries, struct entry, i), &r);
	warn_unmatched(&r);
}
