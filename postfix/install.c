/*
 * install.c - "postfix post-install", what follows the copying of files: directories, owners and modes, main.cf and
 * master.cf brought up to date. Called by "postfix set-permissions", "upgrade-configuration", "check" and packages.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "postfix/files.h"
#include "postfix/postfix.h"

/* Parameters of an installation; all are written to main.cf when one changes. */
static const struct {
	const char *name;
	enum { ANY, ABSOLUTE, ABSOLUTE_OR_NO } form;
} parameters[] = {
	{ "daemon_directory", ABSOLUTE }, { "data_directory", ABSOLUTE }, { "command_directory", ABSOLUTE },
	{ "queue_directory", ABSOLUTE }, { "mail_owner", ANY }, { "setgid_group", ANY }, { "sendmail_path", ABSOLUTE },
	{ "mailq_path", ABSOLUTE }, { "newaliases_path", ABSOLUTE }, { "html_directory", ABSOLUTE_OR_NO },
	{ "manpage_directory", ABSOLUTE }, { "sample_directory", ANY }, { "readme_directory", ABSOLUTE_OR_NO },
	{ "shlib_directory", ABSOLUTE_OR_NO }, { "meta_directory", ABSOLUTE },
};
#define PARAMETERS	(sizeof parameters / sizeof *parameters)

/* Once "no" was a value of these. */
static const struct {
	const char *name, *hint;
} not_no[] = {
	{ "setgid_group", "groupname ..." }, { "manpage_directory", "/pathname ...\"." },
};

enum { DO_CREATE = 1, DO_SET = 2, DO_UPGRADE = 4, DO_CONFIGURE = 8, DO_REMIND = 16 };

static const struct {
	const char *word;
	bool prefix;		/* a word that only begins so is meant too */
	unsigned what;
} commands[] = {
	{ "create-missing", false, DO_CREATE },
	{ "set-perm", true, DO_CREATE | DO_SET },
	{ "upgrade-perm", true, DO_CREATE | DO_UPGRADE },
	{ "upgrade-conf", true, DO_CONFIGURE },
	{ "upgrade-source", false, DO_CREATE | DO_UPGRADE | DO_CONFIGURE },
	{ "upgrade-package", false, DO_CREATE | DO_SET | DO_CONFIGURE },
	{ "first-install", true, DO_REMIND },
};

static const char *
own_name(void)
{
	static char name[1024];

	(void)snprintf(name, sizeof name, "%s/post-install", program_directory);
	return name;
}

static int
usage(void)
{
	(void)fprintf(stderr, "%s: Error: Usage: %s [name=value] command\n"
	    "    create-missing          Create missing queue directories.\n"
	    "    upgrade-source          When installing or upgrading from source code.\n"
	    "    upgrade-package         When installing or upgrading from pre-built package.\n"
	    "    first-install-reminder  Remind of mandatory first-time configuration steps.\n"
	    "    name=value              Specify an installation parameter.\n", own_name(), own_name());
	return 1;
}

static bool
has_space(const char *text)
{
	return strpbrk(text, " \t\r\n") != NULL;
}

/* One argument: a setting becomes an override, a command its bits. False: it was refused. */
static bool
take_argument(const char *argument, unsigned *what)
{
	const char *equals = strchr(argument, '=');

	if (has_space(argument)) {
		(void)printf("%s: Error: argument contains whitespace: '%s'\n", own_name(), argument);
		return false;
	}
	if (equals != NULL) {
		struct err e = {0};

		if (equals[1] != '\0' && !conf_set_override_pair(argument, &e)) {
			(void)fprintf(stderr, "%s: Error: %s\n", own_name(), e.text);
			return false;
		}
		return true;		/* without a value it does not count */
	}
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		const char *word = commands[i].word;

		if (strcmp(word, argument) == 0 || (commands[i].prefix && strncmp(word, argument, strlen(word)) == 0)) {
			*what |= commands[i].what;
			return true;
		}
	}
	(void)usage();
	return false;
}

static bool
refuse_no(void)
{
	for (size_t i = 0; i < sizeof not_no / sizeof *not_no; i++) {
		const char *value = conf_value(not_no[i].name), *hint = not_no[i].hint;

		if (value == NULL || strcmp(value, "no") != 0)
			continue;
		(void)fprintf(stderr, "%s: Error: %s no longer accepts \"no\" values.\nTry again with \"%s %s=%s%s\n", own_name(),
		    not_no[i].name, own_name(), not_no[i].name, hint, strchr(hint, '"') != NULL ? "" : "\"");
		return false;
	}
	return true;
}

