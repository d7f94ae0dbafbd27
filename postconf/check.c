/*
 * check.c - main.cf and master.cf read as strictly as possible: what is wrong, where, and what to do about it.
 * Changes nothing.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/log.h"
#include "conf/conf.h"
#include "conf/expand.h"
#include "conf/lines.h"
#include "conf/master_cf.h"
#include "conf/param.h"
#include "config.h"
#include "postconf/postconf.h"

static struct {
	unsigned errors;
	struct buf said;	/* what the library logged last */
	const char *path;
	unsigned line;
	const struct entry *service;
} check;

/* The library's own messages are taken apart, not shown. */
static void
listen(enum log_level level, const char *text, void *arg)
{
	(void)level;
	(void)arg;
	buf_reset(&check.said);
	buf_str(&check.said, text);
}

static void
report(const char *kind, const char *fmt, va_list ap)
{
	struct buf text = {0};

	buf_vprintf(&text, fmt, ap);
	if (check.line > 0)
		print_line(arena_printf(memory, "%s:%u: %s: %s", check.path, check.line, kind, buf_cstr(&text)));
	else
		print_line(arena_printf(memory, "%s: %s: %s", check.path, kind, buf_cstr(&text)));
	buf_free(&text);
}

static void error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void warning(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void
error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report("error", fmt, ap);
	va_end(ap);
	check.errors++;
}

static void
warning(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report("warning", fmt, ap);
	va_end(ap);
}

static bool
set_by_service(const char *name)
{
	for (size_t i = 0; check.service != NULL && i < check.service->settings.n; i++)
		if (strcmp(VEC_AT(&check.service->settings, struct setting, i)->name, name) == 0)
			return true;
	return false;
}

/* A $name in a value. */
static const char *
note_name(const char *name, enum expand_mode mode, void *arg)
{
	const char *meant;

	(void)arg;
	if (conf_raw(name) != NULL || row_find(name) != NULL || is_legacy_name(name) || set_by_service(name) ||
	    mode == EXPAND_TEST)
		return "";
	meant = nearest_name(name);
	if (meant != NULL)
		warning("$%s is not defined and stands for nothing; did you mean $%s?", name, meant);
	else
		warning("$%s is not defined and stands for nothing; define it, or remove it", name);
	return "";
}

/* The text after expansion; NULL after an error was reported. */
static const char *
value_of(const char *name, const char *text)
{
	struct buf ignored = {0};
	unsigned status;

	if (is_raw(name) || strchr(text, '$') == NULL)
		return text;
	status = expand(span_str(text), EXPAND_SCAN, note_name, NULL, &ignored);
	buf_free(&ignored);
	if ((status & EXPAND_ERROR) == 0)
		return expanded_quietly(check.service, text);
	error("%s: %s; write $$ for a plain dollar sign", name, buf_cstr(&check.said) + strlen("warning: "));
	return NULL;
}

static void
check_known(const char *name, const char *text)
{
	size_t unused;
	const struct param *p = param_find(name);
	const struct param_family *f = p == NULL ? param_family_find(name, &unused) : NULL;
	const struct param of_family = { .name = name, .def = f != NULL ? f->def : "", .type = f != NULL ? f->type : PARAM_TYPE_STRING,
		.min = f != NULL ? f->min : 0, .max = f != NULL ? f->max : 0 };
	const char *value = value_of(name, text);
	struct err e = {0};

	if (value != NULL && !param_check_value(p != NULL ? p : &of_family, value, &e))
		error("%s; the default is \"%s\", see postconf --explain %s", e.text, p != NULL ? p->def : of_family.def, name);
	if (p != NULL && param_is_later(p))
		warning("parameter %s is not acted upon yet; mail is handled as if it were not set", name);
}

static void
check_setting(const char *name, const char *text)
{
	bool removed = false;
	const char *instead = deprecated_instead(name, &removed), *meant;

	if (strcmp(name, "process_id") == 0 || strcmp(name, "process_name") == 0 || strcmp(name, "service_name") == 0) {
		warning("parameter %s cannot be set; remove it", name);
	} else if (instead != NULL) {
		warning("parameter %s %s; instead, %s", name, removed ? "has been removed" : "is deprecated", instead);
	} else if (row_find(name) != NULL && row_find(name)->class != CLASS_USER) {
		check_known(name, text);
	} else if (name_is_used(name) || is_legacy_name(name)) {
		(void)value_of(name, text);
	} else if ((meant = nearest_name(name)) != NULL) {
		error("unknown parameter %s; did you mean %s?", name, meant);
	} else {
		warning("unused parameter %s; nothing reads it: remove it, or use it as $%s", name, name);
	}
}

/* --- main.cf */

struct seen {
	unsigned line;
};

static void
check_main_line(struct hash *seen, struct span line, bool whole)
{
	struct span name, value;
	const char *why, *n;
	struct seen *before, *this;

	if (!conf_split_pair(line, &name, &value, &why)) {
		error("%s: \"%.*s\"; write: name = value", why, SPAN_ARG(span_to(span_trim(line), 60)));
		return;
	}
	n = span_cstr(name, memory);
	before = hash_get(seen, name);
	if (before != NULL)
		warning("this overrides the setting of %s in line %u; remove one of them", n, before->line);
	this = ARENA_NEW(memory, struct seen);
	this->line = check.line;
	hash_put(seen, name, this);
	if (whole)
		check_setting(n, span_cstr(value, memory));
}

