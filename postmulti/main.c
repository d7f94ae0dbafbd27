/*
 * main.c - postmulti(1): one command for all instances of the mail system, and their beginning and end.
 * Runs as root but for -l and -x; trusts main.cf of every instance.
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

#include "base/log.h"
#include "conf/conf.h"
#include "conf/json.h"
#include "config.h"
#include "postmulti/postmulti.h"
#include "service/logging.h"

static const char usage[] = "Usage:postmulti -l [-v] [-a] [-g group] [-i instance] | postmulti -p [-v] [-a] [-g group] "
    "[-i instance] command... | postmulti -x [-v] [-a] [-i name] [-g group] command... | postmulti -e action [-v] [-a] "
    "[-i name] [-g group] [-I name] [-G group] [param=value ...]";

struct options opt;
static char mode;		/* e l p x */

static void
set_mode(char letter)
{
	if (mode != '\0')
		log_fatal("Specify exactly one of '-e', '-l', '-p', '-x'");
	mode = letter;
}

static void
check_options(void)
{
	if (mode == '\0')
		log_fatal("Specify exactly one of '-e', '-l', '-p', '-x'");
	if ((opt.all ? 1 : 0) + (opt.group != NULL ? 1 : 0) + (opt.name != NULL ? 1 : 0) > 1)
		log_fatal("Specity no more than one of '-a', '-g', '-i'");
	if (mode != 'e' && (opt.new_name != NULL || opt.new_group != NULL))
		log_fatal("Cannot assign instance name or group without '-e assign'");
	if (opt.reverse && (mode == 'e' || mode == 'p'))
		log_fatal("The '-p' and '-e' options preclude the use of '-R'");
	if (opt.json && mode != 'l')
		log_fatal("JSON output available only with '-l'");
}

static void
parse_options(int argc, char **argv)
{
	int letter;

	while ((letter = getopt(argc, argv, "+ae:g:i:jlpvxG:I:R")) != -1) {
		switch (letter) {
		case 'a': opt.all = true; break;
		case 'e': set_mode('e'); opt.action = optarg; break;
		case 'g': opt.group = optarg; break;
		case 'i': opt.name = optarg; break;
		case 'j': opt.json = true; break;
		case 'l': case 'p': case 'x': set_mode((char)letter); break;
		case 'v': log_verbose++; (void)setenv("MAIL_VERBOSE", "", 1); break;
		case 'G': opt.new_group = optarg; break;
		case 'I': opt.new_name = optarg; break;
		case 'R': opt.reverse = true; break;
		default: log_fatal("%s", usage);
		}
	}
	check_options();
}

static bool
is_selected(const struct instance *i)
{
	if (opt.name != NULL)
		return instance_find(opt.name) == i;
	return opt.group == NULL || strcmp(opt.group, i->group) == 0;
}

static void
list_one(const struct instance *i)
{
	const char *name = *i->name != '\0' ? i->name : "-", *group = *i->group != '\0' ? i->group : "-";
	struct buf out = {0};

	if (!opt.json) {
		(void)printf("%-15s %-15s %-9s %s\n", name, group, i->enabled ? "y" : "n", i->config_directory);
		return;
	}
	buf_str(&out, "{\"name\": ");
	json_quote(&out, span_str(name));
	buf_str(&out, ",\"group\": ");
	json_quote(&out, span_str(group));
	buf_printf(&out, ",\"enabled\": \"%s\",\"config_directory\": ", i->enabled ? "y" : "n");
	json_quote(&out, span_str(i->config_directory));
	(void)printf("%s}\n", buf_cstr(&out));
	buf_free(&out);
}

static void
export_instance(const struct instance *i)
{
	const char *path = getenv("PATH");

	(void)setenv("PATH", arena_printf(memory, "%s:%s", shared.command_directory, path != NULL ? path : "/bin:/usr/bin"), 1);
	(void)setenv("MAIL_CONFIG", i->config_directory, 1);
	(void)setenv("MAIL_LOGTAG", shared.syslog_name, 1);
	(void)setenv("command_directory", shared.command_directory, 1);
	(void)setenv("daemon_directory", shared.daemon_directory, 1);
	(void)setenv("config_directory", i->config_directory, 1);
	(void)setenv("queue_directory", i->queue_directory, 1);
	(void)setenv("data_directory", i->data_directory, 1);
	(void)setenv("multi_instance_name", i->name, 1);
	(void)setenv("multi_instance_group", i->group, 1);
	(void)setenv("multi_instance_enable", i->enabled ? "yes" : "no", 1);
}

