/*
 * user_acl.c - local users against a match list of main.cf.
 *
 * SPDX-License-Identifier: ISC
 */
#include <pwd.h>
#include <string.h>

#include "mail/user_acl.h"
#include "map/match.h"

const char *
user_name(uid_t uid, struct arena *mem)
{
	const struct passwd *pw = getpwuid(uid);

	return pw != NULL ? span_cstr(span_str(pw->pw_name), mem) : arena_printf(mem, "%u", uid);
}

bool
user_allowed(const char *parameter, const char *list, const char *name)
{
	struct err e = {0};

	if (strcmp(list, "static:anyone") == 0)
		return true;
	struct match *m = match_open(MATCH_STRING, parameter, list, &e);
	const bool yes = match_name(m, span_str(name)) == MATCH_YES;

	match_free(&m);
	return yes;
}