static bool
check_values(void)
{
	if (!refuse_no())
		return false;
	for (size_t i = 0; i < PARAMETERS; i++) {
		const char *value = conf_value(parameters[i].name);
		const bool or_no = parameters[i].form == ABSOLUTE_OR_NO;

		if (value == NULL)
			value = "";
		if (parameters[i].form == ANY || *value == '/' || (or_no && strcmp(value, "no") == 0))
			continue;
		(void)fprintf(stderr, "%s: Error: \"%s\" should be %san absolute path name.\n", own_name(), value,
		    or_no ? "\"no\" or " : "");
		return false;
	}
	return true;
}

/* "name=value" as main.cf stores it: a path that ends in the version follows later versions. */
static char *
setting(struct arena *mem, const char *name)
{
	const struct span value = span_str(conf_value(name)), version = span_str(conf.mail_version);

	if (version.n > 0 && value.n > version.n && span_ends(value, version))
		return arena_printf(mem, "%s=%.*s${mail_version}", name, (int)(value.n - version.n), value.p);
	return arena_printf(mem, "%s=%.*s", name, SPAN_ARG(value));
}

/* before: values by main.cf alone. When one differs now, write all. */
static bool
store_changes(char *const before[])
{
	struct arena *mem = arena_new();
	char *argv[PARAMETERS + 5] = { "postconf", "-c", span_cstr(span_str(conf.config_directory), mem), "-e" };
	bool changed = false, ok = true;

	for (size_t i = 0; i < PARAMETERS; i++) {
		const char *now = conf_value(parameters[i].name);

		changed = changed || now == NULL || strcmp(now, before[i]) != 0;
		argv[i + 4] = setting(mem, parameters[i].name);
	}
	if (changed)
		ok = run_program(command_program_directory, argv) == 0;
	arena_free(&mem);
	return ok;
}

static void
keep_values(char *values[])
{
	for (size_t i = 0; i < PARAMETERS; i++) {
		const char *value = conf_value(parameters[i].name);

		values[i] = span_strdup(span_str(value != NULL ? value : ""));
	}
}

static void
remind(void)
{
	(void)printf("\n    Warning: you still need to edit myorigin/mydestination/mynetworks\n"
	    "    parameter settings in %s/main.cf.\n\n"
	    "    See also https://www.postfix.org/STANDARD_CONFIGURATION_README.html\n"
	    "    for information about dialup sites or about sites inside a firewalled\n    network.\n\n"
	    "    BTW: Check your /etc/aliases file and be sure to set up aliases\n"
	    "    that send mail for root and postmaster to a real person, then run\n    %s.\n\n",
	    conf.config_directory, conf.newaliases_path);
}

static bool
failed(const struct err *e)
{
	(void)fprintf(stderr, "%s\n", e->text);
	return false;
}

static bool
work(unsigned what)
{
	struct files files;
	struct buf obsolete = {0};
	struct err e = {0};
	bool ok = files_load(&files, is_secondary, &e);

	if ((what & (DO_CREATE | DO_SET | DO_UPGRADE)) != 0)
		ok = ok && files_apply(&files, (what & DO_SET) != 0 ? FILES_ALL : (what & DO_UPGRADE) != 0 ? FILES_UPGRADE :
		    FILES_MISSING, &e);
	if (!ok)
		(void)failed(&e);
	if (ok && (what & DO_CREATE) != 0)
		files_obsolete(&files, &obsolete);
	if (ok && (what & DO_CONFIGURE) != 0)
		ok = upgrade_configuration(buf_cstr(&obsolete));
	buf_free(&obsolete);
	files_free(&files);
	if (ok && (what & DO_REMIND) != 0)
		remind();
	return ok;
}

int
install_run(char *const arguments[])
{
	struct err e = {0};
	unsigned what = 0;
	char *before[PARAMETERS];
	bool ok = true;

	keep_values(before);
	for (; ok && *arguments != NULL; arguments++)
		ok = take_argument(*arguments, &what);
	if (ok && what == 0)
		return usage();
	if (ok && !conf_load(NULL, &e))
		ok = failed(&e);
	ok = ok && check_values() && store_changes(before);
	for (size_t i = 0; i < PARAMETERS; i++)
		free(before[i]);
	return ok && work(what) ? 0 : 1;
}
