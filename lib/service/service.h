/*
 * service.h - what every service of master.cf starts with.
 *
 * master(8) executes the program once: that process is the *host*. It reads the configuration and its -o overrides,
 * runs .init (tables, keys, libraries: still with master's privileges), drops privileges (-u), enters its jail (-c)
 * and forks *workers* on demand up to the process limit. A worker accepts by itself:
 *
 *   SERVICE_SINGLE  one client at a time; .serve may block, every wait has a limit.
 *   SERVICE_EVENT   one loop, many clients; .start sets it up, .accepted gets each new connection.
 *
 * A worker ends after max_use clients, after max_idle seconds without one, or when its host retires (reload, stop,
 * end of master): at once when idle, after the current client otherwise.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef SERVICE_SERVICE_H
#define SERVICE_SERVICE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "io/loop.h"
#include "io/sock.h"
#include "io/stream.h"

enum service_kind { SERVICE_SINGLE, SERVICE_EVENT };

enum {
	SERVICE_PRIVILEGED = 1,		/* must be "unprivileged = n" in master.cf */
	SERVICE_ONE = 2,		/* process limit must be 1 */
	SERVICE_NO_LIMIT = 4,		/* process limit must be 0 */
	SERVICE_NO_RETIRE = 8,		/* max_use and max_idle do not apply (qmgr, verify, postlogd) */
};

/* What the service was started as; filled before .init. */
struct service_env {
	const char *name;		/* master.cf service name: "smtp", "587", "relay" */
	const char *transport;		/* master.cf type: "inet", "unix", "pass", "fifo", "unix-dgram" */
	const char *program;		/* base name of the command: "smtpd", "lmtp" */
	bool single_process;		/* process limit 1 */
	bool stand_alone;		/* -S: serve standard input and output once */
	int argc;			/* what stands in master.cf behind the skeleton's own options (pipe, spawn) */
	char **argv;
};
extern struct service_env service_env;

/* One client of a SERVICE_SINGLE worker. */
struct session {
	struct stream *peer;		/* closed by the skeleton */
	struct arena *mem;		/* dropped by the skeleton; .serve may arena_reset() it between requests */
	const struct sock_addr *client;	/* inet: peer and own address (for "pass": from the descriptor passed) */
	const struct sock_addr *server;
};

struct service {
	const char *name;		/* program name */
	enum service_kind kind;
	unsigned flags;			/* SERVICE_* */
	const char *options;		/* getopt letters beside the skeleton's own, or NULL */
	void (*option)(int letter, const char *value);
	void (*init)(void);		/* in the host, before privileges are dropped; may log_fatal */
	void (*worker_init)(void);	/* in each worker, first thing; may be NULL */
	bool (*tables_changed)(void);	/* asked between clients: true = restart to open the tables anew; may be NULL */
	void (*serve)(struct session *);			/* SERVICE_SINGLE */
	void (*start)(struct loop *);				/* SERVICE_EVENT; may be NULL */
	void (*accepted)(struct loop *, int fd);		/* SERVICE_EVENT: owns fd */
	void (*datagram)(struct loop *, int fd);		/* unix-dgram: fd is readable; not owned */
	void (*trigger)(struct loop *, struct span bytes);	/* type fifo: bytes that were written to it */
	void (*ending)(void);		/* in a worker that ends normally; may be NULL */
};

/* main() of a service: returns its exit status. */
int	service_main(const struct service *, int argc, char **argv);

/* SERVICE_EVENT: tell the skeleton that a client has come to its end, so that it can count (max_use) and idle out. */
void	service_client_done(void);
/* SERVICE_EVENT: what is kept in memory is of use for others: do not idle out while this is set. */
void	service_hold(bool);
/* SERVICE_EVENT, between requests: ask tables_changed() when a second has passed; ends the process if they did. */
void	service_check_tables(void);
/* SERVICE_SINGLE: a sign of life within a long session, for the watchdog (daemon_timeout). */
void	service_progress(void);
/* True when the host retires: a long-running .serve (waiting for a next request on a kept connection) should return.
 * service_retire_fd() becomes readable (hangup) at that moment. */
bool	service_retiring(void);
int	service_retire_fd(void);
/* Wait for input on a kept connection, at most ms; false: time is up, or the host retires and nothing has come. */
bool	service_wait_request(struct stream *, int ms);

#endif
