/*
 * setgid.c - start of set-gid commands. Trusts neither environment nor arguments of its caller.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/conf.h"
#include "conf/environment.h"
#include "config.h"
#include "service/logging.h"
#include "service/setgid.h"

static void
open_standard_descriptors(void)
{
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDWR) != fd)
			_exit(1);
}

/* Only the default main.cf can allow another directory to a caller who gains rights by running us. */
static void
check_directory(const char *config)
{
	struct err e = {0};
	bool privileged = getuid() == 0 || (getuid() == geteuid() && getgid() == getegid());

	if (config == NULL || strcmp(config, DEF_CONFIG_DIRECTORY) == 0 || privileged)
		return;
	if (!conf_load(DEF_CONFIG_DIRECTORY, &e))
		log_fatal("%s", e.text);
	if (span_lists(span_str(conf.alternate_config_directories), config) ||
	    span_lists(span_str(conf.multi_instance_directories), config)) {
		conf_reset();
		return;
	}
	log_error("unauthorized configuration directory name: %s", config);
	log_fatal("specify \"alternate_config_directories = %s\" or \"multi_instance_directories = %s\" in %s/main.cf", config,
	    config, DEF_CONFIG_DIRECTORY);
}

void
setgid_start(const char *program, const char *config)
{
	struct err e = {0};
	char *directory = config != NULL ? strdup(config) : NULL;

	open_standard_descriptors();
	check_directory(directory);
	conf_set_program(program);
	if (!conf_load(directory, &e) || !conf_check(&e))
		log_fatal("%s", e.text);
	if (!environment_apply(conf.import_environment, true, &e))
		log_fatal("%s", e.text);
	if (directory != NULL)
		(void)setenv("MAIL_CONFIG", directory, 1);
	free(directory);
	logging_configured(program);
	if (chdir(conf.queue_directory) != 0)
		log_fatal("chdir %s: %s", conf.queue_directory, strerror(errno));
}
