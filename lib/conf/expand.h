/*
 * expand.h - $name, ${name?text}, ${name?{a}:{b}}, ${{x} op {y} ? {a} : {b}}: one language for main.cf
 * values, bounce templates, pipe(8) commands and reply texts. The caller knows the names.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef CONF_EXPAND_H
#define CONF_EXPAND_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/span.h"

enum expand_mode {
	EXPAND_USE,	/* the value goes into the result */
	EXPAND_TEST,	/* the name stands in a condition: ${name?..} */
};

enum expand_status {
	EXPAND_OK = 0,
	EXPAND_UNDEFINED = 1,	/* some name had no value; the result has nothing in its place */
	EXPAND_ERROR = 2,	/* syntax: a warning was logged, the result is not to be used */
};

/* Value of a name, NULL when undefined. valid until the next call. */
typedef const char *expand_lookup(const char *name, enum expand_mode, void *arg);

enum {
	EXPAND_RECURSE = 1,	/* $name inside values is expanded too, at most 100 deep */
	EXPAND_KEEP_UNDEFINED = 2,	/* unknown $name stays as written */
	EXPAND_SCAN = 4,		/* only to learn the names: both branches are read, nothing is compared */
	EXPAND_QUIET = 8,		/* errors are not logged */
};

/* Appends to *out. Status bits of enum expand_status. */
unsigned expand(struct span text, unsigned flags, expand_lookup *, void *arg, struct buf *out);

#endif
