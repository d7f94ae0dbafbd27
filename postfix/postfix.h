/*
 * postfix.h - private to postfix(1).
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef POSTFIX_POSTFIX_H
#define POSTFIX_POSTFIX_H

#include <stdbool.h>
#include <sys/types.h>

/* Directories and files that must be there; missing queue directories are made. Fatal when something cannot be mended. */
void	check_integrity(void);
/* Owners and modes that are not as they should be: warnings only. */
void	check_permissions(void);

/* Run a program of the suite and wait; argv[0] is completed with the directory. Exit status, 1 when it was killed. */
int	run_program(const char *directory, char *const argv[]);

/* Pid from pid/master.pid; 0 when master does not run. */
pid_t	master_pid(void);

#endif
