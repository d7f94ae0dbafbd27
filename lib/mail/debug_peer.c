/*
 * debug_peer.c - more in the log for some peers. Trusts no name of a peer; a table that fails means no.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stddef.h>

#include "base/log.h"
#include "conf/conf.h"
#include "mail/debug_peer.h"
#include "map/match.h"

static struct match *list;
static int added;		/* to log_verbose, for the session at hand */

void
debug_peer_init(void)
{
	struct err e = {0};

	if (*conf.debug_peer_list != '\0' && list == NULL)
		list = match_open(MATCH_HOST, "debug_peer_list", conf.debug_peer_list, &e);
}

void
debug_peer_begin(const char *name, const char *address, const char *nexthop)
{
	debug_peer_end();
	if (list == NULL)
		return;
	if (match_host(list, span_str(name), span_str(address)) == MATCH_YES ||
	    (nexthop != NULL && match_host(list, span_str(nexthop), SPAN("")) == MATCH_YES))
		added = conf.debug_peer_level;
	log_verbose += added;
}

void
debug_peer_end(void)
{
	log_verbose -= added;
	added = 0;
}
