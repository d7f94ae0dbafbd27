/*
 * checks.h - header_checks(5) and body_checks: look a header or a line up, act upon what a table says. What text alone
 * needs is done here; actions that a program has beside these, and where log lines and prepended text go, are its own.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAIL_CHECKS_H
#define MAIL_CHECKS_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/span.h"
#include "map/maps.h"

enum check_verdict {
	CHECK_KEEP,
	CHECK_DROP,
	CHECK_REPLACE,			/* *text is the new line, or header */
	CHECK_FAILED,			/* a table could not be asked: logged by the table only */
};
enum check_kind { CHECK_HEADER, CHECK_MIME, CHECK_NESTED, CHECK_BODY, CHECK_KINDS };

/* One result at work. */
struct check {
	const struct check_ops *ops;
	void *owner;			/* the program's message */
	const char *table;		/* "header_checks" */
	const char *where;		/* "header", "body" */
	struct span line;		/* what was looked up */
	struct span arg;		/* behind the action's name */
	struct span *text;		/* for REPLACE */
};

struct check_action {
	const char *name;
	enum check_verdict (*fn)(struct check *);
};

struct check_ops {
	const struct check_action *more;	/* actions of this program; name NULL ends them */
	const char *unknown;			/* "unknown": what any other action is called */
	/* The one log line of an action: "reject", "warning". c->arg is the text behind the action's name. */
	void (*log)(struct check *c, const char *action);
	void (*prepend)(struct check *c, struct span lines);
};

struct checks {
	const struct check_ops *ops;
	struct maps *tables[CHECK_KINDS];
};

/* names, values: the parameters of the four kinds. */
void	checks_open(struct checks *, const struct check_ops *, const char *const names[CHECK_KINDS],
	    const char *const values[CHECK_KINDS]);
/* A table of that kind is configured. */
bool	checks_has(const struct checks *, enum check_kind);
/* Header lines (LF between them) or a body line; the new text lives in mem. */
enum check_verdict checks_text(const struct checks *, enum check_kind, void *owner, struct arena *mem, struct span *text);

#endif
