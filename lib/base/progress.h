/*
 * progress.h - one line on standard error that tells how far a long run is, if that is a terminal; else nothing at all.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef BASE_PROGRESS_H
#define BASE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	unsigned long steps;
	int64_t next_ms;		/* not before that time */
	int width;			/* of the line that stands there; 0 = none */
};

/* Count one step of the work. True: it is time for a line, which progress_show() is to be given. */
bool	progress_due(struct progress *);
void	progress_show(struct progress *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Take the line away: before other output, and at the end. */
void	progress_clear(struct progress *);

#endif
