/*
 * conn.h - one non-blocking peer of an event service: frames in, frames out, through the event loop.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef IPC_CONN_H
#define IPC_CONN_H

#include "io/loop.h"
#include "ipc/ipc.h"

struct conn;

struct conn_handler {
	size_t max;	/* largest frame accepted; 0 = IPC_MAX */
	/* A frame has come; payload is valid during the call. False: illegal here; logged, the connection is closed. */
	bool (*message)(struct conn *, enum ipc_kind, struct span payload);
	/* The peer has gone or misbehaved; the conn is freed after this returns. Not called by conn_close(). May be NULL. */
	void (*closed)(struct conn *);
};

/* Takes the descriptor over and makes it non-blocking. */
struct conn *conn_new(struct loop *, int fd, const struct conn_handler *, void *user);
void	*conn_user(const struct conn *);
void	conn_set_user(struct conn *, void *user);
/* Queue a frame; what can be written now is written now. A failed peer is noticed by the loop. */
void	conn_send(struct conn *, enum ipc_kind, const void *msg);
void	conn_close(struct conn **);	/* safe inside message(); NULL is fine */

#endif
