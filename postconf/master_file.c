/*
 * master_file.c - entries of master.cf, taken apart and printed again.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "conf/lines.h"
#include "conf/list.h"
#include "conf/master_cf.h"
#include "postconf/postconf.h"

#define BLANKS		" \t\r\n"
#define LINE_LIMIT	80
#define INDENT		4

struct vec entries = { .size = sizeof(struct entry) };

const char *const entry_field_name[ENTRY_FIELDS] = {
	"service", "type", "private", "unprivileged", "chroot", "wakeup", "process_limit", "command",
};

const char *
entry_word(const struct entry *entry, size_t i)
{
	return *VEC_AT(&entry->words, const char *, i);
}

static void
add_word(struct entry *entry, struct span word)
{
	*(const char **)vec_add(&entry->words) = span_cstr(word, memory);
}

static bool
digits_then(const char *text, const char *suffix)
{
	struct span s = span_str(text);

	while (s.n > 0 && ascii_digit(*s.p))
		s = span_from(s, 1);
	return s.n == 0 || span_is(s, suffix);
}

void
entry_check_field(size_t field, const char *text, const char *whole)
{
	enum master_type ignored;
	bool ok = true;

	switch (field) {
	case MASTER_FIELD_TYPE:
		ok = master_type_parse(text, &ignored);
		break;
	case MASTER_FIELD_PRIVATE:
	case MASTER_FIELD_UNPRIV:
	case MASTER_FIELD_CHROOT:
		ok = strlen(text) == 1 && strchr("yn-", *text) != NULL;
		break;
	case MASTER_FIELD_WAKEUP:
		ok = strcmp(text, "-") == 0 || digits_then(text, "?");
		break;
	case MASTER_FIELD_MAXPROC:
		ok = strcmp(text, "-") == 0 || digits_then(text, "");
		break;
	default:
		break;
	}
	if (!ok)
		log_fatal("invalid %s field \"%s\" in \"%s\"", entry_field_name[field], text, whole);
}

/* "{ name = value }" to "name=value"; trouble is only worth a warning, as the daemon itself decides. */
static struct span
plain_value(struct span word)
{
	struct err why = {0};
	struct span name, value;
	const char *problem;

	if (word.n == 0 || *word.p != '{')
		return word;
	if (!list_strip_braces(&word, &why)) {
		const size_t n = list_braced(word);

		log_warning("master.cf: %s", why.text);
		word = span_trim(n > 0 ? span(word.p + 1, n - 2) : span_from(word, 1));
	}
	if (conf_split_pair(word, &name, &value, &problem))
		return span_str(arena_printf(memory, "%.*s=%.*s", SPAN_ARG(name), SPAN_ARG(value)));
	return word;
}

/* Options up to the first other word: "-vo x" becomes "-v", "-o", "x". */
static void
add_options(struct entry *entry, struct span *rest)
{
	struct span word, peek = *rest;

	while (span_take_word_braced(&peek, BLANKS, &word) && word.n > 1 && *word.p == '-') {
		const size_t at = span_find(word, 'o');

		*rest = peek;
		if (at == word.n || span_is(word, "--")) {
			add_word(entry, word);
			if (span_is(word, "--"))
				return;
			continue;
		}
		if (at > 1)
			add_word(entry, span_to(word, at));
		add_word(entry, SPAN("-o"));
		word = span_from(word, at + 1);
		if (word.n == 0 && !span_take_word_braced(&peek, BLANKS, &word))
			return;
		*rest = peek;
		add_word(entry, plain_value(word));
	}
}

static void
add_arguments(struct entry *entry, struct span rest)
{
	struct err why = {0};
	struct span word;

	while (span_take_word_braced(&rest, BLANKS, &word)) {
		if (*word.p == '{' && !list_strip_braces(&word, &why)) {
			const size_t n = list_braced(word);

			log_warning("master.cf: %s", why.text);
			word = span_trim(n > 0 ? span(word.p + 1, n - 2) : span_from(word, 1));
		}
		add_word(entry, word);
	}
}

void
entry_parse(struct entry *entry, struct span line, const char *too_short)
{
	const char *whole = span_cstr(span_trim(line), memory);
	struct span rest = span_trim(line), word;

	entry->words = VEC_INIT(const char *);
	entry->settings = VEC_INIT(struct setting);
	for (size_t i = 0; i < ENTRY_FIELDS; i++) {
		if (!span_take_word(&rest, BLANKS, &word))
			log_fatal("%s", too_short);
		add_word(entry, word);
	}
	for (size_t i = 0; i < ENTRY_FIELDS; i++)
		entry_check_field(i, entry_word(entry, i), whole);
	entry->name = entry_word(entry, 0);
	entry->type = entry_word(entry, 1);
	add_options(entry, &rest);
	add_arguments(entry, rest);
}

void
entry_free(struct entry *entry)
{
	vec_free(&entry->words);
	vec_free(&entry->settings);
}