void
speak_as_script(bool script)
{
	log_set_tag(arena_printf(memory, "%s/%s", shared.syslog_name, script ? "postmulti-script" : "postmulti"));
	log_set_console(script ? arena_printf(memory, "%s/postlog", shared.syslog_name) : NULL);
}

int
run_for(const struct instance *i, char *const argv[])
{
	int status;

	(void)fflush(NULL);
	const pid_t pid = fork();

	if (pid == 0) {
		export_instance(i);
		(void)execvp(argv[0], argv);
		log_fatal("execvp %s: %s", argv[0], strerror(errno));
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		log_fatal("fork: %s", strerror(errno));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* -p: what "postfix command" means for this instance. *argv may change. False: not for this one. */
static bool
is_for(const struct instance *i, char *const argv[], const char **command)
{
	*command = argv[0];
	if (i->enabled)
		return true;
	if (span_lists(span_str(shared.start_commands), argv[0])) {
		*command = "check";	/* problems are reported before it is enabled */
		return true;
	}
	return !span_lists(span_str(shared.stop_commands), argv[0]) && !span_lists(span_str(shared.control_commands), argv[0]);
}

static int
run_postfix(const struct instance *i, char *const argv[], const char *command)
{
	struct vec words = VEC_INIT(char *);

	*(char **)vec_add(&words) = arena_printf(memory, "%s/postfix", shared.command_directory);
	*(char **)vec_add(&words) = span_cstr(span_str(command), memory);
	if (command == argv[0])
		for (argv++; *argv != NULL; argv++)
			*(char **)vec_add(&words) = *argv;
	(void)vec_add(&words);
	const int status = run_for(i, words.p);

	vec_free(&words);
	return status;
}

/* One instance's turn in -l, -p, -x. False: not selected. */
static bool
visit(const struct instance *i, char *const argv[], int *worst)
{
	const char *command;
	int status = 0;

	if (!is_selected(i) || (mode == 'p' && !is_for(i, argv, &command)))
		return false;
	if (mode == 'l')
		list_one(i);
	else
		status = mode == 'p' ? run_postfix(i, argv, command) : run_for(i, argv);
	if (status != 0)
		*worst = 1;
	return true;
}

static int
iterate(char *const argv[])
{
	const bool backwards = opt.reverse || (mode == 'p' && span_lists(span_str(shared.stop_commands), argv[0]));
	size_t visited = 0;
	int worst = 0;

	for (size_t n = 0; n < instances.n; n++)
		visited += visit(instance_at(backwards ? instances.n - 1 - n : n), argv, &worst) ? 1 : 0;
	if (visited == 0 && mode != 'l')
		log_fatal("No matching instances");
	return worst;
}

static void
check_environment(void)
{
	const char *given = getenv("MAIL_CONFIG");

	if (given != NULL && strcmp(given, DEF_CONFIG_DIRECTORY) != 0)
		log_fatal("Non-default configuration directory: MAIL_CONFIG=%s", given);
}

int
main(int argc, char **argv)
{
	struct err e = {0};

	(void)umask(022);
	log_init("postmulti", LOG_TO_STDERR);
	parse_options(argc, argv);
	check_environment();
	conf_set_program("postmulti");
	if (!conf_load(DEF_CONFIG_DIRECTORY, &e) || !conf_check(&e))
		log_fatal("%s", e.text);
	logging_configured("postmulti");
	log_set_postlog_fallback(conf.maillog_file);
	argv += optind;
	if (mode == 'l' && argv[0] != NULL)
		log_fatal("Command not allowed with '-l'");
	if ((mode == 'p' || mode == 'x') && argv[0] == NULL)
		log_fatal("Command required with '-p' or '-x' option");
	instances_load();
	if (mode != 'e')
		return iterate(argv);
	edit_instances(argv);
	return 0;
}
