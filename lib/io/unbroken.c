/*
 * unbroken.c - a step that a kill of this process does not break off. Trusts its caller; never touches descriptors.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/unbroken.h"

static int
child_result(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return EIO;
	return WIFEXITED(status) && WEXITSTATUS(status) != 255 ? WEXITSTATUS(status) : EIO;
}

int
unbroken(int (*step)(void *arg), void *arg)
{
	const struct sigaction plain = { .sa_handler = SIG_DFL };	/* ignored: the result would be lost */
	struct sigaction chld;
	sigset_t all, old;
	pid_t pid;
	int rc;

	(void)sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, &old);
	(void)sigaction(SIGCHLD, &plain, &chld);
	pid = fork();
	if (pid == 0) {
		(void)setsid();
		rc = step(arg);
		_exit(rc >= 0 && rc < 255 ? rc : 255);
	}
	rc = pid < 0 ? errno : child_result(pid);
	(void)sigaction(SIGCHLD, &chld, NULL);
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
	return rc;
}
