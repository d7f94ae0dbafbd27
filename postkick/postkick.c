/*
 * postkick.c - postkick(1): write a few bytes to a service's socket, such as "W" to public/qmgr. Needs no privilege of its
 * own: the socket's directory decides who gets there.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/conf.h"
#include "mail/trigger.h"

int
main(int argc, char **argv)
{
	struct err e = {0};
	int letter;

	log_init(argv[0], LOG_TO_STDERR);
	while ((letter = getopt(argc, argv, "+c:v")) != -1) {
		switch (letter) {
		case 'c': (void)setenv("MAIL_CONFIG", optarg, 1); break;
		case 'v': log_verbose++; break;
		default: optind = argc + 1; break;
		}
	}
	if (argc - optind != 3)
		log_fatal("usage: postkick [-c config_dir] [-v] class service request");
	const char *class = argv[optind], *service = argv[optind + 1];

	conf_set_program("postkick");
	if (!conf_load(NULL, &e) || !conf_check(&e))
		log_fatal("%s", e.text);
	if (chdir(conf.queue_directory) != 0)
		log_fatal("chdir %s: %s", conf.queue_directory, strerror(errno));
	if (trigger_send(class, service, argv[optind + 2]))
		return 0;
	log_warning("%s %s/%s: %s", errno == ENOENT ? "unable to look up" : "connect to", class, service, strerror(errno));
	log_warning("Cannot contact class %s service %s - perhaps the mail system is down", class, service);
	return 1;
}
