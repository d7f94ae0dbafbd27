/*
 * sock.h - sockets: UNIX and inet, connecting with a time limit, passing descriptors, addresses as text.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef IO_SOCK_H
#define IO_SOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/span.h"

/* An inet address in both forms. IPv4-mapped IPv6 is stored as IPv4. */
struct sock_addr {
	struct sockaddr_storage sa;
	socklen_t len;			/* 0 = unknown or not inet */
	char host[64];			/* "192.0.2.1", "2001:db8::1"; "unknown" */
	char port[8];			/* "25"; "" when unknown */
};

void	sock_addr_set(struct sock_addr *, const struct sockaddr *, socklen_t);
bool	sock_addr_parse(struct span host, uint16_t port, struct sock_addr *);	/* numeric only; no brackets */
bool	sock_peer(int fd, struct sock_addr *);		/* getpeername; false: UNIX socket or error */
bool	sock_local(int fd, struct sock_addr *);		/* getsockname */

/* Non-blocking, close-on-exec listening sockets. -1 and *e on failure. */
int	sock_listen_inet(const struct sock_addr *, int backlog, struct err *e);
int	sock_listen_unix(const char *path, int type, int backlog, struct err *e);	/* replaces an old socket; mode 0666 */

/* Blocking sockets. -1 and *e (with errno kept). timeout_ms 0 = the kernel's. bind_to may be NULL. */
int	sock_connect_inet(const struct sock_addr *to, const struct sock_addr *bind_to, int64_t timeout_ms, struct err *e);
/* How much may wait in the kernel that was not sent yet. Without a limit it takes megabytes, and a writer that waits for room is
 * woken only when a third of that has gone: a peer that takes little by little looks like one that takes nothing. */
void	sock_limit_unsent(int fd, int bytes);
/* Can the address (port 0) be the source of a connection? */
bool	sock_may_bind(const struct sock_addr *, struct err *);
int	sock_connect_unix(const char *path, int64_t timeout_ms, struct err *e);
/* The same by a client that has a name, which the server sees before a single byte was sent. NULL: without. */
int	sock_connect_unix_as(const char *name, const char *path, int64_t timeout_ms, struct err *e);
/* Abstract names (unix(7)) of UNIX sockets; a name is text of fewer than SOCK_NAME_MAX bytes. False: errno, or no such name. */
#define SOCK_NAME_MAX	100
bool	sock_set_name(int fd, const char *name);
bool	sock_peer_name(int fd, char out[SOCK_NAME_MAX]);

bool	sock_send_fd(int via, int fd);			/* one byte 'F' travels with it */
int	sock_receive_fd(int via);			/* -1 on EOF or error */
bool	fd_set_nonblocking(int fd, bool on);

#endif
