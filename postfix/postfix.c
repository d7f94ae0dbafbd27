/*
 * postfix.c - postfix(1): start, stop and look after the mail system.
 * Runs as root; rootless, as the one user that owns the instance.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/vec.h"
#include "conf/conf.h"
#include "conf/own_address.h"
#include "conf/environment.h"
#include "config.h"
#include "postfix/postfix.h"
#include "service/logging.h"

const char *command_program_directory, *program_directory;
bool is_secondary;

int
run_program(const char *directory, char *const argv[])
{
	char path[1024];
	int status;

	(void)snprintf(path, sizeof path, "%s/%s", directory, argv[0]);
	(void)fflush(NULL);
	pid_t pid = fork();

	if (pid == 0) {
		/* postconf(1) shows its name as it was called. */
		((char **)(uintptr_t)argv)[0] = path;
		(void)execv(path, argv);
		log_fatal("cannot execute %s: %s", path, strerror(errno));
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		log_fatal("fork: %s", strerror(errno));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

void
speak_as(const char *script)
{
	static char console[256];

	logging_configured(script);
	(void)snprintf(console, sizeof console, "%s/postlog", conf.syslog_name);
	log_set_console(console);	/* scripts of Postfix log through that program */
}

/* A post-install command, after the directories that it may need. */
static int
install(const char *command, char *const arguments[])
{
	struct vec argv = VEC_INIT(char *);

	run_postconf();
	*(char **)vec_add(&argv) = "create-missing";
	*(const char **)vec_add(&argv) = command;
	for (; *arguments != NULL; arguments++)
		*(char **)vec_add(&argv) = *arguments;
	(void)vec_add(&argv);
	const int status = install_run(argv.p);

	vec_free(&argv);
	return status;
}

static int do_set_permissions(char *const arguments[]) { return install("set-permissions", arguments); }
static int do_upgrade_configuration(char *const arguments[]) { return install("upgrade-configuration", arguments); }

static int
do_start_msg(char *const arguments[])
{
	(void)arguments;
	(void)puts("Start postfix");
	return 0;
}

static int
do_stop_msg(char *const arguments[])
{
	(void)arguments;
	(void)puts("Stop postfix");
	return 0;
}

static const struct command {
	const char *name;
	int (*run)(char *const arguments[]);
} commands[] = {
	{ "start", do_start }, { "start-fg", do_start_fg }, { "stop", do_stop }, { "quick-stop", do_quick_stop },
	{ "abort", do_abort }, { "drain", do_drain }, { "reload", do_reload }, { "flush", do_flush },
	{ "status", do_status }, { "check", do_check }, { "logrotate", do_logrotate }, { "tls", do_tls },
	{ "non-bdb", do_non_bdb },
	{ "set-permissions", do_set_permissions }, { "upgrade-configuration", do_upgrade_configuration },
	{ "post-install", install_run }, { "start_msg", do_start_msg }, { "stop_msg", do_stop_msg },
};

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

/* Is this one of the default instance's secondary instances? Its main.cf is read before our own. */
static bool
ask_default_instance(const char *directory)
{
	struct err e = {0};
	struct span rest, word;
	const char *list;
	bool found = false;

	if (directory == NULL || strcmp(directory, DEF_CONFIG_DIRECTORY) == 0)
		return false;
	if (access(DEF_CONFIG_DIRECTORY "/main.cf", R_OK) != 0 || !conf_read(DEF_CONFIG_DIRECTORY, &e))
		return false;
	list = conf_value("multi_instance_directories");
	rest = span_str(list != NULL ? list : "");
	while (span_take_word(&rest, ", \t\r\n", &word))
		found = found || span_is(word, directory);
	conf_reset();
	return found;
}

