/*
 * map_unix.c - unix:passwd.byname and unix:group.byname: the system's accounts as tables.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>

#include "map/type.h"

#define ENTRY_SIZE_MAX	(1u << 20)

static bool
unix_open(struct map *m, struct err *e)
{
	if (strcmp(m->name, "passwd.byname") == 0 || strcmp(m->name, "group.byname") == 0)
		return true;
	return err_perm(e, "unknown table: %s", m->spec);
}

/* rc of get*_r: what it means when there is no entry. */
static enum map_status
no_entry(int rc, struct err *e)
{
	if (rc == 0 || rc == ENOENT || rc == ESRCH || rc == EBADF || rc == EPERM)
		return MAP_NOT_FOUND;
	return MAP_TEMPORARY(e, "%s", strerror(rc));
}

static enum map_status
get_user(const char *name, struct arena *mem, struct span *value, struct err *e)
{
	struct passwd pw, *found = NULL;
	int rc = ERANGE;

	for (size_t size = 1024; rc == ERANGE && size <= ENTRY_SIZE_MAX; size *= 4)
		rc = getpwnam_r(name, &pw, arena_alloc(mem, size), size, &found);
	if (found == NULL)
		return no_entry(rc, e);
	*value = span_str(arena_printf(mem, "%s:%s:%lu:%lu:%s:%s:%s", pw.pw_name, pw.pw_passwd, (unsigned long)pw.pw_uid,
	    (unsigned long)pw.pw_gid, pw.pw_gecos, pw.pw_dir, pw.pw_shell));
	return MAP_FOUND;
}

static enum map_status
get_group(const char *name, struct arena *mem, struct span *value, struct err *e)
{
	struct group gr, *found = NULL;
	struct buf out = {0};
	int rc = ERANGE;

	for (size_t size = 1024; rc == ERANGE && size <= ENTRY_SIZE_MAX; size *= 4)
		rc = getgrnam_r(name, &gr, arena_alloc(mem, size), size, &found);
	if (found == NULL)
		return no_entry(rc, e);
	buf_printf(&out, "%s:%s:%lu:", gr.gr_name, gr.gr_passwd, (unsigned long)gr.gr_gid);
	for (char **member = gr.gr_mem; *member != NULL; member++)
		buf_printf(&out, "%s%s", member == gr.gr_mem ? "" : ",", *member);
	*value = span_copy(buf_view(&out), mem);
	buf_free(&out);
	return MAP_FOUND;
}

static enum map_status
unix_get(struct map *m, struct span key, struct arena *mem, struct span *value, struct err *e)
{
	const char *name = span_cstr(key, mem);

	return strcmp(m->name, "passwd.byname") == 0 ? get_user(name, mem, value, e) : get_group(name, mem, value, e);
}

const struct map_type map_type_unix = {
	.name = "unix",
	.properties = MAP_TYPE_FIXED,
	.open = unix_open,
	.get = unix_get,
};
