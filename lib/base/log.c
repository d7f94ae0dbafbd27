/*
 * log.c - formats a line once and hands it to standard error, syslog(3) and the postlog socket.
 * Never fails: what cannot be logged is lost. Uses no heap, so that it works when memory is out.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/span.h"

#define LOG_LINE_SIZE	2001

int log_verbose;

static struct {
	char tag[128];
	unsigned sinks;
	int facility;
	bool syslog_open;
	int postlog_fd;
	char postlog_path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char fallback[1024];
	char hostname[256];
	void (*hook)(enum log_level, const char *, void *);
	void *hook_arg;
	void (*cleanup)(void);
	int fatal_status;
	const char *console;
	bool ascii_only;
	struct {
		time_t second;
		char text[sizeof "Nov 25 02:32:06 "];
	} when;
	struct {			/* "host tag[pid]: "; n = 0: to be made again (another tag, a child after fork) */
		size_t n;
		char text[512];
	} who;
} state = { .postlog_fd = -1, .facility = LOG_MAIL, .sinks = LOG_TO_STDERR, .fatal_status = 1 };

static const struct {
	int priority;
	const char *prefix;
} levels[] = {
	[LOG_LEVEL_INFO] = { LOG_INFO, "" },
	[LOG_LEVEL_WARNING] = { LOG_WARNING, "warning: " },
	[LOG_LEVEL_ERROR] = { LOG_ERR, "error: " },
	[LOG_LEVEL_FATAL] = { LOG_CRIT, "fatal: " },
	[LOG_LEVEL_PANIC] = { LOG_CRIT, "panic: " },
};

static void forget_who(void) { state.who.n = 0; }

/* What stands before every line in the log file. */
static size_t
put_head(char *out)
{
	static bool registered;
	time_t now = time(NULL);

	if (!registered)
		registered = pthread_atfork(NULL, NULL, forget_who) == 0;
	if (now != state.when.second) {
		struct tm tm = {0};

		(void)localtime_r(&now, &tm);
		(void)strftime(state.when.text, sizeof state.when.text, "%b %d %H:%M:%S ", &tm);
		state.when.second = now;
	}
	if (state.who.n == 0) {
		(void)snprintf(state.who.text, sizeof state.who.text, "%s %s[%d]: ", state.hostname, state.tag, (int)getpid());
		state.who.n = strlen(state.who.text);
	}
	size_t n = strlen(state.when.text);

	memcpy(out, state.when.text, n);
	memcpy(out + n, state.who.text, state.who.n);
	return n + state.who.n;
}

void
log_init(const char *tag, unsigned sinks)
{
	log_set_tag(tag);
	log_set_sinks(sinks);
}

void
log_set_tag(const char *tag)
{
	(void)snprintf(state.tag, sizeof state.tag, "%s", tag);
	forget_who();
	if (state.syslog_open)
		openlog(state.tag, LOG_PID | LOG_NDELAY, state.facility);
}

void
log_set_sinks(unsigned sinks)
{
	state.sinks = sinks;
	if ((sinks & LOG_TO_SYSLOG) && !state.syslog_open) {
		openlog(state.tag, LOG_PID | LOG_NDELAY, state.facility);
		state.syslog_open = true;
	}
}

void log_set_console(const char *name) { state.console = name; }
unsigned log_sinks(void) { return state.sinks; }
const char *log_tag(void) { return state.tag; }
void log_set_utf8(bool on) { state.ascii_only = !on; }
void log_set_cleanup(void (*fn)(void)) { state.cleanup = fn; }
void log_set_fatal_status(int status) { state.fatal_status = status; }