bool
entry_is_setting(const struct entry *entry, size_t i)
{
	/* Only options, that is what stands before the first other word, count. */
	if (i + 1 >= entry->words.n || strcmp(entry_word(entry, i), "-o") != 0)
		return false;
	for (size_t k = ENTRY_FIELDS; k < i; k++) {
		const char *word = entry_word(entry, k);

		if (*word != '-' || strcmp(word, "--") == 0)
			return false;
		if (strcmp(word, "-o") == 0)
			k++;
	}
	return true;
}

static int
compare(const void *a, const void *b)
{
	return strcmp(((const struct setting *)a)->name, ((const struct setting *)b)->name);
}

static void
set(struct entry *entry, struct span name, struct span value)
{
	struct setting *s;

	for (size_t i = 0; i < entry->settings.n; i++) {
		s = VEC_AT(&entry->settings, struct setting, i);
		if (span_is(name, s->name)) {
			s->value = span_cstr(value, memory);
			return;
		}
	}
	s = vec_add(&entry->settings);
	s->name = span_cstr(name, memory);
	s->value = span_cstr(value, memory);
}

void
entry_collect_settings(struct entry *entry)
{
	struct span name, value;
	const char *why;

	entry->settings.n = 0;
	for (size_t i = ENTRY_FIELDS; i < entry->words.n; i++) {
		const char *text;

		if (!entry_is_setting(entry, i))
			continue;
		text = entry_word(entry, ++i);
		if (*text == '-')		/* an option that lost its value */
			continue;
		if (conf_split_pair(span_str(text), &name, &value, &why))
			set(entry, name, value);
		else
			log_warning("master.cf: %s: \"%s\"", why, text);
	}
	if (entry->settings.n > 0)
		qsort(entry->settings.p, entry->settings.n, sizeof(struct setting), compare);
}

/* An argument as it must be written again. */
static const char *
written(const char *text)
{
	return strpbrk(text, BLANKS) != NULL && *text != '\0' ? arena_printf(memory, "{%s}", text) : text;
}

static const char *
argument(const struct entry *entry, size_t i, bool expand)
{
	const char *text = entry_word(entry, i);

	/* Other words have names of their own: ${recipient}. */
	return written(expand && i > ENTRY_FIELDS && entry_is_setting(entry, i - 1) ? expanded(entry, text) : text);
}

const char *
entry_command(const struct entry *entry, bool expand)
{
	struct buf out = {0};
	const char *kept;

	for (size_t i = ENTRY_FIELDS - 1; i < entry->words.n; i++)
		buf_printf(&out, "%s%s", i >= ENTRY_FIELDS ? " " : "", argument(entry, i, expand));
	kept = span_cstr(buf_view(&out), memory);
	buf_free(&out);
	return kept;
}

static void
print_fields(const struct entry *entry, struct buf *out)
{
	static const size_t column[ENTRY_FIELDS] = { 0, 11, 17, 25, 33, 41, 49, 57 };
	const size_t start = out->n;

	for (size_t i = 0; i < ENTRY_FIELDS; i++) {
		if (i > 0)
			buf_byte(out, ' ');
		while (out->n - start < column[i])
			buf_byte(out, ' ');
		buf_str(out, entry_word(entry, i));
	}
}

void
entry_print_arguments(const struct entry *entry, bool fold, bool expand, size_t start, struct buf *out)
{
	size_t length = out->n - start;
	bool fresh = false;	/* the last one was an option with a value: a new line comes */

	for (size_t i = ENTRY_FIELDS; i < entry->words.n; i++) {
		const bool pair = entry_is_setting(entry, i);
		const char *text = argument(entry, i, expand);
		const char *value = pair ? argument(entry, i + 1, expand) : NULL;
		const size_t size = strlen(text) + (pair ? 1 + strlen(value) : 0);

		if (fold && (pair || fresh || length + 1 + size >= LINE_LIMIT)) {
			buf_printf(out, "\n%*s", INDENT, "");
			length = INDENT;
		} else {
			buf_byte(out, ' ');
			length++;
		}
		buf_str(out, text);
		if (pair) {
			buf_printf(out, " %s", value);
			i++;
		}
		length += size;
		fresh = pair;
	}
}

void
entry_print(const struct entry *entry, bool fold, bool expand, struct buf *out)
{
	const size_t start = out->n;

	if (HAS(OPT_j)) {
		for (size_t i = 0; i < ENTRY_FIELDS - 1; i++)
			buf_printf(out, "%s ", entry_word(entry, i));
		buf_str(out, entry_command(entry, expand));
		return;
	}
	print_fields(entry, out);
	entry_print_arguments(entry, fold, expand, start, out);
}

void
master_read(bool missing_ok)
{
	struct err e = {0};
	struct lines in;
	struct span line;

	if (!lines_open(&in, master_cf, &e)) {
		if (!missing_ok)
			log_fatal("%s", e.text);
		log_warning("%s", e.text);
		return;
	}
	while (lines_next(&in, &line)) {
		struct entry *entry = vec_add(&entries);

		entry->line = in.first;
		entry_parse(entry, line, arena_printf(memory, "file %s: line %u: bad field count", master_cf, in.first));
		entry_collect_settings(entry);
	}
	if (!lines_close(&in))
		log_fatal("read %s: %s", master_cf, strerror(errno));
}
