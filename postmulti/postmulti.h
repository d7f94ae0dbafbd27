/*
 * postmulti.h - private to postmulti(1).
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef POSTMULTI_POSTMULTI_H
#define POSTMULTI_POSTMULTI_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/vec.h"

extern struct arena *memory;	/* lives as long as the program */

/* --- instances.c */
struct instance {
	const char *config_directory, *queue_directory, *data_directory;
	const char *name, *group;	/* "" is none */
	bool enabled, primary;
};

extern struct vec instances;	/* struct instance; the primary one is the first */

/* What secondary instances share with the primary one, from its main.cf. */
struct shared {
	const char *command_directory, *daemon_directory, *meta_directory, *alternate_config_directories;
	const char *start_commands, *stop_commands, *control_commands, *wrapper, *syslog_name;
};
extern struct shared shared;

/* Read main.cf of the primary instance and of those that it lists. Fatal when one cannot be read. */
void	instances_load(void);
/* Read main.cf of a directory that may not be in the list; fatal when it cannot be read. */
struct instance instance_read(const char *config_directory);
struct instance *instance_at(size_t i);
/* By name, configuration directory, or "-" for the primary one; NULL. */
struct instance *instance_find(const char *name);
/* How messages call it. */
const char *instance_label(const struct instance *);

/* --- main.c */
struct options {
	const char *group, *name;	/* -g -i */
	const char *new_name, *new_group;	/* -I -G; NULL not given */
	const char *action;		/* -e */
	bool all, reverse, json, verbose;
};
extern struct options opt;
extern char **environ;

/* From now on messages come from what Postfix has as a script, or again from the command. */
void	speak_as_script(bool);
/* Run a command with the environment of an instance and wait; exit status, 1 when it was killed. */
int	run_for(const struct instance *, char *const argv[]);

/* --- edit.c: -e action name=value ... */
void	edit_instances(char *const settings[]);
/* "postconf -c directory -e setting ..."; fatal when it fails. */
void	set_parameters(const char *config_directory, char *const settings[]);

/* --- create.c */
void	instance_create(const struct instance *);
/* Make directories, owners and modes of an instance right. */
void	instance_set_permissions(const struct instance *);

/* --- destroy.c: fatal when it runs or its queue is not empty. */
void	instance_destroy(const struct instance *);

#endif
