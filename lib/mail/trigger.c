/*
 * trigger.c - one-way wake-ups.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf.h"
#include "io/sock.h"
#include "mail/trigger.h"

/* A descriptor to write to, without waiting; -1 when nobody is there. */
static int
open_endpoint(const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0 && S_ISFIFO(st.st_mode))
		return open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	return sock_connect_unix(path, (int64_t)conf.trigger_timeout * 1000, NULL);
}

static bool
put(int fd, const char *p, size_t n)
{
	ssize_t sent = send(fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (sent < 0 && errno == ENOTSOCK)
		sent = write(fd, p, n);
	return sent == (ssize_t)n;
}

bool
trigger_send(const char *class, const char *service, const char *bytes)
{
	char path[256];

	(void)snprintf(path, sizeof path, "%s/%s", class, service);
	int fd = open_endpoint(path);

	if (fd < 0)
		return false;
	/* One that has closed the connection before it read anything, as pickup(8) may, is awake all the same. */
	bool ok = put(fd, bytes, strlen(bytes)) || errno == EPIPE || errno == ECONNRESET;

	(void)close(fd);
	return ok;
}

static bool __attribute__((format(printf, 1, 2)))
send_line(const char *fmt, ...)
{
	char line[300];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(line, sizeof line, fmt, ap);

	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof line) {
		errno = ENAMETOOLONG;
		return false;
	}
	return trigger_send("public", conf.queue_service_name, line);
}

bool trigger_retry_message(const char *id) { return send_line("R%s\n", id); }
bool trigger_suspend(const char *destination, int seconds) { return send_line("S%d %s\n", seconds, destination); }
bool trigger_resume(const char *destination) { return send_line("U%s\n", destination); }

void
trigger_new_message(const char *id)
{
	static int fd = -1;
	char path[256], line[300];
	int n = snprintf(line, sizeof line, "N%s\n", id);

	if (fd >= 0 && put(fd, line, (size_t)n))
		return;
	if (fd >= 0)
		(void)close(fd);
	(void)snprintf(path, sizeof path, "public/%s", conf.queue_service_name);
	fd = open_endpoint(path);
	if (fd >= 0)
		(void)put(fd, line, (size_t)n);
}