static bool
open_lines(struct lines *in, const char *path)
{
	struct err e = {0};

	check.path = path;
	check.line = 0;
	check.service = NULL;
	if (lines_open(in, path, &e))
		return true;
	error("%s", e.text);
	return false;
}

static void
check_main(bool whole)
{
	struct hash *seen;
	struct lines in;
	struct span line;

	if (!open_lines(&in, main_cf))
		return;
	seen = hash_new();
	buf_reset(&check.said);
	while (lines_next(&in, &line)) {
		check.line = in.first;
		if (check.said.n > 0)
			warning("%s", buf_cstr(&check.said) + strlen("warning: "));
		buf_reset(&check.said);
		check_main_line(seen, line, whole);
		buf_reset(&check.said);
	}
	check.line = 0;
	if (!lines_close(&in))
		error("read: %s", strerror(errno));
	hash_free(&seen, NULL);
}

/* --- master.cf */

static bool
parse_entry(struct span line, struct err *e)
{
	struct master_service service = {0};

	return master_cf_parse(line, master_cf, check.line, false, memory, &service, e);
}

/* Entries that are right. */
static void
read_master(void)
{
	struct lines in;
	struct span line;

	if (!lines_open(&in, master_cf, NULL))
		return;
	while (lines_next(&in, &line)) {
		check.line = in.first;
		if (parse_entry(line, NULL)) {
			struct entry *entry = vec_add(&entries);

			entry->line = in.first;
			entry_parse(entry, line, "");
			entry_collect_settings(entry);
		}
	}
	(void)lines_close(&in);
}

static void
check_command(const struct entry *entry)
{
	const char *directory = conf_value("daemon_directory"), *command = entry_word(entry, ENTRY_FIELDS - 1);
	const char *path = *command == '/' || directory == NULL ? command : arena_printf(memory, "%s/%s", directory, command);

	if (access(path, X_OK) != 0)
		error("command %s: %s; master(8) cannot start the service", path, strerror(errno));
}

static void
check_entry(size_t number)
{
	const struct entry *entry = VEC_AT(&entries, struct entry, number);

	check.service = entry;
	for (size_t k = 0; k < number; k++) {
		const struct entry *other = VEC_AT(&entries, struct entry, k);

		if (strcmp(entry->name, other->name) == 0 && strcmp(entry->type, other->type) == 0)
			warning("service %s/%s is there already in line %u; remove one of them", entry->name, entry->type, other->line);
	}
	check_command(entry);
	for (size_t k = 0; k < entry->settings.n; k++)
		check_setting(VEC_AT(&entry->settings, struct setting, k)->name, VEC_AT(&entry->settings, struct setting, k)->value);
	check.service = NULL;
}

static void
check_master(void)
{
	struct lines in;
	struct span line;
	size_t number = 0;

	if (!open_lines(&in, master_cf))
		return;
	while (lines_next(&in, &line)) {
		const char *where = arena_printf(memory, "%s: line %u: ", master_cf, in.first);
		struct err e = {0};

		check.line = in.first;
		if (parse_entry(line, &e))
			check_entry(number++);
		else
			error("%s; an entry is: service type private unpriv chroot wakeup maxproc command",
			    strncmp(e.text, where, strlen(where)) == 0 ? e.text + strlen(where) : e.text);
	}
	check.line = 0;
	if (!lines_close(&in))
		error("read: %s", strerror(errno));
}

/* What is wrong in either file does not count. False: main.cf could not be read whole, its settings are not known. */
static bool
read_leniently(const char *directory)
{
	const bool whole = conf_read(directory, NULL);

	main_cf = arena_printf(memory, "%s/main.cf", directory);
	master_cf = arena_printf(memory, "%s/master.cf", directory);
	if (!whole)
		conf_read_nothing();
	entries.n = 0;
	read_master();
	rows_build();
	return whole;
}

/* One configuration directory: main.cf, master.cf, or both. */
static void
check_directory(const char *directory, bool main_wanted, bool master_wanted)
{
	const bool whole = read_leniently(directory);

	if (main_wanted || !whole)
		check_main(whole);
	if (master_wanted)
		check_master();
	rows_forget();
}

static const char *
chosen_directory(void)
{
	const char *dir = getenv("MAIL_CONFIG");

	return dir != NULL ? dir : DEF_CONFIG_DIRECTORY;
}

void
read_for_explain(void)
{
	log_set_hook(listen, NULL);
	(void)read_leniently(chosen_directory());
}

int
check_files(char **files)
{
	log_set_hook(listen, NULL);
	if (*files == NULL)
		check_directory(chosen_directory(), true, true);
	for (; *files != NULL; files++) {
		const char *slash = strrchr(*files, '/'), *last = slash != NULL ? slash + 1 : *files;
		const bool is_main = strcmp(last, "main.cf") == 0, is_master = strcmp(last, "master.cf") == 0;
		struct stat st;

		if (stat(*files, &st) == 0 && S_ISDIR(st.st_mode)) {
			check_directory(*files, true, true);
		} else if (is_main || is_master) {
			check_directory(slash == NULL ? "." : slash == *files ? "/" : span_cstr(span(*files, (size_t)(slash - *files)), memory),
			    is_main, is_master);
		} else {
			check.path = *files;
			check.line = 0;
			error("neither main.cf nor master.cf nor a directory with both; name one of these");
		}
	}
	print_flush();
	return check.errors > 0 ? 1 : 0;
}
