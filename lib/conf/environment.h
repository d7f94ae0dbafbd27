/*
 * environment.h - import_environment: what a program takes over from whoever started it.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef CONF_ENVIRONMENT_H
#define CONF_ENVIRONMENT_H

#include <stdbool.h>

#include "base/err.h"

/*
 * list: import_environment or export_environment, expanded: "NAME" keeps, "NAME=value" or "{ NAME = value }" sets.
 * only: drop everything else (privileged programs, and the commands of mail delivery); else just set.
 */
bool	environment_apply(const char *list, bool only, struct err *);

#endif
