/*
 * space.c - queue_minfree and message_size_limit against the file system.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stddef.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "conf/conf.h"
#include "mail/space.h"

#define SPACE_CHECK_MS	1000

const char *
space_missing(uint64_t *available)
{
	static int64_t asked_at;
	static uint64_t found;
	struct statvfs v;

	if (asked_at == 0 || clock_ms() - asked_at > SPACE_CHECK_MS) {
		if (statvfs(".", &v) != 0)
			return NULL;
		found = (uint64_t)v.f_bavail * v.f_frsize;
		asked_at = clock_ms();
	}
	*available = found;
	if (conf.queue_minfree > 0 && found < (uint64_t)conf.queue_minfree)
		return "queue_minfree";
	return found / 3 * 2 < (uint64_t)conf.message_size_limit ? "1.5*message size limit" : NULL;
}
