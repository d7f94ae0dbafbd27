/*
 * approved.h - which tables may be served: those that proxy_read_maps, or proxy_write_maps, name as "proxy:type:name".
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef PROXYMAP_APPROVED_H
#define PROXYMAP_APPROVED_H

#include <stdbool.h>

#include "base/span.h"

struct approved;

/* list: expanded value, any text with "proxy:type:name" words in it; braces keep a name together. */
struct approved *approved_new(struct span list);
void	approved_free(struct approved **);
/* table: "type:name" without proxy:. */
bool	approved_has(const struct approved *, struct span table);
/* fn once for each approved table. */
void	approved_each(const struct approved *, void (*fn)(struct span table));

#endif
