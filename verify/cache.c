/*
 * cache.c - address_verify_map: one writer, this process. Trusts the table as far as its lines can be parsed.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/vec.h"
#include "conf/conf.h"
#include "map/map.h"
#include "verify/verify.h"

#define LAST_CLEANUP	"_LAST_CACHE_CLEANUP_COMPLETED_"
#define ENTRIES_A_TURN	100

static struct map *cache;

static struct {
	struct loop *loop;
	bool first;
	struct vec old;			/* char *, heap: removed at the end, so that the walk is not disturbed */
	long retained;
} pass;

/* Caches belong to the owner of the mail system, whoever opens them. */
static void
open_as_owner(const char *spec)
{
	const struct passwd *pw = geteuid() == 0 ? getpwnam(conf.mail_owner) : NULL;
	gid_t gid = getegid();

	if (pw != NULL && (setegid(pw->pw_gid) != 0 || seteuid(pw->pw_uid) != 0))
		log_fatal("seteuid %s: %s", conf.mail_owner, strerror(errno));
	cache = map_open(spec, MAP_WRITE | MAP_CREATE | MAP_DUP_REPLACE | MAP_FOLD | MAP_UTF8);
	if (pw != NULL && (seteuid(0) != 0 || setegid(gid) != 0))
		log_fatal("seteuid 0: %s", strerror(errno));
}

void
cache_open(void)
{
	open_as_owner(conf.address_verify_map[0] != '\0' ? conf.address_verify_map : "internal:verify");
	if (map_open_error(cache) != NULL)
		log_fatal("%s", map_open_error(cache));
}

bool
cache_get(struct span address, struct arena *mem, struct result *r)
{
	struct span value;
	struct err e = {0};

	switch (map_get(cache, address, mem, &value, &e)) {
	case MAP_FOUND:
		if (result_parse(value, r))
			return true;
		log_warning("%s: bad record for %.*s: %.*s", map_spec(cache), SPAN_ARG(address), SPAN_ARG(value));
		return false;
	case MAP_FAILED:
		log_warning("%s: lookup of %.*s: %s", map_spec(cache), SPAN_ARG(address), e.text);
		return false;
	default:
		return false;
	}
}

void
cache_put(struct span address, const struct result *r)
{
	struct arena *mem = arena_new();
	struct err e = {0};

	if (map_put(cache, address, result_text(r, mem), &e) == MAP_FAILED)
		log_warning("%s: update of %.*s: %s", map_spec(cache), SPAN_ARG(address), e.text);
	arena_free(&mem);
}

static void
forget(const char *address)
{
	struct err e = {0};

	if (map_delete(cache, span_str(address), &e) == MAP_FAILED)
		log_warning("%s: removal of %s: %s", map_spec(cache), address, e.text);
}

static void begin(void *arg, unsigned events);

static void
end_pass(void)
{
	struct arena *mem = arena_new();
	struct err e = {0};

	for (size_t i = 0; i < pass.old.n; i++) {
		forget(*VEC_AT(&pass.old, char *, i));
		free(*VEC_AT(&pass.old, char *, i));
	}
	log_info("cache %s full cleanup: retained=%ld dropped=%zu entries", map_spec(cache), pass.retained, pass.old.n);
	vec_free(&pass.old);
	(void)map_put(cache, SPAN(LAST_CLEANUP), span_str(arena_printf(mem, "%lld", (long long)clock_wall().tv_sec)), &e);
	arena_free(&mem);
	(void)loop_after(pass.loop, (int64_t)conf.address_verify_cache_cleanup_interval * 1000, begin, NULL);
}

static void
turn(void *arg, unsigned events)
{
	struct arena *mem = arena_new();
	struct span key, value;
	struct err e = {0};
	enum map_status status = MAP_FOUND;

	(void)arg;
	(void)events;
	for (int i = 0; i < ENTRIES_A_TURN; i++) {
		struct result r;

		status = map_next(cache, pass.first, mem, &key, &value, &e);
		pass.first = false;
		if (status != MAP_FOUND)
			break;
		if (span_iis(key, LAST_CLEANUP))
			continue;
		if (result_parse(value, &r) && !result_expired(&r, clock_wall().tv_sec))
			pass.retained++;
		else
			*(char **)vec_add(&pass.old) = span_strdup(key);
	}
	arena_free(&mem);
	if (status == MAP_FOUND)
		(void)loop_after(pass.loop, 0, turn, NULL);
	else
		end_pass();
}

static void
begin(void *arg, unsigned events)
{
	pass.first = true;
	pass.retained = 0;
	pass.old = VEC_INIT(char *);
	turn(arg, events);
}

void
cache_start_cleanup(struct loop *loop)
{
	struct arena *mem = arena_new();
	struct span value;
	struct err e = {0};
	int64_t last = 0, due;

	pass.loop = loop;
	if (conf.address_verify_cache_cleanup_interval > 0) {
		if (map_get(cache, SPAN(LAST_CLEANUP), mem, &value, &e) != MAP_FOUND || !span_to_i64(value, &last))
			last = clock_wall().tv_sec;
		due = last + conf.address_verify_cache_cleanup_interval - clock_wall().tv_sec;
		(void)loop_after(loop, due > 0 ? due * 1000 : 0, begin, NULL);
	}
	arena_free(&mem);
}
