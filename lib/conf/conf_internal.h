/*
 * conf_internal.h - between the files of lib/conf only.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef CONF_INTERNAL_H
#define CONF_INTERNAL_H

#include <stdbool.h>

#include "base/err.h"
#include "conf/param.h"

/* Evaluate all parameters into struct conf; those that program reads must be right. */
bool	conf_fields_load(const char *program, struct err *);

/* Default of a COMPUTED parameter; NULL when it cannot be known now. The text lives in conf_keep(). */
const char *conf_computed_default(const char *name);

/* conf_value() without warnings: for parameters that this program does not read. */
const char *conf_value_quietly(const char *name);
bool	conf_expand_quietly(const char *text, struct buf *out);

const char *conf_program(void);
char	*conf_keep(const char *text);		/* copy that lives until the next conf_load */

/* A default could not be computed: conf_load fails with this. */
void	conf_default_failed(const struct err *);

#endif
