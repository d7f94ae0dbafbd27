/*
 * attr.h - lists of name and value, each ended by NUL, a list ended by an empty name. The form in which third parties
 * talk to public/showq and public/flush; between our own programs messages go through ipc.h.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef IPC_ATTR_H
#define IPC_ATTR_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/span.h"
#include "io/stream.h"

#define ATTR_MAX	65536u		/* longest name or value that is taken */

/* value must hold no NUL: what follows one is lost. */
void	attr_put(struct stream *, const char *name, struct span value);
void	attr_put_number(struct stream *, const char *name, long value);
void	attr_end(struct stream *);		/* end of a list; does not flush */
/* First list of every such service: which protocol it speaks. */
void	attr_put_protocol(struct stream *, const char *protocol);

enum attr_status { ATTR_PAIR, ATTR_END, ATTR_FAILED };

/* Next pair, in arena memory. ATTR_END: the list ends here. ATTR_FAILED: connection lost, timeout, too long. */
enum attr_status attr_take(struct stream *, struct arena *mem, struct span *name, struct span *value);
/* The first list names that protocol and nothing else. */
bool	attr_expect_protocol(struct stream *, const char *protocol);

#endif
