/*
 * err.h - why something failed, as a value. lib/ returns it; the program decides.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdbool.h>

enum err_kind {
	ERR_NONE = 0,
	ERR_TEMPORARY,		/* may work later: server down, disk full, lock held */
	ERR_PERMANENT,		/* will not work as asked: bad syntax, no such thing */
};

#define ERR_TEXT_SIZE 512

struct err {
	enum err_kind kind;
	char text[ERR_TEXT_SIZE];	/* one printable line, "" when kind is ERR_NONE */
};

/* Fill *e (which may be NULL: nobody asked) and return false, so that "return err_temp(e, ...);" reads well. */
bool	err_temp(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool	err_perm(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
