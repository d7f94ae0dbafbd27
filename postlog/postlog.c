/*
 * postlog.c - postlog(1): log from shell scripts. Installed set-gid: reaches public/postlog as the group postdrop.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "conf/conf.h"
#include "service/logging.h"

static const char usage[] = "usage: postlog [-c config_dir] [-i] [-p priority] [-t tag] [-v] [text]";

static const struct severity {
	const char *name;
	enum log_level level;
} severities[] = {
	{ "info", LOG_LEVEL_INFO }, { "warn", LOG_LEVEL_WARNING }, { "warning", LOG_LEVEL_WARNING },
	{ "error", LOG_LEVEL_ERROR }, { "err", LOG_LEVEL_ERROR }, { "fatal", LOG_LEVEL_FATAL },
	{ "crit", LOG_LEVEL_FATAL }, { "panic", LOG_LEVEL_PANIC },
};

static enum log_level
severity(const char *name)
{
	for (size_t i = 0; i < sizeof severities / sizeof *severities; i++)
		if (strcasecmp(severities[i].name, name) == 0)
			return severities[i].level;
	log_fatal("bad severity: \"%s\"", name);
}

static void
emit(enum log_level level, const char *text)
{
	/* fatal and panic are words here, not an end of this program. */
	static const char *const prefix[] = { [LOG_LEVEL_FATAL] = "fatal: ", [LOG_LEVEL_PANIC] = "panic: " };

	if (level == LOG_LEVEL_WARNING)
		log_warning("%s", text);
	else if (level == LOG_LEVEL_ERROR)
		log_error("%s", text);
	else
		log_info("%s%s", level == LOG_LEVEL_INFO ? "" : prefix[level], text);
}

static void
emit_stdin(enum log_level level)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;

	while ((n = getline(&line, &cap, stdin)) > 0) {
		line[strcspn(line, "\r\n")] = '\0';
		emit(level, line);
	}
	free(line);
}

static void
emit_words(enum log_level level, char **words)
{
	struct buf text = {0};

	for (; *words != NULL; words++) {
		if (text.n > 0)
			buf_byte(&text, ' ');
		buf_str(&text, *words);
	}
	emit(level, buf_cstr(&text));
	buf_free(&text);
}

int
main(int argc, char **argv)
{
	enum log_level level = LOG_LEVEL_INFO;
	const char *tag = NULL, *config = NULL;
	struct err e = {0};
	int letter;

	log_init("postfix/postlog", LOG_TO_STDERR);
	log_set_console("postfix/postlog");
	while ((letter = getopt(argc, argv, "+c:ip:t:v")) != -1) {
		switch (letter) {
		case 'c': config = optarg; break;
		case 'i': break;
		case 'p': level = severity(optarg); break;
		case 't': tag = optarg; break;
		case 'v': log_verbose++; break;
		default: log_fatal("%s", usage);
		}
	}
	if (config != NULL)
		(void)setenv("MAIL_CONFIG", config, 1);
	conf_set_program("postlog");
	if (!conf_load(NULL, &e))
		log_fatal("%s", e.text);
	logging_configured("postlog");
	if (tag != NULL)
		log_set_tag(tag);
	if (optind < argc)
		emit_words(level, argv + optind);
	else
		emit_stdin(level);
	return 0;
}
