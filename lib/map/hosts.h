/*
 * hosts.h - the servers of a table: which to ask next, and which to leave alone for a while. Connections belong to the
 * table type; a forked process never uses those of its parent.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAP_HOSTS_H
#define MAP_HOSTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/vec.h"

enum host_state { HOST_UNTRIED, HOST_ACTIVE, HOST_FAILED };

struct host {
	char *name;		/* as configured */
	const char *where;	/* in name, behind "inet:" or "unix:" */
	bool local;		/* a UNIX socket: where is its path */
	enum host_state state;
	int64_t until;		/* clock_ms() when the connection is idle too long, or the failure forgotten */
	void *connection;	/* the type's own; NULL: none */
	bool tried;		/* for the present question */
};

struct hosts {
	struct vec list;	/* struct host * */
	int idle, retry;	/* seconds */
	void (*close)(void *connection);
	pid_t owner;
};

/* "unix:/path", "inet:host:port", "host:port", separated by blanks or commas; an address with "://" stays as it is.
 * A single one is listed twice: a server that was restarted is asked again at once. */
void	hosts_open(struct hosts *, const char *list, int idle_interval, int retry_interval, void (*close)(void *));
void	hosts_free(struct hosts *);

/* A new question: every host may be tried once more, those that failed when their time has come. */
void	hosts_start(struct hosts *);
/* Connected ones first (UNIX sockets before others), then untried ones, then failed ones; among equals one at random.
 * NULL: nobody is left. */
struct host *hosts_next(struct hosts *);
void	hosts_connected(struct hosts *, struct host *);		/* it answers */
void	hosts_failed(struct hosts *, struct host *);		/* closes its connection */

#endif
