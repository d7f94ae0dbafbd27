/*
 * logging.c - log destinations from environment and main.cf.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "base/log.h"
#include "conf/conf.h"
#include "service/logging.h"

static const struct {
	const char *name;
	int code;
} facilities[] = {
	{ "auth", LOG_AUTH }, { "authpriv", LOG_AUTHPRIV }, { "cron", LOG_CRON }, { "daemon", LOG_DAEMON },
	{ "ftp", LOG_FTP }, { "kern", LOG_KERN }, { "lpr", LOG_LPR }, { "mail", LOG_MAIL }, { "news", LOG_NEWS },
	{ "syslog", LOG_SYSLOG }, { "user", LOG_USER }, { "uucp", LOG_UUCP }, { "local0", LOG_LOCAL0 },
	{ "local1", LOG_LOCAL1 }, { "local2", LOG_LOCAL2 }, { "local3", LOG_LOCAL3 }, { "local4", LOG_LOCAL4 },
	{ "local5", LOG_LOCAL5 }, { "local6", LOG_LOCAL6 }, { "local7", LOG_LOCAL7 },
};

static void
set_tag(const char *prefix, const char *program)
{
	char tag[128];

	(void)snprintf(tag, sizeof tag, "%s/%s", prefix, program);
	log_set_tag(tag);
}

void
logging_early(const char *program)
{
	const char *tag = getenv("MAIL_LOGTAG");
	const char *postlog = getenv("POSTLOG_SERVICE");
	const char *host = getenv("POSTLOG_HOSTNAME");

	set_tag(tag != NULL ? tag : "postfix", program);
	if (postlog != NULL && host != NULL) {
		log_set_postlog(postlog, host);
		log_set_sinks(LOG_TO_POSTLOG);
	} else {
		log_set_sinks(LOG_TO_SYSLOG);
	}
}

void
logging_configured(const char *program)
{
	unsigned console = log_sinks() & LOG_TO_STDERR;
	char path[256];

	set_tag(conf.syslog_name, program);
	for (size_t i = 0; i < sizeof facilities / sizeof *facilities; i++)
		if (strcmp(facilities[i].name, conf.syslog_facility) == 0)
			log_set_facility(facilities[i].code);
	if (conf.maillog_file[0] == '\0') {
		log_set_sinks(LOG_TO_SYSLOG | console);
		return;
	}
	(void)snprintf(path, sizeof path, "%s/public/%s", conf.queue_directory, conf.postlog_service_name);
	log_set_postlog(path, conf.myhostname);
	log_set_sinks(LOG_TO_POSTLOG | console);
}
