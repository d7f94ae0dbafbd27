/*
 * sock.c - socket helpers.
 *
 * SPDX-License-Identifier: ISC
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "io/sock.h"

static void
unmap_v4(struct sockaddr_storage *sa, socklen_t *len)
{
	struct sockaddr_in6 six;

	memcpy(&six, sa, sizeof six);
	if (sa->ss_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&six.sin6_addr))
		return;
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = six.sin6_port };

	memcpy(&four.sin_addr, &six.sin6_addr.s6_addr[12], 4);
	memset(sa, 0, sizeof *sa);
	memcpy(sa, &four, sizeof four);
	*len = sizeof four;
}

void
sock_addr_set(struct sock_addr *a, const struct sockaddr *sa, socklen_t len)
{
	*a = (struct sock_addr){ .host = "unknown" };
	if (len > sizeof a->sa || (sa->sa_family != AF_INET && sa->sa_family != AF_INET6))
		return;
	memcpy(&a->sa, sa, len);
	a->len = len;
	unmap_v4(&a->sa, &a->len);

	struct sockaddr_in four;
	struct sockaddr_in6 six;

	memcpy(&four, &a->sa, sizeof four);
	memcpy(&six, &a->sa, sizeof six);
	bool v4 = a->sa.ss_family == AF_INET;

	(void)inet_ntop(a->sa.ss_family, v4 ? (void *)&four.sin_addr : (void *)&six.sin6_addr, a->host, sizeof a->host);
	(void)snprintf(a->port, sizeof a->port, "%u", ntohs(v4 ? four.sin_port : six.sin6_port));
}

bool
sock_addr_parse(struct span host, uint16_t port, struct sock_addr *out)
{
	char text[64];
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

	if (host.n == 0 || host.n >= sizeof text || span_has(host, '\0'))
		return false;
	memcpy(text, host.p, host.n);
	text[host.n] = '\0';
	if (inet_pton(AF_INET, text, &four.sin_addr) == 1)
		sock_addr_set(out, (struct sockaddr *)&four, sizeof four);
	else if (inet_pton(AF_INET6, text, &six.sin6_addr) == 1)
		sock_addr_set(out, (struct sockaddr *)&six, sizeof six);
	else
		return false;
	return true;
}

static bool
ask(int (*which)(int, struct sockaddr *, socklen_t *), int fd, struct sock_addr *a)
{
	struct sockaddr_storage sa = {0};
	socklen_t len = sizeof sa;

	*a = (struct sock_addr){ .host = "unknown" };
	if (which(fd, (struct sockaddr *)&sa, &len) != 0)
		return false;
	sock_addr_set(a, (struct sockaddr *)&sa, len);
	return a->len > 0;
}

bool sock_peer(int fd, struct sock_addr *a) { return ask(getpeername, fd, a); }
bool sock_local(int fd, struct sock_addr *a) { return ask(getsockname, fd, a); }

bool
fd_set_nonblocking(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) == 0;
}

static int
fail_close(int fd)
{
	int saved = errno;

	(void)close(fd);
	errno = saved;
	return -1;
}

int
sock_listen_inet(const struct sock_addr *a, int backlog, struct err *e)
{
	int on = 1;
	int fd = socket(a->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0) {
		(void)err_temp(e, "socket: %s", strerror(errno));
		return -1;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (a->sa.ss_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	if (bind(fd, (const struct sockaddr *)&a->sa, a->len) != 0) {
		(void)err_perm(e, "bind %s port %s: %s", a->host, a->port, strerror(errno));
		return fail_close(fd);
	}
	if (listen(fd, backlog) != 0) {
		(void)err_perm(e, "listen: %s", strerror(errno));
		return fail_close(fd);
	}
	return fd;
}

static bool
unix_address(const char *path, struct sockaddr_un *sa, struct err *e)
{
	*sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof sa->sun_path) {
		errno = ENAMETOOLONG;
		return err_perm(e, "unix-domain name too long: %s", path);
	}
	memcpy(sa->sun_path, path, strlen(path));
	return true;
}

int
sock_listen_unix(const char *path, int type, int backlog, struct err *e)
{
	struct sockaddr_un sa;
	struct stat st;

	if (!unix_address(path, &sa, e))
		return -1;
	if (lstat(path, &st) == 0 && (S_ISSOCK(st.st_mode) || S_ISFIFO(st.st_mode)))
		(void)unlink(path);
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0) {
		(void)err_temp(e, "socket: %s", strerror(errno));
		return -1;
	}
	if (bind(fd, (struct sockaddr *)&sa, sizeof sa) != 0) {
		(void)err_perm(e, "bind: %s: %s", path, strerror(errno));
		return fail_close(fd);
	}
	if (chmod(path, 0666) != 0 || (type != SOCK_DGRAM && listen(fd, backlog) != 0)) {
		(void)err_perm(e, "listen: %s: %s", path, strerror(errno));
		return fail_close(fd);
	}
	return fd;
}

/* connect() on a socket that is made non-blocking for the time of it. */
static bool
connect_within(int fd, const struct sockaddr *sa, socklen_t len, int64_t timeout_ms)
{
	if (timeout_ms == 0)
		return connect(fd, sa, len) == 0;
	struct timeval tv = { timeout_ms / 1000, (timeout_ms % 1000) * 1000 };

	/* On Linux SO_SNDTIMEO also limits connect(). The stream sets its own value afterwards. */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
	if (connect(fd, sa, len) == 0) {
		tv = (struct timeval){0};
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
		return true;
	}
	if (errno == EINPROGRESS || errno == EAGAIN)
		errno = ETIMEDOUT;
	return false;
}

