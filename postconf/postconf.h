/*
 * postconf.h - postconf(1): shows and edits main.cf and master.cf.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef POSTCONF_POSTCONF_H
#define POSTCONF_POSTCONF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/span.h"
#include "base/vec.h"
#include "io/replace.h"

/* Options as a set of bits, in the order in which messages name them. */
enum {
	OPT_a, OPT_A, OPT_b, OPT_C, OPT_d, OPT_e, OPT_f, OPT_F, OPT_h, OPT_H, OPT_j, OPT_l, OPT_m, OPT_M, OPT_n,
	OPT_o, OPT_p, OPT_P, OPT_t, OPT_T, OPT_x, OPT_X, OPT_comment, OPT_PP, OPT_later, OPT_manual,
	OPT_check, OPT_explain, OPT_json, OPT_COUNT,
};
#define BIT(opt)	(1u << (opt))
#define HAS(opt)	((options & BIT(opt)) != 0)

enum { CLASS_BUILTIN = 1, CLASS_SERVICE = 2, CLASS_USER = 4, CLASS_ALL = 7 };

extern unsigned options;
extern unsigned classes;	/* -C */
extern bool no_warnings;	/* -q */
extern const char *main_cf, *master_cf;	/* paths, as messages show them */
extern struct arena *memory;	/* lives as long as the program */

/* options.c */
void	options_check(void);	/* conflicts end the program */
void	classes_parse(const char *list);

/* --- parameters: rows.c */
struct row {
	const char *name;
	const char *def;	/* default text, NULL for user-defined names */
	unsigned class;
};

void	rows_build(void);	/* after main.cf and master.cf are read */
void	rows_forget(void);
struct row *row_find(const char *name);
size_t	row_count(void);
struct row *row_at(size_t i);	/* sorted by name */
/* Names found as "$name" in main.cf and master.cf; warns for undefined ones. */
bool	name_is_used(const char *name);

/* tables.c: tables named in a value of that file; use() gets the names of parameters in main.cf that they read. */
void	tables_scan(const char *file, const char *value, void (*use)(const char *name));

/* --- output: print.c */
/* One parameter or field: "name = value", with -f -h -H -j as given. */
void	print_setting(const char *name, const char *value);
void	print_line(const char *text);		/* text and newline */
void	print_flush(void);

/* Value of a text with all $names replaced (-x); service: its -o settings come first, NULL none. Ends the program on errors. */
struct entry;
const char *expanded(const struct entry *service, const char *text);
/* The same for the value of a parameter: some have a $name space of their own and stay as they are. */
const char *expanded_value(const struct entry *service, const char *name, const char *text);
bool	is_raw(const char *name);
/* The same; errors end the text early, silently. */
const char *expanded_quietly(const struct entry *service, const char *text);
/* Setting of a name: main.cf or -o, NULL unless set. With -d always NULL. */
const char *setting_of(const char *name);
const char *default_of(const char *name);

/* nearest.c: the built-in or service parameter that this name may mean; NULL none is near. */
const char *nearest_name(const char *name);
/* explain.c, check.c: the exit status. */
int	explain(char **names);
int	check_files(char **files);
void	read_for_explain(void);		/* whatever can be read; sets the log hook */
/* json_in.c: "name=value" for each member of the objects on standard input, NULL behind the last. */
char	**json_arguments(void);

/* manual.c: postconf(5) on standard output. */
void	show_manual(void);

/* --- main.cf modes: show_main.c */
void	show_parameters(char **names);
void	show_later(void);

/* --- master.cf: master_file.c */
struct entry {
	const char *name, *type;
	struct vec words;	/* const char *: 8 fields, then arguments; an option and its value are two */
	struct vec settings;	/* struct setting, sorted by name; the last of a name only */
	unsigned line;
};

struct setting {
	const char *name, *value;
};

enum { ENTRY_FIELDS = 8 };

extern struct vec entries;	/* struct entry */
extern const char *const entry_field_name[ENTRY_FIELDS];

/* Read it. missing_ok: only warn when it is not there. */
void	master_read(bool missing_ok);
/* Words of one logical line, checked. too_short: message when there are less than 8. */
void	entry_parse(struct entry *, struct span line, const char *too_short);
void	entry_collect_settings(struct entry *);
void	entry_free(struct entry *);
const char *entry_word(const struct entry *, size_t i);
/* The arguments from word i on are "-o", "name=value". */
bool	entry_is_setting(const struct entry *, size_t i);
/* Command and arguments, as in "smtp/inet/command". */
const char *entry_command(const struct entry *, bool expand);
/* The entry as -M prints it, folded like -f or not; no newline at the end. */
void	entry_print(const struct entry *, bool fold, bool expand, struct buf *out);
/* Arguments behind what *out has from byte start on. */
void	entry_print_arguments(const struct entry *, bool fold, bool expand, size_t start, struct buf *out);
/* field 0..7 has this legal text, else the program ends. whole: for the message. */
void	entry_check_field(size_t field, const char *text, const char *whole);

/* --- master.cf modes: show_master.c */
struct pattern {
	char *name, *type, *third;	/* NULL: not given */
	bool matched;
};

/* "name[/type[/third]]"; parts: at most that many; -1 as *count when malformed. */
bool	pattern_parse(const char *text, size_t least, size_t most, struct pattern *);
bool	pattern_matches(const struct pattern *, const char *name, const char *type, const char *third);
void	show_entries(char **requests);
void	show_fields(char **requests);
void	show_service_parameters(char **requests);
void	show_service_all(char **requests);	/* -PP */
size_t	field_number(const char *name);		/* ENTRY_FIELDS when unknown */

/* --- warnings: unused.c */
void	warn_unused_main(void);
void	warn_unused_master(void);
/* deprecated.c: text to show instead of NAME, NULL when it is not deprecated. */
const char *deprecated_instead(const char *name, bool *removed);
bool	is_legacy_name(const char *name);	/* no row of its own; exists when set */

/* --- editing */
struct edit_file {
	const char *path;
	struct vec lines;	/* struct span: physical lines, without newline */
	struct buf text, out;
	struct replace file;
};
void	edit_open(struct edit_file *, const char *path);
void	edit_line(struct edit_file *, struct span line);	/* writes it and a newline */
void	edit_commit(struct edit_file *);
bool	edit_is_comment(struct span line);	/* or empty */
/* What a text argument of -e -X -# may not be. */
void	edit_check_argument(const char *text);

void	edit_main(char **arguments);
void	edit_master_entries(char **arguments);		/* -M with -e -X -# */
void	edit_master_fields(char **arguments);		/* -Fe */
void	edit_master_parameters(char **arguments);	/* -Pe, -PX */

/* --- misc.c */
int	show_other(char **arguments, const char *mode);	/* -a -A -b -l -m -t -T */

#endif
