/*
 * service_path.c - the path of a private service's socket.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>
#include <sys/stat.h>

#include "conf/conf.h"
#include "map/service_path.h"

void
service_path(char *path, size_t size, const char *service)
{
	struct stat st;

	(void)snprintf(path, size, "%s/private/%s", conf.queue_directory, service);
	if (stat(path, &st) != 0)
		(void)snprintf(path, size, "private/%s", service);
}
