/*
 * service_path.h - where a private service listens, for clients that may be jailed.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAP_SERVICE_PATH_H
#define MAP_SERVICE_PATH_H

#include <stddef.h>

/* Commands run anywhere; a jailed service only finds the socket relative to its directory. */
void	service_path(char *path, size_t size, const char *service);

#endif
