/*
 * peer.h - connections to servers of lookup tables (tcp:, socketmap:, memcache:) and to policy servers. One a server and process, shared by
 * all tables that name it, kept open, never used by another process than the one that made it.
 * What a server says is untrusted: each reader has its own limits.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAP_PEER_H
#define MAP_PEER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/span.h"
#include "io/stream.h"

struct peer {
	char *where;		/* "host:port" or a path, as configured */
	char *host, *service;	/* NULL: a UNIX socket; host "" is this host */
	struct stream *stream;	/* NULL: not connected */
	pid_t owner;
	int64_t opened, used;	/* clock_ms() */
	unsigned uses;
	unsigned requests;	/* on this connection; the user counts them */
	struct peer *next;
};

/* Shared settings of servers without a parameter for it; only tests change them. */
extern int peer_answer_seconds;		/* the longest that one question may take */
extern int peer_pause_ms;		/* between attempts */

/* "host:port", "[host]:port", "port". NULL and *e: "X: garbage after numerical service". */
struct peer *peer_open_inet(const char *where, struct err *e);
struct peer *peer_open_unix(const char *path);
/* "inet:host:port" or "unix:path": "need service transport:endpoint instead of ..", "invalid transport name: ..". */
struct peer *peer_open(const char *endpoint, struct err *e);
void	peer_close(struct peer **);		/* drops one use */

/*
 * Connect when needed; the answer to what is asked next must be complete within ms. False: the reason was logged as
 * "connect to WHAT host:port: REASON" (what: "TCP map " or ""), and is errno.
 */
bool	peer_connect(struct peer *, const char *what, int64_t ms);
/* A connection of the caller's own: "host:port", "[host]:port" or, local, a path. -1: the reason is errno. */
int	peer_dial(const char *where, bool local, int64_t ms);

/* The connection is of no use any more; the next peer_connect makes a new one. */
void	peer_drop(struct peer *);

#endif
