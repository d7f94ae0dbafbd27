/*
 * index.h - what lmdb, hash, btree and cdb files have in common: a rebuild is collected in memory, written to
 * FILE.tmp, made durable and renamed; a NUL may stand behind keys and values; shared and exclusive locks.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAP_INDEX_H
#define MAP_INDEX_H

#include <sys/types.h>
#include <time.h>

#include "map/type.h"

struct index_entry {
	struct span key, value;		/* as stored: with NUL if so */
	bool gone;		/* removed */
	bool replace;		/* put after it was removed */
};

struct index {
	char *path;		/* of the index file, as messages name it */
	char *target;		/* where it really is, behind a symbolic link; NULL: at path */
	bool try_nul, try_plain;	/* forms of the key that lookups try; the first that hits stays */
	dev_t dev;		/* of the file that is open */
	ino_t ino;
	struct timespec mtime;
	int fd;			/* of the open file, not owned; -1 none */
	struct stage *stage;	/* collecting a rebuild, else NULL */
	char *temporary;
	int lock;		/* open on the temporary file, locked; -1 none */
	bool direct;		/* the temporary file is only locked, the old one is changed */
	char write_path[64];	/* the temporary file again, by descriptor: nobody can put another in its place */
};

/*
 * Prepare: path is the table's name and the suffix. With MAP_TRUNCATE begins a rebuild. A symbolic link is followed when
 * this user or root made it; who writes refuses that of another.
 */
bool	index_open(struct index *, const struct map *, const char *suffix, bool nul_by_default, struct err *);
void	index_close(struct index *);
/* The index file was opened as fd: remember which it is. */
void	index_opened(struct index *, int fd);
bool	index_changed(const struct index *, bool by_mtime);
/* The file that was opened is still the table, and another process wrote into it. */
bool	index_rewritten(const struct index *);

/* Begin to collect: what index_open does with MAP_TRUNCATE. file: a new one will be written and renamed. */
bool	index_collect(struct index *, const struct map *, bool file, bool nul_by_default, struct err *);
/*
 * Begin a change of the table, its file locked against other changes until index_close(). copy: the new file is a copy of the
 * old one, to be renamed by index_commit(). Else the old one is to be changed, under its exclusive lock: index_in_place().
 */
bool	index_begin(struct index *, bool copy, struct err *);
/* Rebuild: add with the rules of MAP_DUP_*; label for the warning. Then the entries, and the end. */
enum map_status index_stage(struct index *, const struct map *, const char *label, struct span key, struct span value);
/* While collecting: the key goes, a later one of that name replaces. */
enum map_status index_unstage(struct index *, struct span key);
/*
 * True: index_begin() was told so, or no file can be made in that directory but the old one can be written. Its owner keeps
 * his tables up to date so.
 */
bool	index_in_place(const struct index *);
/* What the library of the type is to open for writing: the new file, or the old one in place. */
const char *index_write_path(const struct index *);
struct index_entry *index_staged(struct index *, bool sorted, size_t *n, size_t *bytes);
bool	index_commit(struct index *, struct err *);	/* in place: only the end */

/* The stored form of a key or value. */
struct span index_form(struct span, bool nul, struct arena *);
bool	index_writes_nul(const struct index *);
struct span index_unform(struct span stored);	/* without one trailing NUL */

#endif
