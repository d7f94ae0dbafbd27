/*
 * main.c - master(8): reads master.cf, owns the listening sockets, starts and restarts the services, wakes them up.
 * Reads no mail, speaks to no network peer. Runs as root, or rootless under one uid.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/conf.h"
#include "conf/environment.h"
#include "io/file.h"
#include "master/master.h"
#include "service/logging.h"

#define LOCK_TRIES	10
#define LOCK_PAUSE_MS	20

struct loop *master_loop;
bool master_stay_attached;
int master_verbose;

static struct {
	bool test, wait, init, keep_stdio;
	int exit_after;
	int ready_fd;			/* -w: one byte when initialisation is done */
} opt = { .ready_fd = -1 };

static const char usage[] = "usage: master [-c config_dir] [-d (debug mode)] [-D (debug)] [-e exit_time] [-i (init mode)] "
    "[-s (stay attached)] [-t (test lock)] [-v] [-w (wait for initialization)]";

static void
parse_options(int argc, char **argv)
{
	int letter;
	uint64_t n;

	while ((letter = getopt(argc, argv, "c:dDe:istvw")) != -1) {
		switch (letter) {
		case 'c': (void)setenv("MAIL_CONFIG", optarg, 1); break;
		case 'd': master_stay_attached = true; break;
		case 'D': break;
		case 'e':
			if (!span_to_u64(span_str(optarg), &n) || n > 1000000000)
				log_fatal("invalid exit time: %s", optarg);
			opt.exit_after = (int)n;
			break;
		case 'i': opt.init = true; break;
		case 's': opt.keep_stdio = true; break;
		case 't': opt.test = true; break;
		case 'v': master_verbose++; break;
		case 'w': opt.wait = true; break;
		default: log_fatal("%s", usage);
		}
	}
	if (optind < argc)
		log_fatal("%s", usage);
	log_verbose = master_verbose;
}

/* -t: shared, so that those who ask at the same time do not take each other for a running master. */
static bool
is_locked(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 && errno == ENOENT)
		return false;		/* never started here */
	if (fd < 0)
		log_fatal("open lock file %s: cannot open file: %s", path, strerror(errno));
	bool locked = !file_lock(fd, FILE_LOCK_SHARED, false);

	(void)close(fd);
	return locked;
}

/* One who only asks, see is_locked(), has let go long before the last try. */
static bool
lock_patiently(int fd)
{
	for (int tries = 0; tries < LOCK_TRIES; tries++) {
		if (file_lock(fd, FILE_LOCK_EXCLUSIVE, false))
			return true;
		(void)poll(NULL, 0, LOCK_PAUSE_MS);
	}
	return false;
}

/* Lock file with our pid, 33 bytes. -1 when someone else holds it. */
static int
lock_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	char text[64];

	if (fd < 0)
		log_fatal("open lock file %s: cannot open file: %s", path, strerror(errno));
	if (!lock_patiently(fd)) {
		(void)close(fd);
		return -1;
	}
	int n = snprintf(text, sizeof text, "%32d\n", (int)getpid());

	if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)n, 0) != n)
		log_fatal("cannot update lock file %s: %s", path, strerror(errno));
	return fd;
}

static void
take_locks(void)
{
	char path[1024];
	const struct passwd *pw = geteuid() == 0 ? getpwnam(conf.mail_owner) : NULL;

	(void)file_make_dir(conf.process_id_directory, 0755);
	if (lock_file(conf_pid_file()) < 0)
		log_fatal("open lock file %s: unable to set exclusive lock: %s", conf_pid_file(), strerror(EAGAIN));
	(void)snprintf(path, sizeof path, "%s/master.lock", conf.data_directory);
	int fd = lock_file(path);

	if (fd < 0)
		log_fatal("open lock file %s: unable to set exclusive lock: %s", path, strerror(EAGAIN));
	if (pw != NULL && fchown(fd, pw->pw_uid, pw->pw_gid) != 0)
		log_warning("change owner of %s: %s", path, strerror(errno));
}

/* What children need before they have read main.cf. */
static void
export_settings(void)
{
	char path[1024];

	(void)setenv("MAIL_CONFIG", conf.config_directory, 1);
	(void)setenv("MAIL_LOGTAG", conf.syslog_name, 1);
	(void)snprintf(path, sizeof path, "%s/public/%s", conf.queue_directory, conf.postlog_service_name);
	if (conf.maillog_file[0] == '\0') {
		(void)unsetenv("POSTLOG_SERVICE");
		return;
	}
	(void)setenv("POSTLOG_SERVICE", path, 1);
	(void)setenv("POSTLOG_HOSTNAME", conf.myhostname, 1);
}