int
sock_connect_inet(const struct sock_addr *to, const struct sock_addr *bind_to, int64_t timeout_ms, struct err *e)
{
	int on = 1;
	int fd = socket(to->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0) {
		(void)err_temp(e, "socket: %s", strerror(errno));
		return -1;
	}
	if (bind_to != NULL && bind(fd, (const struct sockaddr *)&bind_to->sa, bind_to->len) != 0) {
		(void)err_temp(e, "bind %s: %s", bind_to->host, strerror(errno));
		return fail_close(fd);
	}
	if (!connect_within(fd, (const struct sockaddr *)&to->sa, to->len, timeout_ms)) {
		(void)err_temp(e, "%s", strerror(errno));
		return fail_close(fd);
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return fd;
}

/* An abstract name begins with a NUL byte and has no other. */
bool
sock_set_name(int fd, const char *name)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	size_t n = strlen(name);

	if (n >= SOCK_NAME_MAX) {
		errno = ENAMETOOLONG;
		return false;
	}
	memcpy(sa.sun_path + 1, name, n);
	return bind(fd, (struct sockaddr *)&sa, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n)) == 0;
}

bool
sock_peer_name(int fd, char out[SOCK_NAME_MAX])
{
	struct sockaddr_un sa = {0};
	socklen_t len = sizeof sa;
	const size_t before = offsetof(struct sockaddr_un, sun_path) + 1;

	if (getpeername(fd, (struct sockaddr *)&sa, &len) != 0 || sa.sun_family != AF_UNIX || len <= before || sa.sun_path[0] != '\0' ||
	    len - before >= SOCK_NAME_MAX)
		return false;
	memcpy(out, sa.sun_path + 1, len - before);
	out[len - before] = '\0';
	return true;
}

void
sock_limit_unsent(int fd, int bytes)
{
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof bytes);
}

bool
sock_may_bind(const struct sock_addr *to, struct err *e)
{
	int fd = socket(to->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok = fd >= 0 && bind(fd, (const struct sockaddr *)&to->sa, to->len) == 0;

	if (!ok)
		(void)err_temp(e, "bind %s: %s", to->host, strerror(errno));
	if (fd >= 0)
		(void)close(fd);
	return ok;
}

int
sock_connect_unix(const char *path, int64_t timeout_ms, struct err *e)
{
	return sock_connect_unix_as(NULL, path, timeout_ms, e);
}

int
sock_connect_unix_as(const char *name, const char *path, int64_t timeout_ms, struct err *e)
{
	struct sockaddr_un sa;

	if (!unix_address(path, &sa, e))
		return -1;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0) {
		(void)err_temp(e, "socket: %s", strerror(errno));
		return -1;
	}
	if ((name != NULL && !sock_set_name(fd, name)) || !connect_within(fd, (struct sockaddr *)&sa, sizeof sa, timeout_ms)) {
		(void)err_temp(e, "connect to %s: %s", path, strerror(errno));
		return fail_close(fd);
	}
	return fd;
}

bool
sock_send_fd(int via, int fd)
{
	char byte = 'F';
	struct iovec iov = { &byte, 1 };
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.room,
			      .msg_controllen = sizeof control.room };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof fd);
	return sendmsg(via, &msg, MSG_NOSIGNAL) == 1;
}

int
sock_receive_fd(int via)
{
	char byte;
	struct iovec iov = { &byte, 1 };
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.room,
			      .msg_controllen = sizeof control.room };
	int fd = -1;

	if (recvmsg(via, &msg, MSG_CMSG_CLOEXEC) != 1)
		return -1;
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(c), sizeof fd);
	return fd;
}
