/*
 * setgid.h - how a set-gid command starts: empty environment, only configuration directories that the default main.cf
 * allows, standard descriptors open.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef SERVICE_SETGID_H
#define SERVICE_SETGID_H

/*
 * Load main.cf (config: directory from -c or MAIL_CONFIG, NULL = the built-in one), check that an unprivileged caller
 * may name it, clear the environment down to import_environment, set up the log, chdir to the queue directory.
 * Fatal on any failure.
 */
void	setgid_start(const char *program, const char *config);

#endif
