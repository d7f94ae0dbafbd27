/*
 * nbdb_reindexd.c - nbdb_reindexd(8): makes the index of a table that was a Berkeley DB file, when a program asks
 * for the first time. Root, because sources belong to root or to users; trusts no client: a request names a type and a
 * path, and nothing outside of the directories that main.cf allows is touched. The work is done by postmap(1) or
 * postalias(1) under the uid of the source's owner.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/conf.h"
#include "ipc/ipc.h"
#include "map/migrate.h"
#include "service/logging.h"
#include "service/service.h"

#define IDLE_MS	5000			/* a client that asks nothing more is let go */

static bool
is_clean(struct span name)
{
	if (name.n == 0 || *name.p != '/' || !span_is_ascii(name) || span_has(name, '\0'))
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (!ascii_print(name.p[i]) || name.p[i] == ' ')
			return false;
	return span_find_span(name, SPAN("/../")) == name.n && span_find_span(name, SPAN("//")) == name.n &&
	    span_find_span(name, SPAN("/./")) == name.n;
}

/* Below one of the directories. */
static bool
is_below(const char *list, const char *name)
{
	struct span rest = span_str(list), prefix;

	while (span_take_word(&rest, ", \t\r\n", &prefix)) {
		while (prefix.n > 1 && prefix.p[prefix.n - 1] == '/')
			prefix.n--;
		if (strncmp(name, prefix.p, prefix.n) == 0 && name[prefix.n] == '/')
			return true;
	}
	return false;
}

/* Nobody but root and the owner can put something else at the place of a directory, up to the root. */
static bool
check_ancestors(const char *directory, uid_t owner, struct arena *mem, struct err *e)
{
	struct stat st;

	for (size_t n = strlen(directory); n > 0; n = span_rfind(span(directory, n), '/')) {
		const char *at = arena_printf(mem, "%.*s", (int)n, directory);

		if (stat(at, &st) != 0)
			return err_perm(e, "open %s: %s", at, strerror(errno));
		if ((st.st_uid != 0 && st.st_uid != owner) || ((st.st_mode & 022) != 0 && (st.st_mode & S_ISVTX) == 0))
			return err_perm(e, "directory %s can be changed by others", at);
	}
	return true;
}

/* The source and its directory belong to one user and nobody else can write them; that user's rights are enough. */
static bool
check_owner(const char *name, struct arena *mem, struct stat *source, struct err *e)
{
	const size_t slash = span_rfind(span_str(name), '/');
	char *directory = realpath(arena_printf(mem, "%.*s/", (int)slash, name), NULL);
	const char *real;
	struct stat dir;

	if (directory == NULL)
		return err_perm(e, "open %s: %s", name, strerror(errno));
	real = arena_printf(mem, "%s%s", directory, name + slash);
	free(directory);
	directory = arena_printf(mem, "%.*s", (int)span_rfind(span_str(real), '/'), real);
	if (lstat(name, source) != 0)
		return err_perm(e, "open %s: %s", name, strerror(errno));
	if (!S_ISREG(source->st_mode))
		return err_perm(e, "%s is not a regular file", name);
	if (stat(directory, &dir) != 0)
		return err_perm(e, "open %s: %s", directory, strerror(errno));
	if ((source->st_mode & 022) != 0)
		return err_perm(e, "%s is group or other writable", name);
	if ((dir.st_mode & 022) != 0)
		return err_perm(e, "directory %s is group or other writable", directory);
	if (dir.st_uid != source->st_uid)
		return err_perm(e, "%s and its directory have different owners", name);
	if (source->st_uid == 0 && !is_below(conf.non_bdb_migration_allow_root_prefixes, real))
		return err_perm(e, "%s is not below a directory in non_bdb_migration_allow_root_prefixes", name);
	if (source->st_uid != 0 && !is_below(conf.non_bdb_migration_allow_user_prefixes, real))
		return err_perm(e, "%s is not below a directory in non_bdb_migration_allow_user_prefixes", name);
	return check_ancestors(directory, source->st_uid, mem, e);
}

