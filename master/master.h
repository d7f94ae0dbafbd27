/*
 * master.h - services as master(8) runs them; private to master.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MASTER_MASTER_H
#define MASTER_MASTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/vec.h"
#include "conf/master_cf.h"
#include "io/loop.h"

/* One place where clients come: a socket or FIFO. Survives a reload when its key stays. */
struct endpoint {
	char *key;			/* "public/pickup", "127.0.0.1:25" */
	int fd;
	struct watch *watch;		/* while no host accepts */
	struct svc *svc;
	bool keep;			/* during a reload: wanted by the new table */
};

/* One running host process; its service may have gone meanwhile. */
struct host_process {
	pid_t pid;
	int status_fd;
	struct watch *watch;
	struct svc *svc;		/* NULL: removed or restarted since */
	char *key;			/* of the service that it was started for */
	bool ready, retiring;
	char *path;
	struct host_process *next;
};

struct svc {
	char *key;			/* "smtp/inet" */
	const struct master_service *def;
	struct vec endpoints;		/* of struct endpoint * */
	struct host_process *host;	/* the one that accepts now, or NULL */
	struct timer *throttle, *wakeup;
	bool used;
	bool found;			/* reload */
};

extern struct loop *master_loop;
extern bool master_stay_attached;	/* -d */
extern int master_verbose;

/* --- endpoint.c --- */
/* Open, or take over from the old table, every endpoint of the service. Fatal errors in *e. */
bool	endpoints_open(struct svc *, struct err *e);
void	endpoints_begin_reload(void);
void	endpoints_end_reload(void);	/* close what the new table does not want */
void	endpoint_wake(const struct svc *);	/* connect and write "W" */

/* --- table.c --- */
bool	table_load(bool reload, struct err *e);
void	table_each(void (*fn)(struct svc *));

/* --- child.c --- */
void	child_listen(struct svc *, bool on);	/* watch its endpoints for the first client */
void	child_retire(struct svc *);		/* no more new clients for its host; a successor may start */
void	child_reap(void);
void	child_start_wakeups(struct svc *);	/* now, and then in its time */
void	child_restart_wakeups(struct svc *);	/* after a reload: the same, for those whose host retires */
void	child_forget(struct svc *);
const char *child_program(const struct svc *, char *out, size_t size);

#endif
