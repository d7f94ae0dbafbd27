/*
 * logging.h - where a program's log goes, before and after main.cf is known: syslog, or postlogd(8) when
 * maillog_file is set. Commands that people type also write to standard error.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef SERVICE_LOGGING_H
#define SERVICE_LOGGING_H

#include <stdbool.h>

/* Before main.cf: MAIL_LOGTAG, POSTLOG_SERVICE and POSTLOG_HOSTNAME of the environment. */
void	logging_early(const char *program);
/* After conf_load(): syslog_name, syslog_facility, maillog_file. Keeps LOG_TO_STDERR as it is. */
void	logging_configured(const char *program);

/* A log file may be there: maillog_file_prefixes. */
bool	logging_path_allowed(const char *path);

#endif
