/*
 * flow.h - tokens that let mail in as fast as it goes out (in_flow_delay). master makes a pipe that all services
 * inherit: qmgr puts a token in for each message that it takes from incoming, cleanup takes one out for each that it
 * lets in. Input is slowed when none is left, never stopped.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef SERVICE_FLOW_H
#define SERVICE_FLOW_H

#include <stdbool.h>
#include <stddef.h>

/* Take one. False: none is left. Without the pipe (a program started by hand): true. */
bool	flow_take(void);
void	flow_give(size_t n);
void	flow_fill(size_t limit);	/* so many shall be there at least */

#endif
