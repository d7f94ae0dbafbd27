/*
 * create.c - "postmulti -e create": a configuration directory from the stock files. Both are complete before they get
 * their names. What instances share follows the primary one.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/conf.h"
#include "config.h"
#include "io/file.h"
#include "postmulti/postmulti.h"

#define FILE_SIZE_MAX	(16u << 20)

/* One installation serves all instances. */
static const char *const shared_parameters[] = { "command_directory", "daemon_directory", "meta_directory", "mail_owner",
    "setgid_group", "sendmail_path", "newaliases_path", "mailq_path", "html_directory", "manpage_directory",
    "sample_directory", "readme_directory", "shlib_directory" };
#define SHARED_COUNT	(sizeof shared_parameters / sizeof *shared_parameters)

static void
copy_file(const char *from, const char *to)
{
	struct buf text = {0};
	struct err e = {0};

	if (!file_read_all(from, FILE_SIZE_MAX, &text, &e))
		log_fatal("%s", e.text);
	const int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);

	if (fd < 0 || !file_write_all(fd, text.p, text.n) || fsync(fd) != 0 || close(fd) != 0)
		log_fatal("write %s: %s", to, strerror(errno));
	buf_free(&text);
}

static void
make_parents(const char *path)
{
	for (const char *at = strchr(path + 1, '/'); at != NULL; at = strchr(at + 1, '/'))
		(void)mkdir(arena_printf(memory, "%.*s", (int)(at - path), path), 0755);
	if (mkdir(path, 0755) != 0 && errno != EEXIST)
		log_fatal("mkdir %s: %s", path, strerror(errno));
}

/* In the new main.cf (still in a directory of its own): as the primary instance has it, else commented out. */
static void
share_installation(const char *directory)
{
	char *set[SHARED_COUNT + 2] = { "-e" }, *comment[SHARED_COUNT + 2] = { "-#" };
	size_t sets = 1, comments = 1;
	struct err e = {0};

	if (!conf_read(DEF_CONFIG_DIRECTORY, &e))
		log_fatal("%s", e.text);
	for (size_t i = 0; i < SHARED_COUNT; i++) {
		const char *raw = conf_raw(shared_parameters[i]);

		if (raw != NULL)
			set[sets++] = arena_printf(memory, "%s=%s", shared_parameters[i], raw);
		else
			comment[comments++] = span_cstr(span_str(shared_parameters[i]), memory);
	}
	if (comments > 1)
		set_parameters(directory, comment);
	if (sets > 1)
		set_parameters(directory, set);
}

static void
set_own(const char *directory, const struct instance *new)
{
	char *settings[] = { "-e", arena_printf(memory, "queue_directory=%s", new->queue_directory),
	    arena_printf(memory, "data_directory=%s", new->data_directory), "authorized_submit_users=",
	    "master_service_disable=inet", NULL };

	set_parameters(directory, settings);
}

static void
give_name(const char *from, const char *to)
{
	if (rename(from, to) != 0)
		log_fatal("rename %s to %s: %s", from, to, strerror(errno));
}

void
instance_create(const struct instance *new)
{
	const char *work = arena_printf(memory, "%s/main.cf.new", new->config_directory);
	const char *main_cf = arena_printf(memory, "%s/main.cf", work);
	const char *master_cf = arena_printf(memory, "%s/master.cf.tmp", new->config_directory);

	make_parents(new->config_directory);
	if (mkdir(work, 0700) != 0 && errno != EEXIST)
		log_fatal("mkdir %s: %s", work, strerror(errno));
	copy_file(arena_printf(memory, "%s/main.cf.proto", shared.meta_directory), main_cf);
	copy_file(arena_printf(memory, "%s/master.cf.proto", shared.meta_directory), master_cf);
	share_installation(work);
	set_own(work, new);
	give_name(master_cf, arena_printf(memory, "%s/master.cf", new->config_directory));
	give_name(main_cf, arena_printf(memory, "%s/main.cf", new->config_directory));
	(void)rmdir(work);
	make_parents(new->queue_directory);
	make_parents(new->data_directory);
}

void
instance_set_permissions(const struct instance *i)
{
	char *argv[] = { arena_printf(memory, "%s/postfix", shared.command_directory), "-c",
	    span_cstr(span_str(i->config_directory), memory), "set-permissions", NULL };
	const int status = run_for(i, argv);

	if (status != 0)
		exit(status);		/* it said why */
}
