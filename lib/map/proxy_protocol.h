/*
 * proxy_protocol.h - what proxymap(8) and the table type proxy: say to each other in proxy_* messages.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAP_PROXY_PROTOCOL_H
#define MAP_PROXY_PROTOCOL_H

#include "map/map.h"

enum proxy_status {
	PROXY_OK = 0,
	PROXY_NO_KEY = 1,
	PROXY_RETRY = 2,	/* the table cannot tell now */
	PROXY_BAD = 3,		/* malformed request */
	PROXY_DENIED = 4,	/* the table is not approved */
	PROXY_CONFIG = 5,	/* the table is broken, or cannot do that */
};

/* proxy_result.flags */
enum { PROXY_FIXED_KEYS = 1 };

/* How a client may want a table opened; the server ignores other flags. */
#define PROXY_READ_FLAGS	(MAP_FOLD | MAP_UTF8 | MAP_NO_SUBSTITUTE)
#define PROXY_WRITE_FLAGS	(PROXY_READ_FLAGS | MAP_WRITE | MAP_CREATE | MAP_DUP_WARN | MAP_DUP_IGNORE | MAP_DUP_REPLACE)

#endif
