/*
 * jail.c - the one place where a service gives its privileges up. Done once, in the host: workers are born jailed.
 * Rootless (not started by the superuser) there is nothing to give up and no chroot.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/conf.h"
#include "service/private.h"

static void
drop_to(const struct passwd *pw)
{
	if (setgid(pw->pw_gid) != 0 || initgroups(pw->pw_name, pw->pw_gid) != 0)
		log_fatal("setgid %ld: %s", (long)pw->pw_gid, strerror(errno));
	if (service_options.chroot && (chroot(conf.queue_directory) != 0 || chdir("/") != 0))
		log_fatal("chroot(%s): %s", conf.queue_directory, strerror(errno));
	if (setuid(pw->pw_uid) != 0)
		log_fatal("setuid %ld: %s", (long)pw->pw_uid, strerror(errno));
	if (setuid(0) == 0)
		log_fatal("privileges came back after setuid %ld", (long)pw->pw_uid);
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

void
jail_enter(void)
{
	if (geteuid() != 0)
		return;
	if (!service_options.unprivileged) {
		if (service_options.chroot && (chroot(conf.queue_directory) != 0 || chdir("/") != 0))
			log_fatal("chroot(%s): %s", conf.queue_directory, strerror(errno));
		return;
	}
	const struct passwd *pw = getpwnam(conf.mail_owner);

	if (pw == NULL)
		log_fatal("file %s/main.cf: parameter mail_owner: unknown user name value: %s", conf.config_directory,
		    conf.mail_owner);
	if (pw->pw_uid == 0)
		log_fatal("file %s/main.cf: parameter mail_owner: user %s has privileged user ID", conf.config_directory,
		    conf.mail_owner);
	drop_to(pw);
}
