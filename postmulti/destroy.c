/*
 * destroy.c - "postmulti -e destroy": removes the directories of an instance as far as they are empty, and its two
 * configuration files. Never removes a directory with something in it, never a message.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "postmulti/postmulti.h"

static const char *const queue_directories[] = { "active", "bounce", "corrupt", "defer", "deferred", "flush", "hold",
    "incoming", "maildrop", "pid", "private", "public", "saved", "trace" };

/* shown: how the complaint of rmdir names it. */
static void
remove_directory(const char *path, const char *shown)
{
	if (rmdir(path) == 0)
		return;
	(void)fprintf(stderr, "rmdir: failed to remove '%s': %s\n", shown, strerror(errno));
	log_warning("%s: please verify contents and remove by hand", path);
}

static bool
is_stopped(const struct instance *i)
{
	char *argv[] = { arena_printf(memory, "%s/master", shared.daemon_directory), "-t", NULL };

	/* Asked, master(8) would make its lock file. */
	return access(arena_printf(memory, "%s/pid/master.pid", i->queue_directory), F_OK) != 0 || run_for(i, argv) == 0;
}

void
instance_destroy(const struct instance *i)
{
	speak_as_script(true);
	if (!is_stopped(i))
		log_fatal("Instance '%s' is not stopped", i->config_directory);
	for (size_t n = 0; n < sizeof queue_directories / sizeof *queue_directories; n++)
		remove_directory(arena_printf(memory, "%s/%s", i->queue_directory, queue_directories[n]), queue_directories[n]);
	remove_directory(i->data_directory, i->data_directory);
	remove_directory(i->queue_directory, i->queue_directory);
	(void)unlink(arena_printf(memory, "%s/main.cf", i->config_directory));
	(void)unlink(arena_printf(memory, "%s/master.cf", i->config_directory));
	remove_directory(i->config_directory, i->config_directory);
}
