/*
 * param.h - the table of main.cf parameters, made from the rows of every params.def:
 *
 *	PARAM(TIME, smtpd_timeout, "${stress?{10}:{300}}s", 1, 0, "one line of meaning")
 *	PARAM_LATER(...)	same columns: known, but no code acts upon it yet
 *	PARAM_TWIN(TYPE, lmtp_x, smtp_x, ...)	acted upon when its smtp_ twin is
 *	SHARED("smtpd verify", TYPE, ...), SHARED_LATER("...", ...)	read by several programs
 *	FAMILY(TYPE, "_suffix", ...)	once for each delivery service, see conf_service_int()
 *
 * A row gives struct conf a field, the parser, the range check, `postconf -d' and a manual section.
 * A name that begins with a digit has the field p_NAME.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef CONF_PARAM_H
#define CONF_PARAM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum param_type {
	PARAM_TYPE_BOOL,	/* bool: yes, no */
	PARAM_TYPE_INT,		/* int */
	PARAM_TYPE_LONG,	/* long */
	PARAM_TYPE_TIME,	/* int, seconds; s m h d w */
	PARAM_TYPE_STRING,	/* const char *, expanded */
	PARAM_TYPE_ENUM,	/* const char *, expanded; one of some words */
	PARAM_TYPE_RAW,		/* const char *, as written: has a $name space of its own */
	PARAM_TYPE_NBOOL,	/* bool, default may refer to other parameters */
	PARAM_TYPE_NINT,	/* int, likewise */
	PARAM_TYPE_COMPUTED,	/* const char *, default made at run time */
};

struct param {
	const char *name;
	const char *def;	/* default text; "" for COMPUTED: see conf_default() */
	const char *readers;	/* programs that check it at start, separated by blanks; "" means all */
	const char *meaning;
	const char *twin;	/* PARAM_TWIN: name of the smtp_ parameter, else NULL */
	size_t offset;		/* of the field in struct conf */
	long min, max;		/* range, or byte lengths for text; 0 is not checked */
	enum param_type type;
	bool later;
};

struct param_family {
	const char *suffix, *def, *meaning;
	long min, max;
	enum param_type type;
};

/* All parameters sorted by name; *n is their number. */
const struct param *param_all(size_t *n);
const struct param *param_find(const char *name);	/* NULL when unknown */
bool	param_is_later(const struct param *);		/* no code acts upon it yet */
/* The expanded text is a legal value. Error texts are Postfix's. */
bool	param_check_value(const struct param *, const char *text, struct err *);
bool	param_read_by(const struct param *, const char *program);
const struct param_family *param_families(size_t *n);

/* "smtp_delivery_slot_cost": the family row, and in *service_len the length of the service name. Else NULL. */
const struct param_family *param_family_find(const char *name, size_t *service_len);

#endif
