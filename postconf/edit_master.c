/*
 * edit_master.c - master.cf: replace, remove and comment out entries; change single fields and -o parameters.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "postconf/postconf.h"

struct request {
	const char *text;
	struct pattern pattern;
	const char *value;		/* text behind "=", NULL with -X, -# */
	struct entry entry;		/* -Me: what the value says */
	size_t field;			/* -Fe */
	bool done;
};

struct edit {
	struct edit_file file;
	struct vec requests;		/* struct request */
};

/* "name/type[/third]=value" */
static void
split_request(struct request *r, char *text, size_t parts, bool with_value, const char *syntax)
{
	struct span whole = span_trim(span_str(text)), left = whole, value;
	const char *why;

	edit_check_argument(text);
	*r = (struct request){ .text = text };
	if (with_value) {
		if (!conf_split_pair(whole, &left, &value, &why))
			log_fatal("%s: \"%.*s\"", why, SPAN_ARG(whole));
		r->value = span_cstr(value, memory);
	} else if (span_has(whole, '=')) {
		log_fatal("-X or -# requires names without value");
	}
	if (!pattern_parse(span_cstr(left, memory), parts, parts, &r->pattern))
		log_fatal("%s", syntax);
}

static void
check_names(const struct edit_file *f, const struct entry *entry)
{
	if (strchr(entry->name, '=') != NULL)
		log_fatal("file %s: line %u: service name syntax \"%s\" is unsupported with %s", f->path, entry->line, entry->name,
		    "-Me, -Fe, -Pe, -X, or -#");
	if (strpbrk(entry->type, "=/") != NULL)
		log_fatal("file %s: line %u: service type syntax \"%s\" is unsupported with %s", f->path, entry->line, entry->type,
		    "-Me, -Fe, -Pe, -X, or -#");
}

/* Name and type of the entry that begins at this line. */
static void
peek_entry(const struct edit_file *f, struct span line, size_t number, struct entry *entry)
{
	struct span name, type;

	entry->line = (unsigned)number + 1;
	if (!span_take_word(&line, " \t\r\n", &name) || !span_take_word(&line, " \t\r\n", &type))
		log_fatal("file %s: line %u: specify service name and type on the same line", f->path, entry->line);
	entry->name = span_cstr(name, memory);
	entry->type = span_cstr(type, memory);
	check_names(f, entry);
}

static bool
begins_entry(struct span line)
{
	return !edit_is_comment(line) && !ascii_space(*line.p);
}

static void
write_entry(struct edit_file *f, const struct entry *entry)
{
	struct buf text = {0};

	entry_print(entry, true, false, &text);
	edit_line(f, buf_view(&text));
	buf_free(&text);
}

/* --- -M: whole entries */

static struct request *
find_request(const struct vec *requests, const struct entry *entry)
{
	for (size_t i = 0; i < requests->n; i++) {
		struct request *r = VEC_AT(requests, struct request, i);
		const bool same = r->value != NULL && strcmp(r->entry.name, entry->name) == 0 &&
		    strcmp(r->entry.type, entry->type) == 0;

		if (same || pattern_matches(&r->pattern, entry->name, entry->type, NULL))
			return r;
	}
	return NULL;
}

static void
write_edited_line(struct edit_file *f, struct request *r, struct span line, bool first)
{
	if (HAS(OPT_comment)) {
		edit_line(f, span_str(arena_printf(memory, "#%.*s", SPAN_ARG(line))));
	} else if (HAS(OPT_e) && first && !r->done) {
		write_entry(f, &r->entry);
		r->done = true;
	}
}

