/*
 * nonbdb.c - "postfix non-bdb": life without Berkeley DB. Switches the redirection of hash: and btree: on and off.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "conf/conf.h"
#include "postfix/postfix.h"

static struct arena *mem;

static bool
is_legacy(const char *type)
{
	return strcmp(type, "hash") == 0 || strcmp(type, "btree") == 0;
}

static void
need_other_types(void)
{
	static const char *const names[] = { "default_database_type", "default_cache_db_type" };

	for (size_t i = 0; i < 2; i++)
		if (is_legacy(conf_value(names[i])))
			log_fatal("parameter %s specifies a Berkeley DB type: '%s'", names[i], conf_value(names[i]));
}

static void
postconf(const char *option, const char *argument)
{
	char *argv[] = { "postconf", "-c", span_cstr(span_str(conf.config_directory), mem), span_cstr(span_str(option), mem),
	    span_cstr(span_str(argument), mem), NULL };

	if (run_program(command_program_directory, argv) != 0)
		log_fatal("cannot update %s", conf.config_directory);
}

static void
remove_service(void)
{
	postconf("-MX", arena_printf(mem, "%s/unix", conf.non_bdb_migration_service_name));
}

static void
add_service(void)
{
	const char *name = conf.non_bdb_migration_service_name;

	postconf("-Me", arena_printf(mem, "%s/unix=%s unix y n n - 1 nbdb_reindexd", name, name));
}

/* Tables of set-gid and other commands, which may not ask the service. */
static void
reindex_now(struct span table)
{
	struct span name = table, type;

	if (!span_take_until(&name, ':', &type) || !is_legacy(span_cstr(type, mem)) || name.n == 0 || *name.p != '/')
		return;
	const char *real = conf_value(span_is(type, "hash") ? "default_database_type" : "default_cache_db_type");
	char *argv[] = { "postmap", arena_printf(mem, "%s:%.*s", real, SPAN_ARG(name)), NULL };

	log_info("Proactively reindexing %.*s", SPAN_ARG(table));
	if (run_program(command_program_directory, argv) != 0)
		log_fatal("cannot reindex %.*s", SPAN_ARG(table));
}

static void
reindex_for_commands(void)
{
	static const char *const parameters[] = { "authorized_flush_users", "authorized_mailq_users",
	    "authorized_submit_users", "local_login_sender_maps" };

	for (size_t i = 0; i < sizeof parameters / sizeof *parameters; i++) {
		const char *value = conf_value(parameters[i]);
		struct span rest = span_str(value != NULL ? value : ""), word;

		while (span_take_word_braced(&rest, ", \t\r\n", &word)) {
			(void)span_take_byte(&word, '!');
			reindex_now(word);
		}
	}
}

static void
enable_redirect(void)
{
	need_other_types();
	remove_service();
	postconf("-e", "non_bdb_migration_level=enable-redirect");
}

static void
enable_reindex(void)
{
	need_other_types();
	reindex_for_commands();
	add_service();
	postconf("-e", "non_bdb_migration_level=enable-reindex");
}

static void
disable(void)
{
	remove_service();
	postconf("-X", "non_bdb_migration_level");
}

static void
status(void)
{
	(void)puts(conf.non_bdb_migration_level);
}

static const struct {
	const char *name;
	void (*run)(void);
} commands[] = {
	{ "status", status }, { "enable-redirect", enable_redirect }, { "enable-reindex", enable_reindex }, { "disable", disable },
};

int
do_non_bdb(char *const arguments[])
{
	const char *name = arguments[0] != NULL && arguments[1] == NULL ? arguments[0] : "";

	speak_as("postfix-non-bdb-script");
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		if (strcmp(commands[i].name, name) != 0)
			continue;
		mem = arena_new();
		commands[i].run();
		arena_free(&mem);
		return 0;
	}
	log_fatal("usage: postfix non-bdb status (or enable-redirect, or enable-reindex, or disable)");
}

/* An alias table of the new type, without an index, whose source and old index are there. */
static void
migrate_alias_map(struct span table)
{
	struct span name = table, type;
	const char *path;

	if (!span_take_until(&name, ':', &type) || (!span_is(type, "lmdb") && !span_is(type, "cdb")))
		return;
	path = span_cstr(name, mem);
	if (access(arena_printf(mem, "%s.%.*s", path, SPAN_ARG(type)), F_OK) == 0 || access(path, F_OK) != 0 ||
	    access(arena_printf(mem, "%s.db", path), F_OK) != 0)
		return;
	char *argv[] = { "nbdb_reindexd", "-S", arena_printf(mem, "hash:%s", path), NULL };

	if (run_program(program_directory, argv) != 0)
		log_warning("cannot make the index of %.*s", SPAN_ARG(table));
}

void
migrate_alias_maps_once(void)
{
	const char *value = conf_value("alias_maps"), *marker;
	struct span rest = span_str(value != NULL ? value : ""), word;
	int fd;

	if (strcmp(conf.non_bdb_migration_level, "enable-reindex") != 0)
		return;
	mem = arena_new();
	marker = arena_printf(mem, "%s/check-alias-maps-migration-done", conf.config_directory);
	if (access(marker, F_OK) != 0) {
		while (span_take_word(&rest, ", \t\r\n", &word))
			migrate_alias_map(word);
		fd = open(marker, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
		if (fd < 0)
			log_warning("create %s: %s", marker, strerror(errno));
		else
			(void)close(fd);
	}
	arena_free(&mem);
}
