/*
 * type.h - what a table type implements; between the files of lib/map only. One row a type, in map_types.def.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAP_TYPE_H
#define MAP_TYPE_H

#include "base/arena.h"
#include "base/buf.h"
#include "map/map.h"

struct map {
	const struct map_type *type;
	char *spec;		/* "type:name" */
	const char *name;	/* in spec */
	unsigned flags;
	bool fixed;		/* keys are compared as a whole */
	char *why;		/* unavailable, and why; else NULL */
	void *state;		/* the type's own */
	unsigned uses;
	struct map *next;	/* all that are open */
};

enum {
	MAP_TYPE_FIXED = 1,		/* open may still clear map->fixed */
	MAP_TYPE_WRITABLE = 2,
	MAP_TYPE_CREATABLE = 4,		/* postmap(1) can build it from a file */
	MAP_TYPE_UNAUTH = 8,		/* refused with MAP_NO_UNAUTH */
	MAP_TYPE_HIDDEN = 16,		/* not to be named in main.cf */
};

struct map_type {
	const char *name;
	unsigned properties;
	/* Sets map->state; false: *e says why (the text of map_open_error()). close is not called then. */
	bool (*open)(struct map *, struct err *);
	void (*close)(struct map *);
	enum map_status (*get)(struct map *, struct span key, struct arena *, struct span *value, struct err *);
	enum map_status (*put)(struct map *, struct span key, struct span value, struct err *);
	enum map_status (*remove)(struct map *, struct span key, struct err *);
	enum map_status (*next)(struct map *, bool first, struct arena *, struct span *key, struct span *value, struct err *);
	bool (*finish)(struct map *, struct err *);
	bool (*changed)(const struct map *);
	void (*hold)(struct map *, bool on);	/* gets that follow each other at once may share one lock; NULL: nothing to share */
};

#define MAP_TYPE(name)	extern const struct map_type map_type_##name;
#include "map/map_types.def"
#undef MAP_TYPE

/* err_temp/err_perm for functions that return a status. */
#define MAP_TEMPORARY(...)	((void)err_temp(__VA_ARGS__), MAP_FAILED)
#define MAP_PERMANENT(...)	((void)err_perm(__VA_ARGS__), MAP_FAILED)

/* A table that only fails, for the reason given. Logs it unless map_set_quiet(). */
struct map *map_surrogate(const char *spec, const char *why);

/* Bytes without regard to case: ASCII, and with utf8 all of Unicode's simple case pairs. */
struct span map_fold(struct span key, bool utf8, struct arena *);

/* "%s: %s" of the file behind an index is newer: Postfix's warning, when the index is older than its source. */
void	map_warn_stale(const char *index_path, const char *source_path);

#endif