static void
rewrite_entries(struct edit *edit)
{
	struct edit_file *f = &edit->file;
	struct request *current = NULL;
	struct entry entry = {0};

	for (size_t i = 0; i < f->lines.n; i++) {
		const struct span line = *VEC_AT(&f->lines, struct span, i);
		const bool first = begins_entry(line);

		if (first) {
			peek_entry(f, line, i, &entry);
			current = find_request(&edit->requests, &entry);
		}
		if (current == NULL || edit_is_comment(line))
			edit_line(f, line);
		else
			write_edited_line(f, current, line, first);
	}
	for (size_t i = 0; HAS(OPT_e) && i < edit->requests.n; i++) {
		struct request *r = VEC_AT(&edit->requests, struct request, i);

		if (!r->done)
			write_entry(f, &r->entry);
	}
}

void
edit_master_entries(char **arguments)
{
	struct edit edit = { .requests = VEC_INIT(struct request) };

	for (; *arguments != NULL; arguments++) {
		struct request *r = vec_add(&edit.requests);

		split_request(r, *arguments, 2, HAS(OPT_e), "-Me, -MX or -M# requires service_name/type");
		if (r->value != NULL)
			entry_parse(&r->entry, span_str(r->value), arena_printf(memory, "bad field count: \"%s\"", r->text));
	}
	edit_open(&edit.file, master_cf);
	rewrite_entries(&edit);
	edit_commit(&edit.file);
	for (size_t i = 0; i < edit.requests.n; i++)
		entry_free(&VEC_AT(&edit.requests, struct request, i)->entry);
	vec_free(&edit.requests);
}

/* --- -F and -P: parts of entries */

static void
set_word(struct entry *entry, size_t i, const char *text)
{
	*VEC_AT(&entry->words, const char *, i) = text;
}

static void
insert_word(struct entry *entry, size_t at, const char *text)
{
	(void)vec_add(&entry->words);
	for (size_t i = entry->words.n - 1; i > at; i--)
		set_word(entry, i, entry_word(entry, i - 1));
	set_word(entry, at, text);
}

static void
set_field(struct entry *entry, const struct request *r)
{
	struct buf line = {0};

	if (r->field + 1 < ENTRY_FIELDS) {
		set_word(entry, r->field, r->value);
	} else {
		for (size_t i = 0; i + 1 < ENTRY_FIELDS; i++)
			buf_printf(&line, "%s ", entry_word(entry, i));
		buf_str(&line, r->value);
		entry_free(entry);
		entry_parse(entry, buf_view(&line), arena_printf(memory, "bad field count: \"%s\"", r->text));
		buf_free(&line);
	}
}

/* "-o name=value": each one there is replaced (or removed); else it comes behind the last option. */
static void
set_parameter(struct entry *entry, const struct request *r)
{
	const char *text = r->value != NULL ? arena_printf(memory, "%s=%s", r->pattern.third, r->value) : NULL;
	const struct span want = span_str(r->pattern.third);
	size_t behind = ENTRY_FIELDS;
	bool found = false;

	for (size_t i = ENTRY_FIELDS; i < entry->words.n; i++) {
		struct span name, value;
		const char *why;

		if (*entry_word(entry, i) != '-' || strcmp(entry_word(entry, i), "--") == 0)
			break;
		behind = i + 1;
		if (!entry_is_setting(entry, i))
			continue;
		behind = ++i + 1;
		if (!conf_split_pair(span_str(entry_word(entry, i)), &name, &value, &why) || !span_eq(name, want))
			continue;
		found = true;
		if (text != NULL) {
			set_word(entry, i, text);
		} else {
			vec_remove(&entry->words, i);
			vec_remove(&entry->words, i - 1);
			i -= 2;
			behind -= 2;
		}
	}
	if (!found && text != NULL) {
		insert_word(entry, behind, "-o");
		insert_word(entry, behind + 1, text);
	}
}

/* Line numbers of the entry that begins at first: up to the next one, comments included. */
static size_t
entry_end(const struct edit_file *f, size_t first)
{
	size_t end = first + 1;

	while (end < f->lines.n && !begins_entry(*VEC_AT(&f->lines, struct span, end)))
		end++;
	return end;
}

