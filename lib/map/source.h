/*
 * source.h - the text that postmap(1) and texthash: read: "key white-space value", one logical line each.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAP_SOURCE_H
#define MAP_SOURCE_H

#include "base/arena.h"
#include "conf/lines.h"

struct source {
	struct lines in;
	const char *ignored;	/* appended to the warning for a bad line; "" for postmap */
	bool utf8;		/* lines must be UTF-8 */
};

/* The next good entry; bad lines are logged and skipped. Spans live until the next call. */
bool	source_next(struct source *, struct span *key, struct span *value);

/* Values of postmap -F and tls_server_sni_maps: names of files, and their content in base64. */
bool	source_read_files(struct span names, struct buf *base64, struct err *);
bool	base64_decode(struct span text, struct arena *, struct span *out);

#endif
