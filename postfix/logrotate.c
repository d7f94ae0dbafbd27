/*
 * logrotate.c - "postfix logrotate": maillog_file gets a time in its name, postlogd(8) begins a new one, the old
 * one is compressed. So is maillog_json_file, if there is one.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/span.h"
#include "conf/conf.h"
#include "io/file.h"
#include "postfix/postfix.h"

#define WRITERS_SECONDS	10	/* for the last line of a queue manager that is to end */

/* What the child says on standard output and error. False when it failed. */
static bool
run_captured(char *const argv[], struct buf *output)
{
	char piece[512];
	int pipe_fd[2], status;
	ssize_t n;

	if (pipe(pipe_fd) != 0)
		log_fatal("pipe: %s", strerror(errno));
	const pid_t pid = fork();

	if (pid < 0)
		log_fatal("fork: %s", strerror(errno));
	if (pid == 0) {
		(void)dup2(pipe_fd[1], STDOUT_FILENO);
		(void)dup2(pipe_fd[1], STDERR_FILENO);
		(void)close(pipe_fd[0]);
		(void)close(pipe_fd[1]);
		(void)execvp(argv[0], argv);
		(void)fprintf(stderr, "%s: %s", argv[0], strerror(errno));
		(void)fflush(stderr);
		_exit(127);
	}
	(void)close(pipe_fd[1]);
	while ((n = read(pipe_fd[0], piece, sizeof piece)) > 0)
		buf_add(output, piece, (size_t)n);
	(void)close(pipe_fd[0]);
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static _Noreturn void
give_up(const char *file, const char *why)
{
	log_fatal("logfile '%s' rotation failed: %s", file, why);
}

static void
need_values(void)
{
	const struct {
		const char *name, *value;
	} needed[] = {
		{ "maillog_file", conf.maillog_file },
		{ "maillog_file_compressor", conf.maillog_file_compressor },
		{ "maillog_file_rotate_suffix", conf.maillog_file_rotate_suffix },
	};

	for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
		if (needed[i].value[0] == '\0')
			log_fatal("empty '%s' parameter value - logfile rotation failed", needed[i].name);
	if (strncmp(conf.maillog_file, "/dev/", strlen("/dev/")) == 0)
		log_fatal("not rotating '%s'", conf.maillog_file);
}

/* Rename it; its new name. */
static const char *
set_aside(const char *file, const char *suffix, struct arena *mem)
{
	const char *rotated = arena_printf(mem, "%s.%s", file, suffix);

	if (access(file, F_OK) != 0)
		give_up(file, arena_printf(mem, "mv: cannot stat '%s': %s", file, strerror(errno)));
	if (rename(file, rotated) != 0)
		give_up(file, arena_printf(mem, "mv: cannot move '%s' to '%s': %s", file, rotated, strerror(errno)));
	return rotated;
}

static void
compress(const char *file, const char *rotated, struct arena *mem)
{
	char *argv[] = { span_cstr(span_str(conf.maillog_file_compressor), mem), span_cstr(span_str(rotated), mem), NULL };
	struct buf output = {0};

	if (!run_captured(argv, &output))
		give_up(file, span_cstr(span_chomp(buf_view(&output)), mem));
	buf_free(&output);
}

/* The JSON log, if there is one. It has writers of its own, who say so with a lock: queue managers, that of before the reload too
 * until it ends, and commands. */
static bool
has_json(void)
{
	return conf.maillog_json_file[0] != '\0' && strncmp(conf.maillog_json_file, "/dev/", strlen("/dev/")) != 0 &&
	    strcmp(conf.maillog_json_file, conf.maillog_file) != 0 && access(conf.maillog_json_file, F_OK) == 0;
}

static void
finish_json(const char *rotated, struct arena *mem)
{
	int fd = open(rotated, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	bool idle = fd >= 0 && file_lock(fd, FILE_LOCK_EXCLUSIVE, false);

	for (int waited = 0; fd >= 0 && !idle && waited < WRITERS_SECONDS * 10; waited++) {
		(void)nanosleep(&(struct timespec){ .tv_nsec = 100 * 1000 * 1000 }, NULL);
		idle = file_lock(fd, FILE_LOCK_EXCLUSIVE, false);
	}
	if (idle)
		compress(conf.maillog_json_file, rotated, mem);
	else
		log_warning("%s is not compressed: it is still written to", rotated);
	if (fd >= 0)
		(void)close(fd);
}

int
do_logrotate(char *const arguments[])
{
	struct arena *mem = arena_new();
	char suffix[256];
	const time_t now = time(NULL);
	struct tm tm;

	if (arguments[0] != NULL)
		log_fatal("usage postfix logrotate (no arguments)");
	need_values();
	if (localtime_r(&now, &tm) == NULL || strftime(suffix, sizeof suffix, conf.maillog_file_rotate_suffix, &tm) == 0)
		give_up(conf.maillog_file, "bad maillog_file_rotate_suffix");
	const char *rotated = set_aside(conf.maillog_file, suffix, mem);
	const char *json = has_json() ? set_aside(conf.maillog_json_file, suffix, mem) : NULL;
	const pid_t master = is_running() ? master_pid() : 0;

	if (master > 0 && kill(master, SIGHUP) != 0)
		give_up(conf.maillog_file, arena_printf(mem, "kill: %s", strerror(errno)));
	/* Let postlogd(8) close the old file. */
	if (master > 0)
		(void)nanosleep(&(struct timespec){ .tv_sec = 1 }, NULL);
	compress(conf.maillog_file, rotated, mem);
	if (json != NULL)
		finish_json(json, mem);
	arena_free(&mem);
	return 0;
}
