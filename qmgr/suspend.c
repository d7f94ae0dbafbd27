/*
 * suspend.c - what the administrator wants held back for a while: a domain (of recipients, or as next hop) or
 * "transport:NAME". Mail for it goes to the retry service. A file in the queue keeps it over a restart; nothing in that file
 * is trusted to be well-formed. A file that cannot be written costs a warning, and the suspension ends with this process.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "io/file.h"
#include "mail/suspended.h"
#include "qmgr/qmgr.h"
#include "smtp/address.h"

static const char file[] = SUSPENDED_FILE;
static struct hash *table;		/* name -> struct suspension */

struct suspension {
	int64_t until;			/* wall clock, seconds */
	char text[64];			/* for people */
};

static bool
is_over(const struct suspension *s)
{
	return s->until <= clock_wall().tv_sec;
}

static void
forget_old(void)
{
	struct span name;
	size_t pos = 0;
	void *s;

	while (table != NULL && hash_next(table, &pos, &name, &s))
		if (is_over(s)) {
			log_info("suspension of %.*s is over", SPAN_ARG(name));
			free(hash_remove(table, name));
		}
}

static bool
write_file(struct span text)
{
	static const char temporary[] = "saved/qmgr-suspended.tmp";
	int fd = file_open_temporary(temporary, 0600);
	bool ok = fd >= 0 && file_write_all(fd, text.p, text.n) && fsync(fd) == 0 && rename(temporary, file) == 0;
	int why = errno;

	if (fd >= 0)
		(void)close(fd);
	if (fd >= 0 && !ok)
		(void)unlink(temporary);
	errno = why;
	return ok;
}

static void
save(void)
{
	struct buf text = {0};
	struct span name;
	size_t pos = 0;
	void *s;

	while (hash_next(table, &pos, &name, &s))
		buf_printf(&text, "%lld %.*s\n", (long long)((struct suspension *)s)->until, SPAN_ARG(name));
	if (text.n == 0 ? unlink(file) != 0 && errno != ENOENT : !write_file(buf_view(&text)))
		log_warning("%s: %s; what is suspended will be forgotten when the queue manager ends", file, strerror(errno));
	else
		file_sync_parent(file);
	buf_free(&text);
}

static const struct suspension *
look_up(struct span name)
{
	struct suspension *s = table == NULL || name.n == 0 ? NULL : hash_get(table, name);

	if (s != NULL && is_over(s)) {
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

/* The key of a new or an old suspension, which ends then. */
static struct span
put(struct span name, int64_t until, struct arena *mem)
{
	struct suspension *s = calloc(1, sizeof *s);
	struct span key = span_lower(name, mem);

	if (s == NULL)
		log_out_of_memory();
	if (table == NULL)
		table = hash_new();
	s->until = until;
	clock_mail_date((time_t)until, s->text, sizeof s->text);
	free(hash_put(table, key, s));
	return key;
}

static void
tell(struct span key)
{
	log_info("delivery to %.*s is suspended until %s", SPAN_ARG(key), ((const struct suspension *)hash_get(table, key))->text);
}

void
suspend_begin(struct span name, int64_t seconds)
{
	struct arena *mem;

	if (!suspended_name_ok(name))
		return;
	forget_old();
	if (table != NULL && hash_count(table) >= SUSPENDED_MAX) {
		log_warning("%.*s: too many destinations are suspended", SPAN_ARG(name));
		return;
	}
	mem = arena_new();
	struct span key = put(name, clock_wall().tv_sec + seconds, mem);

	save();
	tell(key);
	transport_hold_back(key, reason(key, hash_get(table, key), mem));
	arena_free(&mem);
}

void
suspend_end(struct span name)
{
	struct arena *mem = arena_new();
	struct span key = span_lower(name, mem);
	struct suspension *s = table == NULL ? NULL : hash_remove(table, key);

	if (s != NULL) {
		save();
		log_info("suspension of %.*s is over", SPAN_ARG(key));
		free(s);
	}
	arena_free(&mem);
}

static void
restore(void *mem, struct span name, int64_t until)
{
	if (until > clock_wall().tv_sec && (table == NULL || hash_count(table) < SUSPENDED_MAX))
		tell(put(name, until, mem));
}

void
suspend_restore(void)
{
	struct arena *mem = arena_new();

	(void)suspended_read(restore, mem);
	arena_free(&mem);
}
