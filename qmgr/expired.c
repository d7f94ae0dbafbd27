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
	struct arena *mem = arena_new();
	struct vec entries = VEC_INIT(struct log_entry);

	m->logged = VEC_INIT(int64_t);
	if (log_read("defer", m->id, mem, &entries))
		for (size_t i = 0; i < entries.n; i++)
			*(int64_t *)vec_add(&m->logged) = VEC_AT(&entries, struct log_entry, i)->offset;
	if (m->logged.n > 0)
		qsort(m->logged.p, m->logged.n, sizeof(int64_t), by_offset);
	vec_free(&entries);
	arena_free(&mem);
	return m->logged.n > 0;
}

bool
expired_is_logged(const struct message *m, const struct recipient *r)
{
	return m->logged.n > 0 && bsearch(&r->offset, m->logged.p, m->logged.n, sizeof(int64_t), by_offset) != NULL;
}