/* What programs and managers that we run may rely on. */
static void
export_settings(bool given)
{
	static const char *const exported[] = {
		"command_directory", "daemon_directory", "data_directory", "meta_directory", "queue_directory",
		"config_directory", "shlib_directory", "mail_owner", "setgid_group", "sendmail_path", "mailq_path",
		"newaliases_path", "manpage_directory", "sample_directory", "readme_directory", "html_directory",
	};
	struct err e = {0};

	if (!environment_apply(conf.import_environment, true, &e))
		log_fatal("%s", e.text);
	(void)setenv("PATH", "/bin:/usr/bin:/sbin:/usr/sbin", 1);
	for (size_t i = 0; i < sizeof exported / sizeof *exported; i++) {
		const char *value = conf_value(exported[i]);

		(void)setenv(exported[i], value != NULL ? value : "", 1);
	}
	/* Present, it means this instance alone. */
	if (given)
		(void)setenv("MAIL_CONFIG", conf.config_directory, 1);
	else
		(void)unsetenv("MAIL_CONFIG");
	if (log_verbose > 0)
		(void)setenv("MAIL_VERBOSE", "", 1);
}

static void
enter(const char *directory)
{
	if (chdir(directory) != 0)
		log_fatal("chdir(%s): %s", directory, strerror(errno));
}

/* All instances: the manager runs us again for each. */
static _Noreturn void
run_wrapper(char *const arguments[])
{
	struct arena *mem = arena_new();
	struct vec argv = VEC_INIT(char *);
	struct span rest = span_str(conf.multi_instance_wrapper), word;

	while (span_take_word(&rest, " \t\r\n", &word))
		*(char **)vec_add(&argv) = span_cstr(word, mem);
	if (argv.n == 0)
		log_fatal("multi-instance support is requested, but multi_instance_wrapper is empty");
	for (; *arguments != NULL; arguments++)
		*(char **)vec_add(&argv) = *arguments;
	(void)vec_add(&argv);
	(void)execvp(*VEC_AT(&argv, char *, 0), argv.p);
	log_fatal("cannot execute %s: %s", *VEC_AT(&argv, char *, 0), strerror(errno));
}

/* "/abs/command arguments": run in this environment. */
static int
run_absolute(char *const argv[])
{
	(void)execv(argv[0], argv);
	(void)fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
	return errno == ENOENT ? 127 : 126;
}

static int
run_command(char *const argv[])
{
	static char *const none[] = { NULL };
	const char *name = argv[0] != NULL ? argv[0] : "";

	speak_as("postfix-script");
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (strcmp(commands[i].name, name) == 0)
			return commands[i].run(argv[0] != NULL ? argv + 1 : none);
	if (*name == '/')
		return run_absolute(argv);
	log_fatal("unknown command: '%s'. Usage: postfix start (or stop, reload, abort, flush, check, status, "
	    "set-permissions, upgrade-configuration, logrotate, tls, non-bdb)", name);
}

/* Postfix refuses every command then; ours those that begin something. */
static void
check_interfaces(const char *command)
{
	static const char *const beginning[] = { "start", "start-fg", "reload", "check" };
	struct err e = {0};

	for (size_t i = 0; i < sizeof beginning / sizeof beginning[0]; i++)
		if (strcmp(command, beginning[i]) == 0 && !own_addresses_are_local(conf.inet_interfaces, conf.inet_protocols, &e))
			log_fatal("%s", e.text);
}

int
main(int argc, char **argv)
{
	struct err e = {0};

	(void)umask(022);
	log_init("postfix", LOG_TO_STDERR);
	parse_options(argc, argv);
	const bool given = getenv("MAIL_CONFIG") != NULL;

	conf_set_program("postfix");
	is_secondary = ask_default_instance(getenv("MAIL_CONFIG"));
	if (!conf_load(NULL, &e) || !conf_check(&e))
		log_fatal("%s", e.text);
	may_run();
	logging_configured("postfix");
	log_set_postlog_fallback(conf.maillog_file);
	log_set_tag("postfix");
	if (argv[optind] != NULL)
		check_interfaces(argv[optind]);
	say_old_level();
	command_program_directory = span_strdup(span_str(conf.command_directory));
	program_directory = span_strdup(span_str(conf.daemon_directory));
	export_settings(given);
	enter(conf.command_directory);
	enter(conf.daemon_directory);
	enter(conf.queue_directory);
	if (!given && conf.multi_instance_directories[0] != '\0')
		run_wrapper(argv + optind);
	return run_command(argv + optind);
}
