/*
 * postlock.c - postlock(1): run a command while a mailbox is locked the way local(8) locks it.
 * Runs with the rights of its caller. Its own failures end with status 75.
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
#include <unistd.h>

#include "base/log.h"
#include "conf/conf.h"
#include "mail/mailbox_lock.h"

#define EX_TEMPFAIL	75

static char lock_path[4096];		/* "" while there is nothing to remove */

static void
remove_lock(void)
{
	if (lock_path[0] != '\0')
		(void)unlink(lock_path);
}

static void
remove_and_exit(int sig)
{
	remove_lock();
	_exit(128 + sig);
}

static void
catch_signals(void)
{
	static const int signals[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };
	struct sigaction action = { .sa_handler = remove_and_exit };

	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		(void)sigaction(signals[i], &action, NULL);
}

static void
lock_by_name(const char *folder)
{
	char path[sizeof lock_path];

	if (snprintf(path, sizeof path, "%s.lock", folder) >= (int)sizeof path)
		log_fatal("open file %s: %s", folder, strerror(ENAMETOOLONG));
	if (!mailbox_lock_dot(path))
		log_fatal("open file %s: unable to create lock file %s: %s", folder, path, strerror(errno));
	memcpy(lock_path, path, sizeof path);
}

static int
open_folder(const char *folder)
{
	int fd = open(folder, O_WRONLY | O_APPEND | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT) {
		fd = open(folder, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0)
			log_fatal("open file %s: cannot create file exclusively: %s", folder, strerror(errno));
	}
	if (fd < 0)
		log_fatal("open file %s: cannot open file: %s", folder, strerror(errno));
	return fd;
}

/* Exit status of the command; 1 when it was killed or could not be run. */
static int
run(char **command)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		log_fatal("fork: %s", strerror(errno));
	if (pid == 0) {
		lock_path[0] = '\0';
		log_set_fatal_status(1);
		(void)execvp(command[0], command);
		log_fatal("execvp %s: %s", command[0], strerror(errno));
	}
	(void)signal(SIGINT, SIG_IGN);		/* typed at the terminal: the command decides, as with system(3) */
	(void)signal(SIGQUIT, SIG_IGN);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			log_fatal("wait: %s", strerror(errno));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int
main(int argc, char **argv)
{
	const char *styles = NULL;
	struct err e = {0};
	int letter;

	log_init(argv[0], LOG_TO_STDERR);
	log_set_console(argv[0]);
	log_set_fatal_status(EX_TEMPFAIL);
	while ((letter = getopt(argc, argv, "+c:l:v")) != -1) {
		switch (letter) {
		case 'c': (void)setenv("MAIL_CONFIG", optarg, 1); break;
		case 'l': styles = optarg; break;
		case 'v': log_verbose++; break;
		default: optind = argc; break;
		}
	}
	if (optind + 2 > argc)
		log_fatal("usage: %s [-c config_dir] [-l lock_style] [-v] folder command...", argv[0]);
	conf_set_program("postlock");
	if (!conf_load(NULL, &e) || !conf_check(&e))
		log_fatal("%s", e.text);
	if (styles == NULL)
		styles = conf.mailbox_delivery_lock;
	if (!mailbox_lock_valid(styles, &e))
		log_fatal("%s", e.text);
	catch_signals();
	log_set_cleanup(remove_lock);
	if (mailbox_lock_has(styles, "dotlock"))
		lock_by_name(argv[optind]);
	int fd = open_folder(argv[optind]);

	if (!mailbox_lock_file(fd, styles))
		log_fatal("open file %s: unable to lock for exclusive access: %s", argv[optind], strerror(errno));
	int status = run(argv + optind + 1);

	remove_lock();
	return status;
}
