/*
 * map_find.c - the tables of cleanup(8), and one lookup of an address in one of them.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "base/log.h"
#include "cleanup/cleanup.h"
#include "conf/conf.h"
#include "mail/rewrite.h"
#include "map/address_map.h"
#include "smtp/address.h"

#define RESULT_TOKENS	100000u		/* of one lookup result; virtual_alias_expansion_limit bounds what becomes of it */

void
addresses_add(struct addresses *a, struct span address, struct arena *mem)
{
	struct span *grown;

	if (a->n == a->cap) {
		a->cap = a->cap == 0 ? 8 : a->cap * 2;
		grown = ARENA_ARRAY(mem, struct span, a->cap);
		if (a->n > 0)
			memcpy(grown, a->p, a->n * sizeof *grown);
		a->p = grown;
	}
	a->p[a->n++] = address;
}

/* The domains for which a table may list bare user names. */
static bool
is_local_domain(struct span domain, void *arg)
{
	struct message *m = arg;
	struct resolved to;

	if (span_iis(domain, conf.myorigin))
		return true;
	return resolve_address(SPAN_NULL, span_str(arena_printf(m->mem, "postmaster@%.*s", SPAN_ARG(domain))), false, m->mem, &to) &&
	    (to.flags & RESOLVE_CLASS_LOCAL) != 0;
}

/* user@domain to user+extension@domain */
static struct span
with_extension(struct span address, struct span extension, struct arena *mem)
{
	struct span local, domain;

	if (extension.n == 0)
		return address;
	if (!address_split(address, &local, &domain))
		return span_str(arena_printf(mem, "%.*s%.*s", SPAN_ARG(address), SPAN_ARG(extension)));
	return span_str(arena_printf(mem, "%.*s%.*s@%.*s", SPAN_ARG(local), SPAN_ARG(extension), SPAN_ARG(domain)));
}

/* "@other.domain" keeps the local part, but for the extension that the key lacked. */
static struct span
move_to_domain(struct span address, struct span extension, struct span at_domain, struct arena *mem)
{
	struct span local, domain;

	(void)address_split(address, &local, &domain);
	if (extension.n > 0 && span_iends(local, extension))
		local.n -= extension.n;
	return address_quote(span_str(arena_printf(mem, "%.*s%.*s", SPAN_ARG(local), SPAN_ARG(at_domain))), mem);
}

enum map_status
map_find(struct message *m, struct maps *maps, bool propagate, struct span address, struct addresses *out)
{
	struct address_keys keys = { .keys = ADDRESS_DEFAULT, .delimiters = conf.recipient_delimiter, .is_local = is_local_domain,
	    .arg = m };
	struct span key = address.n > 0 ? address_quote(address, m->mem) : SPAN("\"\""), value, extension;
	enum map_status status;

	if (maps_count(maps) == 0)
		return MAP_NOT_FOUND;
	status = address_map_get(maps, &keys, key, SPAN_NULL, m->mem, &value, &extension, NULL);
	if (status != MAP_FOUND)
		return status;
	struct address_list list = address_list_parse(value, RESULT_TOKENS, m->mem);

	out->n = 0;
	for (size_t i = 0; i < list.n; i++) {
		struct span result = list.p[i].address, standard;

		if (list.p[i].kind != ADDRESS_MAILBOX || result.n == 0)
			continue;
		if (result.p[0] == '@' && !span_has(result, ':'))
			result = move_to_domain(address, extension, result, m->mem);
		if (!rewrite_external("local", result, m->mem, &standard))
			return MAP_FAILED;
		standard = address_unquote(standard, m->mem);
		addresses_add(out, with_extension(standard, propagate ? extension : SPAN_NULL, m->mem), m->mem);
	}
	if (out->n > 0)
		return MAP_FOUND;
	log_warning("%s lookup of %.*s returns non-address result \"%.*s\"", maps_title(maps), SPAN_ARG(key), SPAN_ARG(value));
	return MAP_FAILED;
}
