/*
 * main.c - postconf(1).
 *
 * SPDX-License-Identifier: ISC
 */
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/conf.h"
#include "config.h"
#include "postconf/postconf.h"

unsigned options;
unsigned classes = CLASS_ALL;
bool no_warnings;
const char *main_cf, *master_cf;
struct arena *memory;

static const char usage_text[] =
    "[-a (server SASL types)] [-A (client SASL types)] [-b (bounce templates)] [-c config_dir] [-c param_class] "
    "[-d (parameter defaults)] [-e (edit configuration)] [-f (fold lines)] [-F (master.cf fields)] [-h (no names)] "
    "[-H (no values)] [-j (streaming JSON) ] [-l (lock types)] [-m (map types)] [-M (master.cf)] "
    "[-n (non-default parameters)] [-o name=value (override parameter value)] [-p (main.cf, default)] "
    "[-P (master.cf parameters)] [-t (bounce templates)] [-T compile-version|run-version|public-key-algorithms] "
    "[-v (verbose)] [-x (expand parameter values)] [-X (exclude)] [-# (comment-out)] [name...]";

static _Noreturn void
usage(const char *program)
{
	log_fatal("usage: %s %s", program, usage_text);
}

static void
override(const char *pair)
{
	struct err e = {0};

	options |= BIT(OPT_o);
	if (!conf_set_override_pair(pair, &e))
		log_fatal("invalid parameter override: %s: %s", pair, e.text);
}

static void
parse_options(int argc, char **argv, const char **ssl_mode)
{
	static const char letters[] = "+aAbc:C:deEfFhHjlmMno:pPqtT:vxX#";
	static const struct option long_options[] = { { "later", no_argument, NULL, 'L' },
	    { "manual", no_argument, NULL, 'S' }, { "check", no_argument, NULL, 'K' }, { "explain", no_argument, NULL, 'I' },
	    { "json", no_argument, NULL, 'J' }, { NULL, 0, NULL, 0 } };
	/* In the order of OPT_a ...; blank where an option needs more than its bit. */
	static const char simple[] = "aAb defFhHjlmMn pPt xX#";
	const char *at;
	int letter;

	while ((letter = getopt_long(argc, argv, letters, long_options, NULL)) != -1) {
		if (letter == 'P' && HAS(OPT_P)) {
			options |= BIT(OPT_PP);
			continue;
		}
		if (letter != ' ' && (at = strchr(simple, letter)) != NULL) {
			options |= BIT(at - simple);
			continue;
		}
		if (letter == 'c') {
			if (setenv("MAIL_CONFIG", optarg, 1) != 0)
				log_out_of_memory();
		} else if (letter == 'C') {
			options |= BIT(OPT_C);
			classes_parse(optarg);
		} else if (letter == 'o') {
			override(optarg);
		} else if (letter == 'q') {
			no_warnings = true;
		} else if (letter == 'T') {
			if (*ssl_mode != NULL)
				log_fatal("At most one -T <mode> option may be specified");
			options |= BIT(OPT_T);
			*ssl_mode = optarg;
		} else if (letter == 'v') {
			log_verbose++;
		} else if (letter == 'L') {
			options |= BIT(OPT_later);
		} else if (letter == 'S') {
			options |= BIT(OPT_manual);
		} else if (letter == 'K') {
			options |= BIT(OPT_check);
		} else if (letter == 'I') {
			options |= BIT(OPT_explain);
		} else if (letter == 'J') {
			options |= BIT(OPT_json);
		} else {
			usage(argv[0]);
		}
	}
}

/* Defaults depend on the level, and that of mynetworks on the interfaces, whatever is shown. */
static void
check_what_defaults_need(void)
{
	const char *level = conf_value("compatibility_level");
	struct err e = {0};
	int ignored;

	if (level != NULL && !conf_compare_levels(level, "0", &ignored))
		log_warning("malformed compatibility level syntax: \"%s\"", level);
	if (level == NULL || !conf_compare_levels(level, "0", &ignored))
		log_fatal("macro processing error");
	if (setting_of("mynetworks") == NULL)
		(void)conf_default("mynetworks");
	if (!conf_defaults_ok(&e))
		log_fatal("%s", e.text);
}

