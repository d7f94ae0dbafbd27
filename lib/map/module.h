/*
 * module.h - table types in files of their own (postfix-sqlite.so ...), loaded when a table names such a type.
 * dynamicmaps.cf and dynamicmaps.cf.d/NAME.cf in meta_directory say which file has which type, in Postfix's form:
 * "type file function [function]"; the functions are those of Postfix's own modules and are not called.
 *
 * A module is code: it is only taken from a file and a directory that nobody but root (rootless: the one user) can
 * write, and only when it says that it was made for this program (MAP_MODULE_SYMBOL).
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAP_MODULE_H
#define MAP_MODULE_H

#include "base/vec.h"
#include "map/type.h"

/* Counts up with every change to what a module sees: struct map, struct map_type, query.h, module_api.def. */
#define MAP_MODULE_ABI		3
#define MAP_MODULE_SYMBOL	"posthaste_map_module_1"

struct map_module {
	unsigned abi;			/* MAP_MODULE_ABI */
	unsigned map_size;		/* sizeof (struct map) + sizeof (struct map_type) */
	const struct map_type *type;
};

#define MAP_MODULE_SIZE		((unsigned)(sizeof(struct map) + sizeof(struct map_type)))

/* What a module exports, and all that it exports. */
extern const struct map_module posthaste_map_module_1 __attribute__((visibility("default")));

/* The type of this name, loaded now if need be. NULL: none; *e says more when there is more to say, else is untouched. */
const struct map_type *module_type(struct span name, struct err *e);
/* Names in dynamicmaps.cf, char *; not sorted, present or not. Lives until the end of the process. */
const struct vec *module_names(void);

/* Functions that modules may call: made part of every program that opens tables. */
extern const void *const module_api[];

#endif
