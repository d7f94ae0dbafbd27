/*
 * status.h - the descriptors that a service starts with, and what its host tells master(8) over descriptor SERVICE_STATUS_FD, one struct a message.
 * master closes its end to make the host retire; the kernel does so when master dies.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef SERVICE_STATUS_H
#define SERVICE_STATUS_H

#include <stdint.h>

enum {
	SERVICE_FLOW_READ_FD = 3,	/* pipe of flow.h, not blocking; both ends in every service */
	SERVICE_FLOW_WRITE_FD = 4,
	SERVICE_STATUS_FD = 5,		/* stream socket to master */
	SERVICE_LISTEN_FD = 6,		/* first of -s N listening sockets */
};

enum status_kind {
	STATUS_READY = 1,		/* initialised: a later death is not a bad start */
	STATUS_RETIRING,		/* accepts no more; master may start a successor at once */
	STATUS_WORKER_DIED,		/* pid and wait status of a worker that ended badly */
	STATUS_LIMIT,			/* the process limit is reached and clients wait */
	STATUS_USED,			/* the first client was accepted (wake-up "?" timers start) */
};

struct status_msg {
	uint32_t kind;
	int32_t pid, wait_status;
};

/* Exit status of a worker, or a host, that wants its tables opened anew. Not an error. */
#define SERVICE_EXIT_RESTART	3

#endif
