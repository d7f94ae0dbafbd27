/*
 * logging.c - log destinations from environment and main.cf.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>

#include "base/log.h"
#include "conf/conf.h"
#include "service/logging.h"

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
	int facility;

	set_tag(conf.syslog_name, program);
	if (log_facility(conf.syslog_facility, &facility))
		log_set_facility(facility);
	if (conf.maillog_file[0] == '\0') {
		log_set_sinks(LOG_TO_SYSLOG | console);
		return;
	}
	(void)snprintf(path, sizeof path, "%s/public/%s", conf.queue_directory, conf.postlog_service_name);
	log_set_postlog(path, conf.myhostname);
	log_set_sinks(LOG_TO_POSTLOG | console);
}

bool
logging_path_allowed(const char *path)
{
	struct span list = span_str(conf.maillog_file_prefixes), prefix;

	while (span_take_word(&list, ", \t\r\n", &prefix))
		if (span_starts(span_str(path), prefix))
			return true;
	return false;
}
