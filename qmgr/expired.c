/*
 * expired.c - a message that the administrator has expired: what the last attempt said about its recipients goes back to the sender.
 * Recipients that the defer log names are not tried again; those that it does not name are deferred once, so that the report has them.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>

#include "mail/bounce_log.h"
#include "mail/queue.h"
#include "qmgr/qmgr.h"

static int
by_offset(const void *x, const void *y)
{
	const int64_t *a = x, *b = y;

	return (*a > *b) - (*a < *b);
}

bool
expired_read_log(struct message *m)
{
	struct log_reader *log = log_reader_open("defer", m->id);
	struct log_entry e;

	m->logged = VEC_INIT(int64_t);
	while (log != NULL && log_reader_next(log, &e))
		*(int64_t *)vec_add(&m->logged) = e.offset;
	if (m->logged.n > 0)
		qsort(m->logged.p, m->logged.n, sizeof(int64_t), by_offset);
	log_reader_close(&log);
	return m->logged.n > 0;
}

bool
expired_is_logged(const struct message *m, const struct recipient *r)
{
	return m->logged.n > 0 && bsearch(&r->offset, m->logged.p, m->logged.n, sizeof(int64_t), by_offset) != NULL;
}
