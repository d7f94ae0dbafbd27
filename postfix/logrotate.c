/*
 * logrotate.c - "postfix logrotate": maillog_file gets a time in its name, postlogd(8) begins a new one, the old
 * one is compressed.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
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
#include "postfix/postfix.h"

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
give_up(const char *why)
{
	log_fatal("logfile '%s' rotation failed: %s", conf.maillog_file, why);
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

int
do_logrotate(char *const arguments[])
{
	struct arena *mem = arena_new();
	struct buf output = {0};
	char suffix[256];
	const time_t now = time(NULL);
	struct tm tm;

	if (arguments[0] != NULL)
		log_fatal("usage postfix logrotate (no arguments)");
	need_values();
	if (localtime_r(&now, &tm) == NULL || strftime(suffix, sizeof suffix, conf.maillog_file_rotate_suffix, &tm) == 0)
		give_up("bad maillog_file_rotate_suffix");
	const char *rotated = arena_printf(mem, "%s.%s", conf.maillog_file, suffix);

	if (access(conf.maillog_file, F_OK) != 0)
		give_up(arena_printf(mem, "mv: cannot stat '%s': %s", conf.maillog_file, strerror(errno)));
	if (rename(conf.maillog_file, rotated) != 0)
		give_up(arena_printf(mem, "mv: cannot move '%s' to '%s': %s", conf.maillog_file, rotated, strerror(errno)));
	const pid_t master = is_running() ? master_pid() : 0;

	if (master > 0 && kill(master, SIGHUP) != 0)
		give_up(arena_printf(mem, "kill: %s", strerror(errno)));
	/* Let postlogd(8) close the old file. */
	if (master > 0)
		(void)nanosleep(&(struct timespec){ .tv_sec = 1 }, NULL);
	char *argv[] = { span_cstr(span_str(conf.maillog_file_compressor), mem), span_cstr(span_str(rotated), mem), NULL };

	if (!run_captured(argv, &output))
		give_up(span_cstr(span_chomp(buf_view(&output)), mem));
	buf_free(&output);
	arena_free(&mem);
	return 0;
}
