/*
 * postfix.h - private to postfix(1).
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef POSTFIX_POSTFIX_H
#define POSTFIX_POSTFIX_H

#include <stdbool.h>
#include <sys/types.h>

/* command_directory and daemon_directory of the programs to run, whatever new values arguments give to the parameters. */
extern const char *command_program_directory, *program_directory;
/* The configuration directory is in multi_instance_directories of the default instance, which owns what both share. */
extern bool is_secondary;

/* --- postfix.c */
/* Run a program of the suite and wait; argv[0] is completed with the directory. Exit status, 1 when it was killed. */
int	run_program(const char *directory, char *const argv[]);
/* From now on messages come from the script that Postfix has for this: "postfix-script", "postfix-tls-script". */
void	speak_as(const char *script);

/* --- control.c: start, stop and the like; arguments behind the command. Exit status. */
int	do_start(char *const arguments[]);
int	do_start_fg(char *const arguments[]);
int	do_stop(char *const arguments[]);
int	do_quick_stop(char *const arguments[]);
int	do_abort(char *const arguments[]);
int	do_drain(char *const arguments[]);
int	do_reload(char *const arguments[]);
int	do_flush(char *const arguments[]);
int	do_status(char *const arguments[]);
int	do_check(char *const arguments[]);
/* Warnings of postconf(1) about parameters that are unknown or old; fatal when it finds main.cf or master.cf bad. */
void	run_postconf(void);
bool	is_running(void);
/* Pid from pid/master.pid; 0 when there is none. */
pid_t	master_pid(void);

/* --- logrotate.c */
int	do_logrotate(char *const arguments[]);

/* --- tls.c */
int	do_tls(char *const arguments[]);

/* --- nonbdb.c */
int	do_non_bdb(char *const arguments[]);
/* With level enable-reindex, at the first start: alias tables that have only an old index get a new one. */
void	migrate_alias_maps_once(void);

/* --- check.c */
/* Directories and files that must be there; missing queue directories are made, file names mended. Else fatal. */
void	check_integrity(void);
/* Owners and modes that are not as they should be, files of a chroot jail that are stale: warnings only. */
void	check_permissions(void);

/* --- install.c: "postfix post-install"; settings and commands. Exit status. */
int	install_run(char *const arguments[]);

/* --- upgrade.c: obsolete: paths to report, each with a blank in front, or "". False: said why. */
bool	upgrade_configuration(const char *obsolete);

#endif
