/*
 * files.h - postfix-files: what belongs to an installation, with owners and modes. Root's file, trusted, but never
 * a reason to crash.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef POSTFIX_FILES_H
#define POSTFIX_FILES_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/vec.h"

enum {
	FILE_KEEP = 1,		/* p: make install does not replace it */
	FILE_UPDATE = 2,	/* u: owner and mode are set by upgrade-permissions too */
	FILE_MAKE = 4,		/* c: a directory that create-missing makes */
	FILE_DEEP = 8,		/* r: owner and group for everything below */
	FILE_OBSOLETE = 16,	/* o: reported, never touched */
	FILE_OPTIONAL = 32,	/* 1: may be missing from other than the default configuration directory */
};

struct file_record {
	const char *path;		/* parameters replaced */
	const char *owner, *group;	/* NULL: leave it */
	char type;			/* d directory, f file, h hard link, l symbolic link */
	mode_t mode;			/* 0: leave it */
	unsigned flags;
};

struct files {
	struct arena *mem;
	struct vec records;	/* struct file_record, in file order */
};

/* Read meta_directory/postfix-files and postfix-files.d/. A secondary instance has only what is its own (configuration,
 * queue, data); what is installed nowhere ("no") is left out. Free also after an error. */
bool	files_load(struct files *, bool secondary, struct err *);
void	files_free(struct files *);

enum files_scope {
	FILES_MISSING,		/* make directories that are not there */
	FILES_UPGRADE,		/* and set owners and modes of FILE_UPDATE records */
	FILES_ALL,		/* ... of all */
};
/* Stops at the first failure; the error is what chown(1), chgrp(1), chmod(1), mkdir(1) say. */
bool	files_apply(const struct files *, enum files_scope, struct err *);

/* Paths of obsolete files that still exist, each with a blank before it. */
void	files_obsolete(const struct files *, struct buf *out);

#endif
