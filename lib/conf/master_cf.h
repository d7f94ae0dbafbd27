/*
 * master_cf.h - master.cf as a list of services.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef CONF_MASTER_CF_H
#define CONF_MASTER_CF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/span.h"

struct arena;

enum master_type {
	MASTER_INET,
	MASTER_UNIX,
	MASTER_FIFO,
	MASTER_UNIX_DGRAM,
	MASTER_PASS,
};

enum {
	MASTER_FIELD_NAME, MASTER_FIELD_TYPE, MASTER_FIELD_PRIVATE, MASTER_FIELD_UNPRIV, MASTER_FIELD_CHROOT,
	MASTER_FIELD_WAKEUP, MASTER_FIELD_MAXPROC, MASTER_FIELD_COMMAND, MASTER_FIELDS,
};

#define MASTER_MAXPROC_DEFAULT	(-1)	/* "-": default_process_limit */

struct master_service {
	const char *field[MASTER_FIELDS];	/* as written, without the arguments */
	const char *name;
	enum master_type type;
	bool private, unprivileged, chroot;
	bool chroot_by_level;			/* chroot because of "-" and an old compatibility_level */
	int wakeup;				/* seconds; 0 never */
	bool wakeup_if_used;			/* "?": only after the first client */
	int maxproc;				/* 0 no limit, or MASTER_MAXPROC_DEFAULT */
	const char *command;
	size_t argc;				/* arguments behind the command; "-o { a = b }" is "-o", "a = b" */
	const char **argv;			/* NULL behind the last */
	unsigned line;				/* first physical line */
};

struct master_cf {
	char *path;
	struct arena *mem;
	struct master_service *service;
	size_t n;
};

/* Read "DIRECTORY/master.cf". Errors have Postfix's texts ("PATH: line 7: missing "chroot" field").
 * old_level: compatibility_level is below 1, where chroot "-" means yes. Free also after an error. */
bool	master_cf_load(struct master_cf *, const char *directory, bool old_level, struct err *);
void	master_cf_free(struct master_cf *);

/* One logical line; *s must be zeroed. Texts live in the arena. */
bool	master_cf_parse(struct span line, const char *path, unsigned number, bool old_level, struct arena *,
	    struct master_service *s, struct err *);

/* Split the 8 fields and the arguments of one logical line into arena memory, checking nothing but braces:
 * *words gets *n entries. Words that began with a brace lose it ("{ a = b }" is "a = b") unless keep_braces. */
bool	master_cf_split(struct span line, bool keep_braces, struct arena *, const char ***words, size_t *n, struct err *);

/* "inet" ... "pass"; false when unknown. */
bool	master_type_parse(const char *, enum master_type *);

#endif
