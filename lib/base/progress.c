/*
 * progress.c - progress of a long run. The cursor is left at the begin of the line, so that what comes next, a warning
 * say, is written over it.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/progress.h"

#define EVERY_STEPS	1000u
#define EVERY_MS	100

bool
progress_due(struct progress *p)
{
	static int terminal = -1;

	if (++p->steps % EVERY_STEPS != 0)
		return false;
	if (terminal < 0)
		terminal = isatty(STDERR_FILENO) == 1;
	if (terminal == 0 || clock_ms() < p->next_ms)
		return false;
	p->next_ms = clock_ms() + EVERY_MS;
	return true;
}

void
progress_clear(struct progress *p)
{
	if (p->width > 0)
		(void)fprintf(stderr, "%*s\r", p->width, "");
	p->width = 0;
}

void
progress_show(struct progress *p, const char *fmt, ...)
{
	char line[120];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(line, sizeof line, fmt, ap);

	va_end(ap);
	if (n >= (int)sizeof line)
		n = (int)sizeof line - 1;
	if (n <= 0)
		return;
	(void)fprintf(stderr, "%-*s\r", p->width, line);
	(void)fflush(stderr);
	p->width = n;
}
