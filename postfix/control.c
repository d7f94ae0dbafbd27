/*
 * control.c - "postfix start" and its like: one instance's master is started, signalled, asked for.
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

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "io/file.h"
#include "postfix/postfix.h"

#define STOP_ROUNDS	5		/* seconds that a polite stop may take */

bool
is_running(void)
{
	char *argv[] = { "master", "-t", NULL };

	/* Asked, master(8) would make its lock file. */
	return access(conf_pid_file(), F_OK) == 0 && run_program(program_directory, argv) != 0;
}

pid_t
master_pid(void)
{
	struct buf text = {0};
	struct err e = {0};
	int64_t pid = 0;

	if (file_read_all(conf_pid_file(), 100, &text, &e) && !span_to_i64(span_trim(buf_view(&text)), &pid))
		pid = 0;
	buf_free(&text);
	return pid > 1 ? (pid_t)pid : 0;
}

static void
need_running(void)
{
	if (!is_running())
		log_fatal("the Postfix mail system is not running");
}

static void
signal_master(int sig)
{
	pid_t pid = master_pid();

	if (pid == 0 || kill(pid, sig) != 0)
		log_fatal("cannot signal master, pid %d: %s", (int)pid, strerror(errno));
}

/* postconf's listing is not wanted, its warnings and its verdict are. */
void
run_postconf(void)
{
	char *argv[] = { "postconf", NULL };
	const int null = open("/dev/null", O_WRONLY | O_CLOEXEC), out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);

	(void)fflush(stdout);
	if (null < 0 || out < 0 || dup2(null, STDOUT_FILENO) < 0)
		log_fatal("open /dev/null: %s", strerror(errno));
	const int status = run_program(command_program_directory, argv);

	(void)dup2(out, STDOUT_FILENO);
	(void)close(out);
	(void)close(null);
	if (status != 0)
		log_fatal("cannot execute %s/postconf!", command_program_directory);
}

static void
prepare_start(void)
{
	if (is_running())
		log_fatal("the Postfix mail system is already running");
	if (unlink("quick-start") != 0) {
		check_integrity();
		check_permissions();
		migrate_alias_maps_once();
	}
	log_info("starting the Postfix mail system");
}

int
do_start(char *const arguments[])
{
	char *argv[] = { "master", "-w", NULL };

	(void)arguments;
	prepare_start();
	if (run_program(program_directory, argv) != 0)
		log_fatal("mail system startup failed");
	return 0;
}

int
do_start_fg(char *const arguments[])
{
	char path[1024];
	char *argv[] = { path, getpid() == 1 ? "-i" : "-s", NULL };

	(void)arguments;
	if (conf.multi_instance_directories[0] != '\0')
		log_fatal("start-fg does not support multi_instance_directories");
	prepare_start();
	(void)snprintf(path, sizeof path, "%s/master", program_directory);
	(void)execv(path, argv);
	log_fatal("cannot execute %s: %s", path, strerror(errno));
}

static void
wait_a_second(void)
{
	struct timespec second = { 1, 0 };

	(void)nanosleep(&second, NULL);
}

/* Wait until master has let its lock go, looking often at first: most stops take milliseconds. */
static bool
is_stopped_within(int ms)
{
	int64_t until = clock_ms() + ms;

	while (is_running()) {
		struct timespec pause = { 0, 20000000 };

		if (clock_ms() >= until)
			return false;
		(void)nanosleep(&pause, NULL);
	}
	return true;
}

int
do_stop(char *const arguments[])
{
	(void)arguments;
	need_running();
	log_info("stopping the Postfix mail system");
	pid_t pid = master_pid();

	signal_master(SIGTERM);
	if (is_stopped_within(1000))
		return 0;
	for (int i = 0; i < STOP_ROUNDS; i++) {
		log_info("waiting for the Postfix mail system to terminate");
		wait_a_second();
		if (!is_running())
			return 0;
	}
	log_warning("stopping the Postfix mail system with force");
	(void)kill(-pid, SIGKILL);
	(void)kill(pid, SIGKILL);
	return 0;
}

/* The next start, soon to come, need not check everything. */
int
do_quick_stop(char *const arguments[])
{
	const pid_t pid = fork();	/* a stop that fails ends the process */

	if (pid == 0)
		exit(do_stop(arguments));
	if (pid < 0 || waitpid(pid, NULL, 0) != pid)
		log_fatal("fork: %s", strerror(errno));
	const int fd = open("quick-start", O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);

	if (fd < 0)
		log_fatal("create %s/quick-start: %s", conf.queue_directory, strerror(errno));
	(void)close(fd);
	return 0;
}

int
do_abort(char *const arguments[])
{
	(void)arguments;
	need_running();
	log_info("aborting the Postfix mail system");
	signal_master(SIGTERM);
	return 0;
}

/* Without master no new work comes; its children finish what they have. */
int
do_drain(char *const arguments[])
{
	(void)arguments;
	need_running();
	log_info("stopping the Postfix mail system");
	signal_master(SIGKILL);
	return 0;
}

/* The queue is looked over while mail flows. */
static void
look_over_queue(void)
{
	char *argv[] = { "postsuper", NULL };
	const pid_t pid = fork();

	if (pid < 0)
		log_warning("fork: %s", strerror(errno));
	if (pid == 0)
		_exit(run_program(command_program_directory, argv));
}

int
do_reload(char *const arguments[])
{
	char *argv[] = { "postsuper", "active", NULL };

	(void)arguments;
	run_postconf();
	need_running();
	log_info("refreshing the Postfix mail system");
	if (geteuid() == 0 && run_program(command_program_directory, argv) != 0)
		return 1;
	signal_master(SIGHUP);
	if (geteuid() == 0)
		look_over_queue();
	return 0;
}

int
do_flush(char *const arguments[])
{
	char *argv[] = { "postqueue", "-f", NULL };

	(void)arguments;
	return run_program(command_program_directory, argv);
}

int
do_status(char *const arguments[])
{
	(void)arguments;
	run_postconf();
	if (!is_running()) {
		log_info("the Postfix mail system is not running");
		return 1;
	}
	log_info("the Postfix mail system is running: PID: %d", (int)master_pid());
	return 0;
}

int
do_check(char *const arguments[])
{
	(void)arguments;
	check_integrity();
	check_permissions();
	conf_warn_later();
	return 0;
}