bool
log_facility(const char *name, int *code)
{
	static const struct {
		const char *name;
		int code;
	} rows[] = {
		{ "auth", LOG_AUTH }, { "authpriv", LOG_AUTHPRIV }, { "cron", LOG_CRON }, { "daemon", LOG_DAEMON },
		{ "ftp", LOG_FTP }, { "kern", LOG_KERN }, { "lpr", LOG_LPR }, { "mail", LOG_MAIL }, { "news", LOG_NEWS },
		{ "syslog", LOG_SYSLOG }, { "user", LOG_USER }, { "uucp", LOG_UUCP }, { "local0", LOG_LOCAL0 },
		{ "local1", LOG_LOCAL1 }, { "local2", LOG_LOCAL2 }, { "local3", LOG_LOCAL3 }, { "local4", LOG_LOCAL4 },
		{ "local5", LOG_LOCAL5 }, { "local6", LOG_LOCAL6 }, { "local7", LOG_LOCAL7 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (strcmp(rows[i].name, name) == 0) {
			*code = rows[i].code;
			return true;
		}
	}
	return false;
}

void
log_set_facility(int facility)
{
	state.facility = facility;
	if (state.syslog_open)
		openlog(state.tag, LOG_PID | LOG_NDELAY, facility);
}

void
log_set_hook(void (*fn)(enum log_level, const char *, void *), void *arg)
{
	state.hook = fn;
	state.hook_arg = arg;
}

static bool
postlog_connect(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	if (state.postlog_fd >= 0)
		(void)close(state.postlog_fd);
	state.postlog_fd = -1;
	if (state.postlog_path[0] == '\0')
		return false;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct timeval patience = { 1, 0 };

	if (fd < 0)
		return false;
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	memcpy(sa.sun_path, state.postlog_path, sizeof sa.sun_path);
	if (connect(fd, (struct sockaddr *)&sa, sizeof sa) != 0) {
		(void)close(fd);
		return false;
	}
	state.postlog_fd = fd;
	return true;
}

void
log_set_postlog(const char *path, const char *hostname)
{
	(void)snprintf(state.postlog_path, sizeof state.postlog_path, "%s", path);
	(void)snprintf(state.hostname, sizeof state.hostname, "%.*s", (int)strcspn(hostname, "."), hostname);
	forget_who();
	(void)postlog_connect();
}

void
log_set_postlog_fallback(const char *file)
{
	(void)snprintf(state.fallback, sizeof state.fallback, "%s", file);
}

/* One line straight into the log file, whole or not at all as far as the kernel goes. */
static void
append_to_file(char *line, size_t n)
{
	int fd = open(state.fallback, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	if (fd < 0)
		return;
	line[n] = '\n';
	(void)!write(fd, line, n + 1);
	(void)close(fd);
}

static void
postlog_send(const char *line)
{
	char packet[sizeof state.when.text + sizeof state.who.text + LOG_LINE_SIZE];
	size_t head = put_head(packet), n = strlen(line), len = head + n;

	memcpy(packet + head, line, n);
	int flags = MSG_NOSIGNAL | (state.fallback[0] != '\0' ? MSG_DONTWAIT : 0);

	if (state.postlog_fd >= 0 && send(state.postlog_fd, packet, len, flags) >= 0)
		return;
	if (state.postlog_fd >= 0 && errno == EAGAIN && state.fallback[0] == '\0')
		return;
	if ((state.postlog_fd < 0 || errno != EAGAIN) && postlog_connect() &&
	    send(state.postlog_fd, packet, len, flags) >= 0)
		return;
	if (state.fallback[0] != '\0')
		append_to_file(packet, len);
}

static void
make_printable(char *line)
{
	bool utf8 = !state.ascii_only && span_valid_utf8(span_str(line));

	for (char *p = line; *p != '\0'; p++)
		if (!ascii_print(*p) && !(utf8 && ((unsigned char)*p & 0x80)))
			*p = '?';
}

static void
emit(enum log_level level, const char *fmt, va_list ap)
{
	int saved = errno;
	char line[LOG_LINE_SIZE];
	size_t n = strlen(levels[level].prefix);
	const char *base = strrchr(state.tag, '/');

	memcpy(line, levels[level].prefix, n);
	(void)vsnprintf(line + n, sizeof line - n, fmt, ap);
	make_printable(line);
	if (state.hook != NULL)
		state.hook(level, line, state.hook_arg);
	if (state.sinks & LOG_TO_STDERR)
		(void)fprintf(stderr, "%s: %s\n", state.console != NULL ? state.console : base == NULL ? state.tag : base + 1, line);
	if (state.sinks & LOG_TO_SYSLOG)
		syslog(levels[level].priority, "%s", line);
	if (state.sinks & LOG_TO_POSTLOG)
		postlog_send(line);
	errno = saved;
}

void
log_info(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit(LOG_LEVEL_INFO, fmt, ap);
	va_end(ap);
}

void
log_warning(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit(LOG_LEVEL_WARNING, fmt, ap);
	va_end(ap);
}

void
log_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit(LOG_LEVEL_ERROR, fmt, ap);
	va_end(ap);
}

void
log_debug(const char *fmt, ...)
{
	va_list ap;

	if (log_verbose == 0)
		return;
	va_start(ap, fmt);
	emit(LOG_LEVEL_INFO, fmt, ap);
	va_end(ap);
}

static void
run_cleanup(void)
{
	void (*fn)(void) = state.cleanup;

	state.cleanup = NULL;
	if (fn != NULL)
		fn();
}

_Noreturn void
log_fatal(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit(LOG_LEVEL_FATAL, fmt, ap);
	va_end(ap);
	run_cleanup();
	exit(state.fatal_status);
}

_Noreturn void
log_panic(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit(LOG_LEVEL_PANIC, fmt, ap);
	va_end(ap);
	run_cleanup();
	abort();
}

_Noreturn void
log_out_of_memory(void)
{
	log_fatal("out of memory");
}
