/*
 * sender.c - local_login_sender_maps: which envelope senders a login name may give. The tables are read with the rights that a
 * set-gid program has: those of the user and of setgid_group.
 *
 * SPDX-License-Identifier: ISC
 */
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "conf/conf.h"
#include "mail/cleanup_client.h"
#include "map/address_map.h"
#include "postdrop/postdrop.h"
#include "smtp/address.h"

/* Whatever the user writes behind his own name: "user+ext@domain" without "+ext". */
static struct span
without_extension(struct span sender, struct arena *mem)
{
	struct span local, domain, base, extension;
	const bool has_domain = address_split(sender, &local, &domain);

	address_split_extension(local, conf.recipient_delimiter, &base, &extension);
	if (extension.n == 0)
		return sender;
	return span_str(arena_printf(mem, "%.*s%s%.*s", SPAN_ARG(base), has_domain ? "@" : "", SPAN_ARG(domain)));
}

static bool
matches(struct span pattern, struct span sender, struct arena *mem)
{
	if (span_is(pattern, "*"))
		return true;
	if (sender.n == 0 || span_iis(pattern, conf.empty_address_local_login_sender_maps_lookup_key))
		return sender.n == 0 && span_iis(pattern, conf.empty_address_local_login_sender_maps_lookup_key);
	if (span_is(pattern, "<>"))
		return false;
	if (pattern.p[0] == '@')
		return span_ieq(pattern, span_from(sender, span_rfind(sender, '@')));
	return span_ieq(address_unquote(pattern, mem), without_extension(sender, mem));
}

/* The next pattern; blanks and commas in quotes belong to it. */
static bool
take_pattern(struct span *list, struct span *pattern)
{
	size_t n = 0;
	bool quoted = false;

	while (list->n > 0 && (list->p[0] == ',' || ascii_space(list->p[0])))
		*list = span_from(*list, 1);
	for (; n < list->n && (quoted || (list->p[n] != ',' && !ascii_space(list->p[n]))); n++) {
		if (list->p[n] == '\\' && n + 1 < list->n)
			n++;
		else if (list->p[n] == '"')
			quoted = !quoted;
	}
	*pattern = span_to(*list, n);
	*list = span_from(*list, n);
	return n > 0;
}

static const char *
login_name(struct arena *mem)
{
	const struct passwd *pw = getpwuid(getuid());

	return pw != NULL ? arena_printf(mem, "%s", pw->pw_name) : arena_printf(mem, "uid:%u", getuid());
}

unsigned
sender_check(struct span sender, struct arena *mem, const char **reason)
{
	struct maps *maps;
	struct span list = SPAN_NULL, pattern;
	struct err e = {0};
	enum map_status found;

	if (strcmp(conf.local_login_sender_maps, "static:*") == 0)
		return CLEANUP_STAT_OK;
	maps = maps_open("local_login_sender_maps", conf.local_login_sender_maps, MAP_FOLD | MAP_UTF8);
	found = maps_get(maps, span_str(login_name(mem)), 0, mem, &list, &e);
	if (found == MAP_FAILED)
		*reason = arena_printf(mem, "local_login_sender_maps table lookup error for '%s'", map_spec(maps_last(maps)));
	maps_free(&maps);
	if (found == MAP_FAILED)
		return CLEANUP_STAT_WRITE;
	while (take_pattern(&list, &pattern))
		if (matches(pattern, sender, mem))
			return CLEANUP_STAT_OK;
	*reason = arena_printf(mem, "not authorized to use sender='%.*s'", SPAN_ARG(span_printable(sender, mem)));
	return CLEANUP_STAT_NOPERM;
}