/* Without -d the settings; master.cf always, for the names of its services. */
static void
read_configuration(void)
{
	const bool master_mode = HAS(OPT_M) || HAS(OPT_F) || HAS(OPT_P);
	const char *dir = getenv("MAIL_CONFIG");
	struct err e = {0};

	if (dir == NULL)
		dir = DEF_CONFIG_DIRECTORY;
	main_cf = arena_printf(memory, "%s/main.cf", dir);
	master_cf = arena_printf(memory, "%s/master.cf", dir);
	if (options & (BIT(OPT_e) | BIT(OPT_X) | BIT(OPT_comment)))
		return;
	if (master_mode)
		master_read(false);
	if (HAS(OPT_d))
		conf_read_nothing();
	else if (!conf_read(NULL, &e))
		log_fatal("%s", e.text);
	if (!master_mode)
		master_read(true);
	if (!HAS(OPT_d))
		check_what_defaults_need();
	rows_build();
}

static void
edit(char **arguments)
{
	if (*arguments == NULL)
		log_fatal(HAS(OPT_e) ? "-e requires name=value argument" : "missing service argument");
	if (HAS(OPT_M))
		edit_master_entries(arguments);
	else if (HAS(OPT_F))
		edit_master_fields(arguments);
	else if (HAS(OPT_P))
		edit_master_parameters(arguments);
	else
		edit_main(arguments);
}

static void
show(char **arguments)
{
	if (HAS(OPT_M))
		show_entries(arguments);
	else if (HAS(OPT_F))
		show_fields(arguments);
	else if (HAS(OPT_PP))
		show_service_all(arguments);
	else if (HAS(OPT_P))
		show_service_parameters(arguments);
	else
		show_parameters(arguments);
	print_flush();
	if (no_warnings || HAS(OPT_d))
		return;
	if (!HAS(OPT_M) && !HAS(OPT_F) && !HAS(OPT_P))
		warn_unused_main();
	warn_unused_master();
}

/* This program shows its whole name, ASCII only, and never writes to the log. */
static void
to_stderr(enum log_level level, const char *text, void *arg)
{
	(void)level;
	(void)fflush(stdout);
	(void)fprintf(stderr, "%s: %s\n", (const char *)arg, text);
}

int
main(int argc, char **argv)
{
	const char *ssl_mode = NULL, *program = argv[0];

	(void)umask(022);
	log_init(argv[0], 0);
	log_set_hook(to_stderr, argv[0]);
	log_set_utf8(false);
	memory = arena_new();
	if (getenv("MAIL_VERBOSE") != NULL)
		log_verbose++;
	parse_options(argc, argv, &ssl_mode);
	argv += optind;
	if (*argv != NULL && strchr(*argv, '=') != NULL && !HAS(OPT_check))
		options |= BIT(OPT_e);
	options_check();
	if (HAS(OPT_check))
		return check_files(argv);
	if (HAS(OPT_json)) {
		if (!HAS(OPT_e) || *argv != NULL)
			log_fatal("--json is for -e without arguments: settings come from standard input");
		argv = json_arguments();
	}
	if (HAS(OPT_later) || HAS(OPT_manual)) {
		(HAS(OPT_later) ? show_later : show_manual)();
		return 0;
	}
	if (options & (BIT(OPT_a) | BIT(OPT_A) | BIT(OPT_b) | BIT(OPT_l) | BIT(OPT_m) | BIT(OPT_t) | BIT(OPT_T)))
		return show_other(argv, ssl_mode);
	if (HAS(OPT_explain)) {
		read_for_explain();
		log_set_hook(to_stderr, (void *)(uintptr_t)program);
		return explain(argv);
	}
	read_configuration();
	if (options & (BIT(OPT_e) | BIT(OPT_X) | BIT(OPT_comment)))
		edit(argv);
	else
		show(argv);
	return 0;
}
