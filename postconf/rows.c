/*
 * rows.c - the names that exist: built-in, one set for each delivery service, and those that the user made up.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "conf/conf.h"
#include "conf/expand.h"
#include "conf/list.h"
#include "conf/param.h"
#include "postconf/postconf.h"

static struct vec rows = { .size = sizeof(struct row) };
static struct hash *by_name;		/* while building: struct row index + 1 */
static struct hash *used;		/* names that stand as $name in some value */

static bool
known(const char *name)
{
	return hash_get(by_name, span_str(name)) != NULL;
}

static void
add(const char *name, const char *def, unsigned class)
{
	struct row *row;

	if (known(name))
		return;
	row = vec_add(&rows);
	*row = (struct row){ name, def, class };
	hash_put(by_name, span_str(name), memory);
}

static bool
is_delivery_agent(const char *command)
{
	static const char *const agents[] = { "local", "error", "virtual", "smtp", "lmtp", "pipe" };
	const char *slash = strrchr(command, '/');

	for (size_t i = 0; i < sizeof agents / sizeof agents[0]; i++)
		if (strcmp(slash != NULL ? slash + 1 : command, agents[i]) == 0)
			return true;
	return false;
}

static void
add_service(const struct entry *entry)
{
	const char *command = entry_word(entry, ENTRY_FIELDS - 1);
	const bool timed = strcmp(command, "pipe") == 0 || strcmp(command, "spawn") == 0;
	size_t n;
	const struct param_family *families = param_families(&n);

	for (size_t i = 0; i < n; i++) {
		const bool time_limit = strcmp(families[i].suffix, "_time_limit") == 0;

		if (time_limit ? timed : is_delivery_agent(command))
			add(arena_printf(memory, "%s%s", entry->name, families[i].suffix), families[i].def, CLASS_SERVICE);
	}
}

struct scan {
	const char *file;		/* for the warning */
	const struct entry *service;	/* whose settings count too; NULL none */
};

static bool
is_set_by(const struct entry *service, const char *name)
{
	if (service == NULL)
		return false;
	for (size_t i = 0; i < service->settings.n; i++)
		if (strcmp(VEC_AT(&service->settings, struct setting, i)->name, name) == 0)
			return true;
	return false;
}

static const char *
note_name(const char *name, enum expand_mode mode, void *arg)
{
	const struct scan *scan = arg;

	(void)mode;
	hash_put(used, span_str(name), memory);
	if (conf_raw(name) == NULL && !known(name) && !is_legacy_name(name) && !is_set_by(scan->service, name))
		log_warning("%s: undefined parameter: %s", scan->file, name);
	return "";
}

static void
note_classes(const char *text)
{
	struct span rest = span_str(text), word;

	while (span_take_word(&rest, LIST_SEPARATORS, &word))
		hash_put(used, word, memory);
}

static void
use(const char *name)
{
	hash_put(used, span_str(name), memory);
}

static void
scan_value(const char *name, const char *value, const char *file, const struct entry *service)
{
	struct scan scan = { file, service };
	struct buf ignored = {0};

	if (strchr(value, '$') != NULL && !is_raw(name))
		(void)expand(span_str(value), EXPAND_SCAN, note_name, &scan, &ignored);
	buf_free(&ignored);
	if (strcmp(name, "smtpd_restriction_classes") == 0)
		note_classes(value);
}

bool
name_is_used(const char *name)
{
	return hash_get(used, span_str(name)) != NULL;
}

static bool
is_scanned(const char *name)
{
	return (known(name) && !is_raw(name)) || is_legacy_name(name);
}

/* Tables are looked for in what values come to, and only in values that something reads. */
static void
scan_tables(void)
{
	const char *name, *value;
	size_t pos = 0;

	while (conf_next_set(&pos, &name, &value))
		if (is_scanned(name))
			tables_scan("main.cf", expanded_quietly(NULL, value), use);
	for (size_t i = 0; i < entries.n; i++) {
		const struct entry *entry = VEC_AT(&entries, struct entry, i);

		for (size_t k = 0; k < entry->settings.n; k++) {
			const struct setting *s = VEC_AT(&entry->settings, struct setting, k);

			if (is_scanned(s->name))
				tables_scan("master.cf", expanded_quietly(entry, s->value), use);
		}
	}
}

static int
compare(const void *a, const void *b)
{
	return strcmp(((const struct row *)a)->name, ((const struct row *)b)->name);
}

static void
scan_everything(void)
{
	const char *name, *value;
	size_t pos = 0;

	while (conf_next_set(&pos, &name, &value))
		scan_value(name, value, main_cf, NULL);
	for (size_t i = 0; i < entries.n; i++) {
		const struct entry *entry = VEC_AT(&entries, struct entry, i);

		for (size_t k = 0; k < entry->settings.n; k++) {
			const struct setting *s = VEC_AT(&entry->settings, struct setting, k);

			scan_value(s->name, s->value, master_cf, entry);
		}
	}
}

static void
warn_ignored(void)
{
	static const char *const names[] = { "process_id", "process_name", "service_name" };

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (conf_ignored(names[i]) != NULL)
			log_warning("%s: read-only parameter assignment: %s=%s", main_cf, names[i], conf_ignored(names[i]));
}

void
rows_build(void)
{
	size_t n, pos = 0;
	const struct param *all = param_all(&n);
	const char *name, *value;

	by_name = hash_new();
	used = hash_new();
	for (size_t i = 0; i < n; i++) {
		size_t unused;
		const bool service = param_family_find(all[i].name, &unused) != NULL && strncmp(all[i].name, "local_", 6) == 0;

		add(all[i].name, all[i].def, service ? CLASS_SERVICE : CLASS_BUILTIN);
	}
	for (size_t i = 0; i < entries.n; i++)
		add_service(VEC_AT(&entries, struct entry, i));
	if (!HAS(OPT_d)) {
		scan_everything();
		scan_tables();
		warn_ignored();
		while (conf_next_set(&pos, &name, &value))
			if (name_is_used(name) || is_legacy_name(name))
				add(name, NULL, CLASS_USER);
	}
	qsort(rows.p, rows.n, sizeof(struct row), compare);
	hash_free(&by_name, NULL);
}

void
rows_forget(void)
{
	rows.n = 0;
	hash_free(&used, NULL);
}

size_t row_count(void) { return rows.n; }
struct row *row_at(size_t i) { return VEC_AT(&rows, struct row, i); }

struct row *
row_find(const char *name)
{
	const struct row key = { .name = name };

	return bsearch(&key, rows.p, rows.n, sizeof(struct row), compare);
}