static void
load_main_cf(void)
{
	struct err e = {0};

	conf_set_program("master");
	if (!conf_load(NULL, &e) || !conf_check(&e))
		log_fatal("%s", e.text);
	logging_configured("master");
	log_set_postlog_fallback(conf.maillog_file);	/* postlogd is one of our own children */
	log_set_sinks(log_sinks() & ~(unsigned)LOG_TO_STDERR);
	if (chdir(conf.queue_directory) != 0)
		log_fatal("chdir %s: %s", conf.queue_directory, strerror(errno));
}

static void
begin_service(struct svc *s)
{
	child_listen(s, true);
	child_start_wakeups(s);
}

/* What is woken up now and then must not wait for its next time after a reload: without qmgr(8) nothing is tried again. */
static void
renew_service(struct svc *s)
{
	child_listen(s, true);
	child_restart_wakeups(s);
}

static void
reload(void)
{
	struct err e = {0};

	if (!conf_load(NULL, &e)) {
		log_error("%s -- the old configuration stays in force", e.text);
		return;
	}
	logging_configured("master");
	log_info("reload -- version %s, configuration %s", conf.mail_version, conf.config_directory);
	conf_warn_later();
	export_settings();
	if (!table_load(true, &e))
		log_error("%s -- not all of master.cf is in force", e.text);
	table_each(renew_service);
}

static _Noreturn void
terminate(int sig)
{
	log_info("terminating on signal %d", sig);
	(void)signal(SIGTERM, SIG_IGN);
	if (getpgrp() == getpid())
		(void)kill(0, SIGTERM);
	exit(0);
}

static void
signalled(void *arg, unsigned events)
{
	struct signalfd_siginfo info;
	int fd = *(int *)arg;

	(void)events;
	while (read(fd, &info, sizeof info) == (ssize_t)sizeof info) {
		if (info.ssi_signo == SIGCHLD)
			child_reap();
		else if (info.ssi_signo == SIGHUP)
			reload();
		else
			terminate((int)info.ssi_signo);
	}
}

static void
watch_signals(void)
{
	static int fd;
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigaddset(&set, SIGHUP);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0 || loop_watch(master_loop, fd, LOOP_READ, signalled, &fd) == NULL)
		log_fatal("signalfd: %s", strerror(errno));
}

/* -w: the parent waits for the child's byte and exits with the verdict. Without -d and -s: detach. */
static void
detach(void)
{
	int pair[2];
	char byte;

	if (opt.init)
		return;
	if (master_stay_attached || opt.keep_stdio) {
		(void)setpgid(0, 0);
		return;
	}
	if (pipe2(pair, O_CLOEXEC) != 0)
		log_fatal("pipe: %s", strerror(errno));
	pid_t pid = fork();

	if (pid < 0)
		log_fatal("fork: %s", strerror(errno));
	if (pid > 0) {
		(void)close(pair[1]);
		if (!opt.wait || read(pair[0], &byte, 1) == 1)
			_exit(0);
		log_fatal("daemon initialization failure -- see logs for details");
	}
	(void)close(pair[0]);
	opt.ready_fd = pair[1];
	(void)setsid();
}

static void
close_stdio(void)
{
	int fd = open("/dev/null", O_RDWR);

	for (int i = 0; i < 3 && fd >= 0; i++)
		(void)dup2(fd, i);
	if (fd > 2)
		(void)close(fd);
}

static void
time_is_up(void *arg, unsigned events)
{
	(void)arg;
	(void)events;
	terminate(SIGTERM);
}

static void
check_disabled_networks(void)
{
	if (conf.inet_protocols[0] != '\0')
		return;
	log_warning("all network protocols are disabled (inet_protocols = )");
	log_warning("disabling all type \"inet\" services in master.cf");
}

int
main(int argc, char **argv)
{
	struct err e = {0};

	(void)umask(077);
	logging_early("master");
	file_raise_limit();
	parse_options(argc, argv);
	load_main_cf();
	if (opt.test)
		return is_locked(conf_pid_file()) ? 1 : 0;
	if (opt.init && getpid() != 1)
		log_fatal("-i is for process 1 of a container, this is process %d; use -s", (int)getpid());
	detach();
	if (!environment_apply(conf.import_environment, true, &e))
		log_fatal("%s", e.text);
	export_settings();
	take_locks();
	master_loop = loop_new();
	watch_signals();
	check_disabled_networks();
	(void)umask(0);
	if (!table_load(false, &e))
		log_fatal("%s", e.text);
	(void)umask(077);
	log_info("daemon started -- version %s, configuration %s", conf.mail_version, conf.config_directory);
	conf_warn_later();
	if (opt.ready_fd >= 0) {
		(void)!write(opt.ready_fd, "R", 1);
		(void)close(opt.ready_fd);
	}
	if (!master_stay_attached && !opt.keep_stdio)
		close_stdio();
	table_each(begin_service);
	if (opt.exit_after > 0)
		(void)loop_after(master_loop, (int64_t)opt.exit_after * 1000, time_is_up, NULL);
	loop_run(master_loop);
	return 0;
}
