/*
 * err.c - error values.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdarg.h>
#include <stdio.h>

#include "base/err.h"

static void
fill(struct err *e, enum err_kind kind, const char *fmt, va_list ap)
{
	if (e == NULL)
		return;
	e->kind = kind;
	(void)vsnprintf(e->text, sizeof e->text, fmt, ap);
	for (char *p = e->text; *p != '\0'; p++)
		if ((unsigned char)*p < 32 || *p == 127)
			*p = '?';
}

bool
err_temp(struct err *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fill(e, ERR_TEMPORARY, fmt, ap);
	va_end(ap);
	return false;
}

bool
err_perm(struct err *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fill(e, ERR_PERMANENT, fmt, ap);
	va_end(ap);
	return false;
}
