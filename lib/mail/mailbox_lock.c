/*
 * mailbox_lock.c - keeps other programs out of a mailbox, in the ways that mailbox_delivery_lock names.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "conf/conf.h"
#include "io/file.h"
#include "mail/mailbox_lock.h"

bool
mailbox_lock_valid(const char *styles, struct err *e)
{
	static const char *const known[] = { "flock", "fcntl", "dotlock" };
	struct span list = span_str(styles), word;

	while (span_take_word(&list, ", \t\r\n", &word))
		if (!span_is(word, known[0]) && !span_is(word, known[1]) && !span_is(word, known[2]))
			return err_perm(e, "unknown mailbox_delivery_lock value \"%.*s\" in \"%s\"", SPAN_ARG(word), styles);
	return true;
}

bool
mailbox_lock_has(const char *styles, const char *want)
{
	return span_lists(span_str(styles), want);
}

static void
pause_seconds(int seconds)
{
	struct timespec ts = { seconds, 0 };

	(void)nanosleep(&ts, NULL);
}

bool
mailbox_lock_dot(const char *lock)
{
	struct stat st;

	for (int i = 0; i < conf.deliver_lock_attempts; i++) {
		int fd = open(lock, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);

		if (fd >= 0) {
			(void)close(fd);
			return true;
		}
		if (errno != EEXIST)
			return false;
		if (lstat(lock, &st) == 0 && clock_wall().tv_sec - st.st_ctime > conf.stale_lock_time)
			(void)unlink(lock);
		else
			pause_seconds(conf.deliver_lock_delay);
	}
	errno = EEXIST;
	return false;
}

bool
mailbox_lock_file(int fd, const char *styles)
{
	bool ok = true;

	if (mailbox_lock_has(styles, "flock"))
		ok = file_lock(fd, FILE_LOCK_EXCLUSIVE, true);
	if (mailbox_lock_has(styles, "fcntl"))
		ok = ok && file_lock_range(fd, FILE_LOCK_EXCLUSIVE, true);
	return ok;
}
