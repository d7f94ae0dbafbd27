/*
 * map.h - lookup tables "type:name". Handles of the same table and flags are shared within the process;
 * a host opens tables before it forks its workers. Table content is untrusted bytes for whoever gets it.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAP_MAP_H
#define MAP_MAP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/span.h"

struct arena;
struct map;

enum map_status { MAP_FOUND, MAP_NOT_FOUND, MAP_FAILED };

enum {	/* how a table is used */
	MAP_FOLD = 1 << 0,		/* keys without regard to case (tables with fixed keys) */
	MAP_UTF8 = 1 << 1,		/* keys and values must be UTF-8 (when smtputf8_enable = yes) */
	MAP_WRITE = 1 << 2,		/* map_put, map_delete */
	MAP_CREATE = 1 << 3,		/* with MAP_WRITE: make the file when it is missing */
	MAP_TRUNCATE = 1 << 4,		/* with MAP_CREATE: replace the whole content; visible at map_finish */
	MAP_NO_SUBSTITUTE = 1 << 5,	/* refuse $1 in regexp and pcre results */
	MAP_NO_PROXY = 1 << 6,		/* open what stands behind "proxy:" directly */
	MAP_NO_UNAUTH = 1 << 7,		/* refuse tcp, socketmap, memcache */
	MAP_DUP_WARN = 1 << 8,		/* map_put of a key that is there: warn, keep the old */
	MAP_DUP_IGNORE = 1 << 9,	/* ... keep the old silently */
	MAP_DUP_REPLACE = 1 << 10,	/* ... take the new */
	MAP_WITH_NUL = 1 << 11,		/* store keys and values with a NUL (postmap -N) */
	MAP_WITHOUT_NUL = 1 << 12,	/* ... without (postmap -n) */
	MAP_BULK = 1 << 17,		/* with MAP_CREATE: all changes become visible together, at map_finish */
	MAP_EMPTY_KEYS = 1 << 16,	/* ask the table for the empty key, too */
	MAP_FILES = 1 << 13,		/* values are base64 of files (postmap -F): map_get returns the content */
};

/* local(8), virtual(8): answers decide where mail is written. */
#define MAP_PARANOID	(MAP_NO_SUBSTITUTE | MAP_NO_PROXY | MAP_NO_UNAUTH)

/*
 * Never NULL. A table that cannot be opened logs "error: ..." once (see map_set_quiet) and then
 * answers MAP_FAILED, with a warning "TYPE:NAME is unavailable. REASON" each time.
 */
struct map *map_open(const char *spec, unsigned flags);
void	map_close(struct map **);		/* drops one use */

/* Why the table is unavailable ("open database x.lmdb: No such file or directory"), NULL when it is fine. */
const char *map_open_error(const struct map *);
/* true: map_open logs nothing; the command shows map_open_error() and ends. Returns the old setting. */
bool	map_set_quiet(bool quiet);

/* The value, in arena memory. MAP_FAILED: *e has the reason (temporary or permanent). An empty key is not found
 * but with MAP_EMPTY_KEYS. */
enum map_status map_get(struct map *, struct span key, struct arena *mem, struct span *value, struct err *e);
/* Between on and off, which follow each other without any wait, a table that is locked for each map_get() may stay locked. */
void	map_hold(struct map *, bool on);

/* Update; key and value are stored folded and with NUL as flags say. MAP_FOUND: a duplicate was kept or replaced;
 * MAP_NOT_FOUND: new. The table must be open with MAP_WRITE. */
enum map_status map_put(struct map *, struct span key, struct span value, struct err *e);
enum map_status map_delete(struct map *, struct span key, struct err *e);
/* Entry by entry, in the table's own order; first = true starts over. MAP_NOT_FOUND at the end. */
enum map_status map_next(struct map *, bool first, struct arena *mem, struct span *key, struct span *value,
	    struct err *e);

/* Make what was written durable and, after MAP_TRUNCATE, visible at once. Without it map_close drops a rebuild. */
bool	map_finish(struct map *, struct err *e);

/* The file was replaced or changed since it was opened: the process should restart. */
bool	map_changed(const struct map *);

const char *map_spec(const struct map *);		/* "lmdb:/etc/postfix/virtual" */
const char *map_type_name(const struct map *);
/* Keys are compared as a whole: partial keys (domains, users) make sense. False for regexp, pcre, cidr, tcp ... */
bool	map_has_fixed_keys(const struct map *);
bool	map_is_read_only(const struct map *);		/* the type cannot be written */

/* "texthash:/x", not "[::1]:25": letters and digits, a colon, something. */
bool	map_spec_is_table(struct span text);

/* Type names of this build, sorted; NULL behind the last. */
const char *const *map_types(void);
/* The type can be created by postmap(1) / is known at all. */
bool	map_type_known(struct span type);
bool	map_type_creatable(struct span type);

#endif
