/*
 * name.c - queue file names against inode numbers: a name is unique because it is made from its file's inode.
 * Files that were copied or restored have names of others' inodes.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "postsuper/postsuper.h"

#define USEC_HEX	5u		/* digits of a short ID in front of the inode */

static bool
starts_with_usec(struct span id)
{
	for (size_t i = 0; i < USEC_HEX; i++)
		if (i >= id.n || ascii_hex(id.p[i]) < 0)
			return false;
	return true;
}

bool
name_for_inode(char out[QUEUE_ID_MAX], struct span id, ino_t inode, bool check_long, bool want_long)
{
	uint64_t now;
	bool is_long = queue_id_is_long(id);

	if (is_long ? want_long && (!check_long || (queue_id_inode(id, &now) && now == inode)) :
	    queue_id_inode(id, &now) && now == inode)
		return false;
	if (is_long)
		queue_id_renumber(out, id, inode, want_long);
	else if (starts_with_usec(id))
		(void)snprintf(out, QUEUE_ID_MAX, "%.*s%lX", (int)USEC_HEX, id.p, (unsigned long)inode);
	else
		(void)snprintf(out, QUEUE_ID_MAX, "%05X%lX", (unsigned)clock_wall().tv_usec, (unsigned long)inode);
	return true;
}

bool
name_unfinished(struct span name, struct span *id)
{
	if (!span_ends(name, SPAN(NAME_UNFINISHED)))
		return false;
	*id = span_to(name, name.n - strlen(NAME_UNFINISHED));
	return queue_id_valid(*id);
}
