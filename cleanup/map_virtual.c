/*
 * map_virtual.c - one address to many: virtual_alias_maps, again and again until nothing is found. Bounded by
 * virtual_alias_expansion_limit, virtual_alias_recursion_limit and virtual_alias_address_length_limit, because
 * tables may be made by strangers and may refer to themselves.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "base/log.h"
#include "cleanup/cleanup.h"
#include "conf/conf.h"
#include "smtp/address.h"

#define SHOWN_MAX	300		/* bytes of an unreasonable result in the log */
#define HELD_MAX	100000u		/* addresses: the limit is looked at between two, as in the reference, and here at once */

struct expansion {
	struct message *m;
	struct maps *maps;
	bool propagate;
	struct span origin;
	struct addresses *list;
	struct addresses final;		/* those of the list that are not looked up again: they stand for themselves */
};

static bool
unreasonable(struct expansion *x, const char *what, struct span shown)
{
	struct message *m = x->m;

	log_warning("%s: unreasonable %s %s%.*s -- message not accepted, try again later", m->id, maps_title(x->maps), what,
	    SPAN_ARG(shown));
	message_trouble(m, CLEANUP_STAT_DEFER, "4.6.0 Alias expansion error");
	return false;
}

static struct span
start_of(struct expansion *x, struct span address)
{
	struct span text = span_to(address_quote(address, x->m->mem), SHOWN_MAX);

	return span_str(arena_printf(x->m->mem, "%.*s...", SPAN_ARG(text)));
}

static bool
is_final(const struct expansion *x, struct span address)
{
	for (size_t i = 0; i < x->final.n; i++)
		if (span_ieq(x->final.p[i], address))
			return true;
	return false;
}

static bool
too_many(struct expansion *x)
{
	return x->list->n > (size_t)conf.virtual_alias_expansion_limit && !unreasonable(x, "map expansion size for ", address_quote(x->origin, x->m->mem));
}

/* Put the results in place of list[i]: the first there, the others at the end. False: beyond a limit. */
static bool
replace(struct expansion *x, size_t i, const struct addresses *found)
{
	struct span old = x->list->p[i];

	for (size_t k = 0; k < found->n; k++) {
		if (found->p[k].n > (size_t)conf.virtual_alias_address_length_limit)
			return unreasonable(x, "result ", start_of(x, found->p[k]));
		if (span_ieq(found->p[k], old))
			addresses_add(&x->final, old, x->m->mem);
		if (k > 0)
			addresses_add(x->list, found->p[k], x->m->mem);
	}
	x->list->p[i] = found->p[0];
	return x->list->n < HELD_MAX || !too_many(x);
}

/* Follow list[i] until it leads no further. */
static bool
follow(struct expansion *x, size_t i)
{
	struct addresses found = {0};

	for (int depth = 0; !is_final(x, x->list->p[i]); depth++) {
		if (depth >= conf.virtual_alias_recursion_limit)
			return unreasonable(x, "map nesting for ", address_quote(x->origin, x->m->mem));
		switch (map_find(x->m, x->maps, x->propagate, x->list->p[i], &found)) {
		case MAP_NOT_FOUND:
			return true;
		case MAP_FAILED:
			log_warning("%s: %s map lookup problem for %.*s -- message not accepted, try again later", x->m->id,
			    maps_title(x->maps), SPAN_ARG(address_quote(x->list->p[i], x->m->mem)));
			message_trouble(x->m, CLEANUP_STAT_WRITE, NULL);
			return false;
		case MAP_FOUND:
			break;
		}
		if (!replace(x, i, &found))
			return false;
	}
	return true;
}

bool
map_expand(struct message *m, struct maps *maps, bool propagate, struct span address, struct addresses *out)
{
	struct expansion x = { .m = m, .maps = maps, .propagate = propagate, .origin = address, .list = out };

	addresses_add(out, address, m->mem);
	for (size_t i = 0; i < out->n; i++)
		if (too_many(&x) || !follow(&x, i))
			return false;
	return true;
}
