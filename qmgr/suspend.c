/*
 * suspend.c - what the administrator wants held back for a while: a domain (of recipients, or as next hop) or
 * "transport:NAME". Kept in memory: a restart of the queue manager forgets it. Mail for it goes to the retry service.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "qmgr/qmgr.h"
#include "smtp/address.h"

#define SUSPENDED_MAX	10000u		/* names that a client of public/qmgr can have us remember */

static struct hash *table;		/* name -> struct suspension */

struct suspension {
	int64_t until;			/* wall clock, seconds */
	char text[64];			/* for people */
};

static const struct suspension *
look_up(struct span name)
{
	struct suspension *s = table == NULL || name.n == 0 ? NULL : hash_get(table, name);

	if (s != NULL && s->until <= clock_wall().tv_sec) {
		log_info("suspension of %.*s is over", SPAN_ARG(name));
		free(hash_remove(table, name));
		s = NULL;
	}
	return s;
}

static const char *
reason(struct span name, const struct suspension *s, struct arena *mem)
{
	return arena_printf(mem, "4.3.2 delivery to %.*s is suspended until %s", SPAN_ARG(name), s->text);
}

const char *
suspended_text(struct span transport, struct span nexthop, struct span recipient, struct arena *mem)
{
	struct span local, domain, names[3];
	const struct suspension *s = NULL;

	if (table == NULL || hash_count(table) == 0)
		return NULL;
	(void)address_split(recipient, &local, &domain);
	names[0] = span_lower(domain, mem);
	names[1] = span_lower(nexthop, mem);
	names[2] = span_str(arena_printf(mem, "transport:%.*s", SPAN_ARG(transport)));
	for (size_t i = 0; i < 3; i++)
		if ((s = look_up(names[i])) != NULL)
			return reason(names[i], s, mem);
	return NULL;
}

void
suspend_begin(struct span name, int64_t seconds)
{
	struct arena *mem = arena_new();
	struct suspension *s = calloc(1, sizeof *s);
	struct span key = span_lower(name, mem);

	if (s == NULL)
		log_out_of_memory();
	if (table == NULL)
		table = hash_new();
	if (hash_count(table) >= SUSPENDED_MAX) {
		log_warning("%.*s: too many destinations are suspended", SPAN_ARG(key));
		free(s);
	} else {
		s->until = clock_wall().tv_sec + seconds;
		clock_mail_date((time_t)s->until, s->text, sizeof s->text);
		log_info("delivery to %.*s is suspended until %s", SPAN_ARG(key), s->text);
		free(hash_put(table, key, s));
		transport_hold_back(key, reason(key, s, mem));
	}
	arena_free(&mem);
}

void
suspend_end(struct span name)
{
	struct arena *mem = arena_new();
	struct span key = span_lower(name, mem);
	struct suspension *s = table == NULL ? NULL : hash_remove(table, key);

	if (s != NULL)
		log_info("suspension of %.*s is over", SPAN_ARG(key));
	free(s);
	arena_free(&mem);
}