/* Files of aliases have another syntax: those that a parameter for aliases names. */
static bool
has_aliases(const char *name)
{
	static const char *const parameters[] = { "alias_maps", "alias_database" };

	for (size_t i = 0; i < 2; i++) {
		const char *value = conf_value(parameters[i]);
		struct span rest = span_str(value != NULL ? value : ""), word, type;

		while (span_take_word(&rest, ", \t\r\n", &word)) {
			while (span_take(&word, SPAN("proxy:")))
				continue;
			if (span_take_until(&word, ':', &type) && span_is(word, name))
				return true;
		}
	}
	return false;
}

static _Noreturn void
run_as(uid_t uid, gid_t gid, char *const argv[])
{
	/* Rootless there is one user, and a source of another one was refused. */
	if (geteuid() == 0 && uid != 0 && (setgroups(0, NULL) != 0 || setgid(gid) != 0 || setuid(uid) != 0))
		log_fatal("set user %d: %s", (int)uid, strerror(errno));
	(void)execv(argv[0], argv);
	log_fatal("execute %s: %s", argv[0], strerror(errno));
}

static bool
make_index(struct span type, const char *name, const struct stat *source, struct arena *mem, struct err *e)
{
	const char *command = has_aliases(name) ? "postalias" : "postmap";
	char *argv[] = { arena_printf(mem, "%s/%s", conf.command_directory, command),
	    arena_printf(mem, "%.*s:%s", SPAN_ARG(type), name), NULL };
	const pid_t pid = fork();
	int status;

	if (pid < 0)
		return err_temp(e, "fork: %s", strerror(errno));
	if (pid == 0)
		run_as(source->st_uid, source->st_gid, argv);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_temp(e, "wait: %s", strerror(errno));
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_perm(e, "command '%s %s' failed", command, argv[1]);
	log_info("reindexed %s", argv[1]);
	return true;
}

static bool
reindex(struct span type, struct span name, struct arena *mem, struct err *e)
{
	const char *path = span_cstr(name, mem), *index;
	struct stat source;
	struct span real;

	if (strcmp(conf.non_bdb_migration_level, "enable-reindex") != 0)
		return err_perm(e, "non_bdb_migration_level is not enable-reindex");
	if (!migrate_wanted(type) || !is_clean(name))
		return err_perm(e, "bad table name");
	if (!migrate_type(type, path, mem, &real, e))
		return false;
	index = migrate_index_path(real, path, mem);
	if (index == NULL)
		return err_perm(e, "no index file is known for type %.*s", SPAN_ARG(real));
	if (access(index, F_OK) == 0)
		return true;			/* another client was first */
	return check_owner(path, mem, &source, e) && make_index(type, path, &source, mem, e);
}

static void
serve(struct session *s)
{
	struct ipc_reindex request;

	while (service_wait_request(s->peer, IDLE_MS) && ipc_expect(s->peer, IPC_reindex, 4096, s->mem, &request)) {
		struct err e = {0};
		struct ipc_status answer = { .status = reindex(request.type, request.name, s->mem, &e) ? 0 : 1 };

		if (answer.status != 0)
			log_warning("%.*s:%.*s: %s", SPAN_ARG(span_printable(request.type, s->mem)),
			    SPAN_ARG(span_printable(request.name, s->mem)), e.text);
		answer.reason = span_str(e.text);
		if (!ipc_send(s->peer, IPC_status, &answer))
			return;
		arena_reset(s->mem);
	}
}

/* "-S type:name": one table, asked for by postfix(1). */
static int
once(const char *table)
{
	struct arena *mem = arena_new();
	struct span rest = span_str(table), type = SPAN_NULL;
	struct err e = {0};

	log_init("postfix/nbdb_reindexd", LOG_TO_STDERR);
	conf_set_program("nbdb_reindexd");
	if (!conf_load(NULL, &e) || !conf_check(&e))
		log_fatal("%s", e.text);
	logging_configured("nbdb_reindexd");
	log_set_postlog_fallback(conf.maillog_file);
	if (!span_take_until(&rest, ':', &type) || !reindex(type, rest, mem, &e))
		log_fatal("%s: %s", table, type.n > 0 ? e.text : "expecting type:name");
	arena_free(&mem);
	return 0;
}

static const struct service nbdb_reindexd = {
	.name = "nbdb_reindexd",
	.kind = SERVICE_SINGLE,
	.flags = SERVICE_PRIVILEGED | SERVICE_ONE,
	.serve = serve,
};

int
main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "-S") == 0)
		return once(argv[2]);
	return service_main(&nbdb_reindexd, argc, argv);
}
