/*
 * log.h - the log, one printable line an event, in the form that syslog and maillog_file readers know:
 * "name/program[pid]: text", with "warning: ", "error: ", "fatal: " or "panic: " before the text.
 * Every line is made printable (control characters become '?'; valid UTF-8 stays, see log_set_utf8) and cut at 2000 bytes.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>

enum log_level { LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR, LOG_LEVEL_FATAL, LOG_LEVEL_PANIC };

/* Where lines go. LOG_TO_STDERR: commands ("program: text"); the others are for daemons. More than one may be set. */
enum { LOG_TO_STDERR = 1, LOG_TO_SYSLOG = 2, LOG_TO_POSTLOG = 4 };

/* tag: "postfix/smtpd" for syslog and postlog; the part behind the last '/' is used on standard error. Copied. */
void	log_init(const char *tag, unsigned sinks);
void	log_set_tag(const char *tag);			/* the tag is copied; also after syslog_name is known */
void	log_set_console(const char *name);		/* this name on standard error, whatever the tag; not copied */
void	log_set_sinks(unsigned sinks);
unsigned log_sinks(void);
const char *log_tag(void);
bool	log_facility(const char *name, int *code);	/* "mail" to LOG_MAIL; false: no such name */
void	log_set_facility(int syslog_facility);		/* LOG_MAIL unless set */
/* The postlog datagram socket (path relative to the current directory or absolute) and the host name for its
 * lines. Opened now so that a later chroot does not matter; a failed send is retried with a new connection once. */
void	log_set_postlog(const char *socket_path, const char *hostname);
/* For programs that must not wait for postlogd(8), or that run without it: what the socket does not take at once is
 * appended to this file ("" = no file). Others wait up to a second for a busy postlogd, then the line is lost. */
void	log_set_postlog_fallback(const char *file);
/* Also called for each line, before the other sinks; used by tests and by postlogd itself. NULL turns it off. */
void	log_set_hook(void (*fn)(enum log_level, const char *text, void *arg), void *arg);
/* Called once by log_fatal/log_panic before the process ends. Must not log. */
void	log_set_cleanup(void (*fn)(void));
/* Exit status for log_fatal: 1 unless set. */
void	log_set_fatal_status(int status);

/* UTF-8 stays as it is unless turned off (smtputf8_enable = no): then only ASCII is printed. */
void	log_set_utf8(bool);

extern int log_verbose;		/* -v count; log_debug() lines are wanted when it is > 0 */

void	log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void	log_warning(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void	log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void	log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));	/* only with log_verbose */
/* The environment makes it impossible to go on. Only main() and lib/service call it. */
_Noreturn void log_fatal(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void log_panic(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void log_out_of_memory(void);

#endif