static void
parse_lines(const struct edit_file *f, size_t first, size_t end, struct entry *entry)
{
	struct buf text = {0};

	for (size_t i = first; i < end; i++) {
		const struct span line = *VEC_AT(&f->lines, struct span, i);

		if (!edit_is_comment(line))
			buf_span(&text, line);
	}
	entry_parse(entry, buf_view(&text), arena_printf(memory, "file %s: line %zu: bad field count", f->path, first + 1));
	buf_free(&text);
}

/* One entry with its lines; true when some request changed it. */
static bool
edit_entry(struct edit *edit, size_t first, size_t end, struct entry *entry)
{
	bool changed = false;

	peek_entry(&edit->file, *VEC_AT(&edit->file.lines, struct span, first), first, entry);
	for (size_t i = 0; i < edit->requests.n; i++) {
		struct request *r = VEC_AT(&edit->requests, struct request, i);

		if (!pattern_matches(&r->pattern, entry->name, entry->type, NULL))
			continue;
		if (!changed)
			parse_lines(&edit->file, first, end, entry);
		changed = r->done = true;
		if (HAS(OPT_F))
			set_field(entry, r);
		else
			set_parameter(entry, r);
	}
	return changed;
}

static void
rewrite_parts(struct edit *edit)
{
	struct edit_file *f = &edit->file;
	size_t end;

	for (size_t i = 0; i < f->lines.n; i = end) {
		struct entry entry = {0};

		end = i + 1;
		if (!begins_entry(*VEC_AT(&f->lines, struct span, i))) {
			edit_line(f, *VEC_AT(&f->lines, struct span, i));
			continue;
		}
		end = entry_end(f, i);
		const bool changed = edit_entry(edit, i, end, &entry);

		for (size_t k = i; k < end; k++)
			if (!changed || edit_is_comment(*VEC_AT(&f->lines, struct span, k)))
				edit_line(f, *VEC_AT(&f->lines, struct span, k));
		if (changed) {
			write_entry(f, &entry);
			entry_free(&entry);
		}
	}
}

static void
edit_parts(struct edit *edit)
{
	edit_open(&edit->file, master_cf);
	rewrite_parts(edit);
	edit_commit(&edit->file);
	for (size_t i = 0; i < edit->requests.n; i++)
		if (!VEC_AT(&edit->requests, struct request, i)->done)
			log_warning("unmatched service_name/type: \"%s\"", VEC_AT(&edit->requests, struct request, i)->text);
	vec_free(&edit->requests);
}

void
edit_master_fields(char **arguments)
{
	struct edit edit = { .requests = VEC_INIT(struct request) };

	for (; *arguments != NULL; arguments++) {
		struct request *r = vec_add(&edit.requests);

		split_request(r, *arguments, 3, true, "-Fe or -FX requires service_name/type/field_name");
		if (strcmp(r->pattern.third, "*") == 0)
			log_fatal("-Fe does not accept wild-card field name");
		r->field = field_number(r->pattern.third);
		if (r->field == ENTRY_FIELDS)
			log_fatal("invalid service attribute name: \"%s\"", r->pattern.third);
		if (r->field + 1 < ENTRY_FIELDS && strpbrk(r->value, " \t") != NULL)
			log_fatal("-Fe does not accept whitespace in non-command field");
		entry_check_field(r->field, r->value, r->value);
	}
	edit_parts(&edit);
}

void
edit_master_parameters(char **arguments)
{
	struct edit edit = { .requests = VEC_INIT(struct request) };

	for (; *arguments != NULL; arguments++) {
		struct request *r = vec_add(&edit.requests);

		split_request(r, *arguments, 3, HAS(OPT_e), "-Pe or -PX requires service_name/type/parameter");
		if (strcmp(r->pattern.third, "*") == 0)
			log_fatal("-Pe does not accept wild-card parameter name");
		if (r->value != NULL && strpbrk(r->value, " \t") != NULL)
			log_fatal("-Pe does not accept whitespace in parameter value");
	}
	edit_parts(&edit);
}
