/*
 * replace.h - a configuration file rewritten as a whole: into FILE.tmp, locked against others who do the same, made
 * durable and renamed. The file keeps its mode and, when we may give files away, its owner.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef IO_REPLACE_H
#define IO_REPLACE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

struct replace {
	char *path, *temporary;
	int fd;			/* of the temporary file, locked; -1 when not begun */
};

/* Lock and read. *old gets the whole content. False: nothing is left behind. "open X for reading: ..." */
bool	replace_begin(struct replace *, const char *path, struct buf *old, struct err *);
/* The new content takes the file's place. False: the old file is as it was, the temporary file is removed. */
bool	replace_commit(struct replace *, struct span text, struct err *);
/* Remove the temporary file. Harmless after a commit. */
void	replace_abandon(struct replace *);

#endif
