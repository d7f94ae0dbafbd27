/*
 * suspended.c - reads the file of what is held back. Trusts nothing in it.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <unistd.h>

#include "base/log.h"
#include "io/file.h"
#include "mail/suspended.h"

#define FILE_MAX	(SUSPENDED_MAX * 512u)

bool
suspended_name_ok(struct span name)
{
	for (size_t i = 0; i < name.n; i++)
		if (!ascii_print(name.p[i]) || name.p[i] == ' ')
			return false;
	return name.n > 0;
}

bool
suspended_read(void (*tell)(void *arg, struct span name, int64_t until), void *arg)
{
	struct buf text = {0};
	struct err e = {0};
	struct span rest, line;
	uint64_t until;
	bool ok = true;

	if (access(SUSPENDED_FILE, F_OK) != 0)
		ok = errno == ENOENT || err_temp(&e, "%s: %s", SUSPENDED_FILE, strerror(errno));
	else
		ok = file_read_all(SUSPENDED_FILE, FILE_MAX, &text, &e);
	if (!ok)
		log_warning("%s", e.text);
	for (rest = buf_view(&text); span_take_line(&rest, &line); ) {
		if (!span_take_u64(&line, &until) || until > INT64_MAX || !span_take_byte(&line, ' ') || !suspended_name_ok(line))
			log_warning("%s: a line that is not understood is passed over", SUSPENDED_FILE);
		else
			tell(arg, line, (int64_t)until);
	}
	buf_free(&text);
	return ok;
}
