/*
 * postfix.c - postfix(1): start, stop and look after the mail system.
 * Runs as root; rootless, as the one user that owns the instance.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "io/file.h"
#include "postfix/postfix.h"
#include "service/logging.h"

#define STOP_ROUNDS	5		/* seconds that a polite stop may take */

int
run_program(const char *directory, char *const argv[])
{
	char path[1024];
	int status;

	(void)snprintf(path, sizeof path, "%s/%s", directory, argv[0]);
	(void)fflush(NULL);
	pid_t pid = fork();

	if (pid == 0) {
		(void)execv(path, argv);
		log_fatal("cannot execute %s: %s", path, strerror(errno));
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		log_fatal("fork: %s", strerror(errno));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static bool
is_running(void)
{
	char *argv[] = { "master", "-t", NULL };

	if (access(conf.queue_directory, F_OK) != 0)
		return false;		/* never started here */
	return run_program(conf.daemon_directory, argv) != 0;
}

pid_t
master_pid(void)
{
	struct buf text = {0};
	struct err e = {0};
	int64_t pid = 0;

	if (file_read_all("pid/master.pid", 100, &text, &e) && !span_to_i64(span_trim(buf_view(&text)), &pid))
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
need_stopped(void)
{
	if (is_running())
		log_fatal("the Postfix mail system is already running");
}

static void
signal_master(int sig)
{
	pid_t pid = master_pid();

	if (pid == 0 || kill(pid, sig) != 0)
		log_fatal("cannot signal master, pid %d: %s", (int)pid, strerror(errno));
}

static void
prepare_start(void)
{
	need_stopped();
	if (unlink("quick-start") != 0) {
		check_integrity();
		if (chdir(conf.queue_directory) != 0)
			log_fatal("chdir(%s): %s", conf.queue_directory, strerror(errno));
		check_permissions();
	}
	log_info("starting the Postfix mail system");
}

static int
do_start(void)
{
	char *argv[] = { "master", "-w", NULL };

	prepare_start();
	if (run_program(conf.daemon_directory, argv) != 0)
		log_fatal("mail system startup failed");
	return 0;
}

static int
do_start_fg(void)
{
	char path[1024];
	char *argv[] = { "master", getpid() == 1 ? "-i" : "-s", NULL };

	prepare_start();
	(void)snprintf(path, sizeof path, "%s/master", conf.daemon_directory);
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

static int
do_stop(void)
{
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

static int
do_abort(void)
{
	need_running();
	log_info("aborting the Postfix mail system");
	signal_master(SIGTERM);
	return 0;
}

static int
do_reload(void)
{
	need_running();
	log_info("refreshing the Postfix mail system");
	signal_master(SIGHUP);
	return 0;
}

static int
do_flush(void)
{
	char *argv[] = { "postqueue", "-f", NULL };

	return run_program(conf.command_directory, argv);
}

static int
do_status(void)
{
	if (!is_running()) {
		log_info("the Postfix mail system is not running");
		return 1;
	}
	log_info("the Postfix mail system is running: PID: %d", (int)master_pid());
	return 0;
}

static int
do_check(void)
{
	check_integrity();
	check_permissions();
	conf_warn_later();
	return 0;
}

static const struct command {
	const char *name;
	int (*run)(void);
} commands[] = {
	{ "start", do_start }, { "start-fg", do_start_fg }, { "stop", do_stop }, { "abort", do_abort },
	{ "reload", do_reload }, { "flush", do_flush }, { "status", do_status }, { "check", do_check },
};

/* Commands of Postfix that this release does not have. */
static const char *const missing[] = { "set-permissions", "upgrade-configuration", "logrotate", "tls", "non-bdb", "drain",
    "quick-stop", "quick-start" };

static void
refuse_missing(const char *name)
{
	for (size_t i = 0; i < sizeof missing / sizeof *missing; i++)
		if (strcmp(missing[i], name) == 0)
			log_fatal("the command \"%s\" is not available in this release", name);
}

static void
may_run(void)
{
	if (getuid() != geteuid())
		log_fatal("the postfix command must not run as a set-uid process");
	/* Rootless: whoever owns the queue directory may run the instance. */
	struct stat st;

	if (geteuid() == 0 || stat(conf.queue_directory, &st) != 0 || st.st_uid == geteuid())
		return;
	log_error("to submit mail, use the Postfix sendmail command");
	log_fatal("the postfix command is reserved for the superuser");
}

static void
parse_options(int argc, char **argv)
{
	int letter;

	while ((letter = getopt(argc, argv, "+c:Dv")) != -1) {
		switch (letter) {
		case 'c':
			if (optarg[0] != '/')
				log_fatal("-c requires absolute pathname");
			(void)setenv("MAIL_CONFIG", optarg, 1);
			break;
		case 'D':
			(void)setenv("MAIL_DEBUG", "", 1);
			break;
		case 'v':
			log_verbose++;
			(void)setenv("MAIL_VERBOSE", "", 1);
			break;
		default:
			log_fatal("usage: postfix [-c config_dir] [-Dv] command");
		}
	}
}

static void
say_old_level(void)
{
	if (!conf_level_below("3.11"))
		return;
	log_info("Postfix is using backwards-compatible default settings");
	log_info("See https://www.postfix.org/COMPATIBILITY_README.html for details");
	log_info("To disable backwards compatibility use \"postconf compatibility_level=3.11\" and \"postfix reload\"");
}

int
main(int argc, char **argv)
{
	struct err e = {0};

	(void)umask(022);
	log_init("postfix", LOG_TO_STDERR);
	parse_options(argc, argv);
	conf_set_program("postfix");
	if (!conf_load(NULL, &e) || !conf_check(&e))
		log_fatal("%s", e.text);
	may_run();
	logging_configured("postfix");
	log_set_postlog_fallback(conf.maillog_file);
	log_set_tag("postfix");
	say_old_level();
	logging_configured("postfix-script");
	log_set_console("postfix/postlog");	/* scripts of Postfix log through that program */
	(void)setenv("MAIL_CONFIG", conf.config_directory, 1);
	if (chdir(conf.queue_directory) != 0 && errno != ENOENT)
		log_fatal("chdir(%s): %s", conf.queue_directory, strerror(errno));
	for (size_t i = 0; optind + 1 == argc && i < sizeof commands / sizeof *commands; i++)
		if (strcmp(commands[i].name, argv[optind]) == 0)
			return commands[i].run();
	if (optind < argc)
		refuse_missing(argv[optind]);
	log_fatal("unknown command: '%s'. Usage: postfix start (or stop, reload, abort, flush, check, status, "
	    "set-permissions, upgrade-configuration, logrotate, tls, non-bdb)", optind < argc ? argv[optind] : "");
}
