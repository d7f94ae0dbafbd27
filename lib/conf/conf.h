/*
 * conf.h - main.cf as values: one field a parameter, its name is the main.cf name.
 *
 * Start of a program: conf_set_override() for each -o, then conf_load(), then conf_check(). Text fields live
 * until the next conf_load(). Single-threaded. Trusts main.cf (root writes it) but never crashes on its bytes.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

#define CONF_FIELD_BOOL		bool
#define CONF_FIELD_INT		int
#define CONF_FIELD_LONG		long
#define CONF_FIELD_TIME		int
#define CONF_FIELD_STRING	const char *
#define CONF_FIELD_ENUM		const char *
#define CONF_FIELD_RAW		const char *
#define CONF_FIELD_NBOOL	bool
#define CONF_FIELD_NINT		int
#define CONF_FIELD_COMPUTED	const char *

#define PARAM(type, field, def, min, max, meaning)			CONF_FIELD_##type field;
#define PARAM_LATER(type, field, def, min, max, meaning)		CONF_FIELD_##type field;
#define PARAM_TWIN(type, field, twin, def, min, max, meaning)		CONF_FIELD_##type field;
#define SHARED(readers, type, field, def, min, max, meaning)		CONF_FIELD_##type field;
#define SHARED_LATER(readers, type, field, def, min, max, meaning)	CONF_FIELD_##type field;

struct conf {
#include "conf/all_params.def"
};

#undef PARAM
#undef PARAM_LATER
#undef PARAM_TWIN
#undef SHARED
#undef SHARED_LATER

extern struct conf conf;

/* The program whose parameters must be right ("smtpd"); process_name. Default: the last part of argv[0]. */
void	conf_set_program(const char *name);

/* -o name=value: stronger than main.cf. Before conf_load. */
void	conf_set_override(const char *name, const char *value);

/* "name=value" or "name = value with blanks" (as in -o). Error: "missing '=' after attribute name" and the like. */
bool	conf_set_override_pair(const char *pair, struct err *);

/*
 * Read main.cf in the directory (NULL: $MAIL_CONFIG, else the built-in one) and evaluate every parameter.
 * A bad value is an error only when this program reads that parameter; for others the field has the default.
 * Error texts are Postfix's, to be shown behind "fatal: ". May be called again (reload).
 */
bool	conf_load(const char *config_directory, struct err *);

/* As conf_load, but checks nothing and evaluates nothing: for postconf, and conf_value()/conf_expand(). */
bool	conf_read(const char *config_directory, struct err *);

/* As conf_read of an empty main.cf: defaults (and overrides) only. */
void	conf_read_nothing(void);

/* A setting of a parameter that cannot be set (process_id, process_name, service_name), which was ignored; else NULL. */
const char *conf_ignored(const char *name);

/* Forget main.cf and overrides: fields NULL, as before the first conf_load. */
void	conf_reset(void);

/* lmtp(8) is smtp(8) with other parameters: copy each lmtp_ value over its smtp_ twin. After conf_load. */
void	conf_use_lmtp(void);

/* Host names, accounts and identities that every program but postconf(1) checks at start. After conf_load. */
bool	conf_check(struct err *);

/* Warn for each setting of main.cf (or -o) that no code acts upon yet unless its value is what happens anyway. */
void	conf_warn_later(void);

/* Expanded text of any name: parameter, family member, or a name that the user invented. NULL: undefined
 * or not expandable (then a warning was logged). Lives until the next conf_load. */
const char *conf_value(const char *name);

/* The text as main.cf or -o has it, not expanded; NULL when it is not set there. */
const char *conf_raw(const char *name);

/* Default text of a name; those made at run time too. NULL: no such parameter. */
const char *conf_default(const char *name);

/* False: some default could not be made (inet_interfaces names an unknown host); conf_load fails with the same. */
bool	conf_defaults_ok(struct err *);

/* Walk what main.cf and -o set, in the order of first appearance. Start with *pos = 0. */
bool	conf_next_set(size_t *pos, const char **name, const char **value);

/* Expand $name, ${name?{a}:{b}}, ${{x} == {y} ? {a} : {b}} with main.cf names. Appends to *out. On failure
 * a warning with the details was logged and the error says "macro processing error". */
bool	conf_expand(const char *text, struct buf *out, struct err *);

/*
 * Parameters that exist once for each delivery service: conf_service_int("relay", "_recipient_limit").
 * Not set: the default of the family row. A bad value is logged and is fatal in Postfix; here *e tells.
 */
bool	conf_service_int(const char *service, const char *suffix, int *value, struct err *);	/* INT and TIME */
const char *conf_service_str(const char *service, const char *suffix);

/* Numbers with the texts of Postfix. name appears in the error. */
bool	conf_parse_bool(const char *name, const char *text, bool *, struct err *);
bool	conf_parse_long(const char *name, const char *text, long min, long max, long *, struct err *);
/* "5d" to seconds; a number without unit counts default_unit (one of s m h d w). */
bool	conf_parse_time(struct span text, char default_unit, int *seconds);

/* -1, 0, 1 like strcmp for "3.6" and "3.11"; false when one is malformed. */
bool	conf_compare_levels(const char *a, const char *b, int *result);
/* compatibility_level is below e.g. "3.6": old defaults are in use. */
bool	conf_level_below(const char *level);

/* "name = value" apart: both trimmed. Error texts "missing '=' after attribute name", "missing attribute name". */
bool	conf_split_pair(struct span pair, struct span *name, struct span *value, const char **why);

/* "pid/master.pid": master(8)'s lock, below queue_directory. Until the next call. */
const char *conf_pid_file(void);

#endif
