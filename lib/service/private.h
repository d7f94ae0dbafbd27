/*
 * private.h - shared by the files of lib/service only.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef SERVICE_PRIVATE_H
#define SERVICE_PRIVATE_H

#include <stdatomic.h>
#include <sys/types.h>

#include "service/service.h"

enum slot_state { SLOT_FREE, SLOT_IDLE, SLOT_BUSY };

/* One worker, in memory shared by the host and all its workers. */
struct slot {
	_Atomic int state;
	_Atomic unsigned clients;	/* accepted so far */
	_Atomic pid_t pid;
	_Atomic int64_t working_since;	/* clock_ms() of the last sign of life while it works; 0 = it waits for work */
};

#define SERVICE_NO_LIMIT_WORKERS	32768u	/* stands for "no limit" */
#define SERVICE_LIMIT_MAX		1000000u

struct host {
	const struct service *svc;
	struct slot *slots;
	size_t nslots;			/* process limit */
	_Atomic size_t *used_slots;	/* slots above were never used; in memory shared with all workers */
	int *listen_fds;
	size_t nlisten;
	int wake_fd;			/* eventfd: a worker says that none is idle now */
	int retire_pipe[2];		/* workers watch [0]; the host closes [1] to retire them */
	bool worker_seccomp;
};

/* What the command line said. */
struct service_options {
	bool unprivileged, chroot, no_limit, foreground, debug;
	bool stress_capable;		/* master gave "-o stress=" */
	size_t nlisten, limit;
	int max_use, max_idle;		/* 0 = from main.cf */
};
extern struct service_options service_options;

void	options_parse(const struct service *, int argc, char **argv);
/* conf_load(), and what the numbers would be under stress. */
bool	stress_load(struct err *);
void	stress_set(bool on);		/* for workers forked from now on */
void	jail_enter(void);		/* drop privileges and chroot as the options say */
_Noreturn void host_run(struct host *);
_Noreturn void worker_run(struct host *, struct slot *);
/* A client's connection; from a "pass" service together with what the passing process knows of it. */
struct client {
	int fd;				/* -1 = none */
	int via;			/* kept open until the session ends; -1 = none */
	struct sock_addr peer, own;	/* len 0 = ask the socket */
};
void	session_serve(const struct service *, const struct client *);	/* blocking */
/* Take over what comes through a connection to a "pass" service. */
void	client_receive(int via, struct client *);

#endif
