/*
 * fuzz_main_cf.c - any bytes as main.cf: load, check, walk the settings.
 *
 * SPDX-License-Identifier: ISC
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
write_main_cf(const char *path, const uint8_t *data, size_t size)
{
	const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	(void)close(fd);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char directory[64], path[80];
	struct err e = {0};
	const char *name, *value;
	size_t pos = 0;

	if (directory[0] == '\0') {
		(void)snprintf(directory, sizeof directory, "/tmp/fuzz_main_cf.%ld", (long)getpid());
		(void)snprintf(path, sizeof path, "%s/main.cf", directory);
		log_init("fuzz", 0);
		conf_set_program("smtpd");
	}
	/* A directory of its own, removed again, so that a killed run leaves at most one. */
	if (mkdir(directory, 0700) != 0)
		abort();
	write_main_cf(path, data, size);
	/* Names of hosts would be looked up. */
	conf_set_override("inet_interfaces", "127.0.0.1");
	if (conf_load(directory, &e))
		(void)conf_defaults_ok(&e);
	while (conf_next_set(&pos, &name, &value))
		(void)conf_value(name);
	conf_reset();
	(void)unlink(path);
	(void)rmdir(directory);
	return 0;
}
