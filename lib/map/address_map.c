/*
 * address_map.c - the keys of a mail address, one after the other. Each key goes through all tables of the
 * list before the next is tried; shortened keys only to tables with fixed keys.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "conf/conf.h"
#include "map/address_map.h"

void
address_split_extension(struct span local, const char *delimiters, struct span *base, struct span *extension)
{
	size_t n;

	*base = local;
	*extension = SPAN_NULL;
	if (delimiters == NULL || *delimiters == '\0' || span_iis(local, "mailer-daemon") || span_iis(local, "double-bounce"))
		return;
	if (conf.owner_request_special && strchr(delimiters, '-') != NULL &&
	    (span_istarts(local, SPAN("owner-")) || span_iends(local, SPAN("-request"))))
		return;
	n = span_find_any(local, delimiters);
	if (n == 0 || n == local.n)
		return;
	*base = span_to(local, n);
	*extension = span_from(local, n);
}

/* The address as it is written (local part quoted) and, when that differs, without quotes. */
struct form {
	struct span address, local, base, extension, domain;
	bool has_domain;
};

struct search {
	struct maps *maps;
	const struct address_keys *k;
	struct arena *mem;
	struct span *value;
	struct err *e;
	struct form form[2];
	size_t nforms;
	struct span missing;	/* extension that the key tried last lacks */
};

static enum map_status
try_key(struct search *s, struct span key, bool partial, struct span missing)
{
	s->missing = missing;
	return maps_get(s->maps, key, s->k->how | (partial ? MAPS_FIXED_ONLY : 0u), s->mem, s->value, s->e);
}

static struct span
join(struct arena *mem, struct span a, const char *between, struct span b)
{
	struct buf out = {0};
	struct span joined;

	buf_span(&out, a);
	buf_str(&out, between);
	buf_span(&out, b);
	joined = span_copy(buf_view(&out), mem);
	buf_free(&out);
	return joined;
}

/* Steps: each looks at one kind of key of one form. */

static enum map_status
try_full(struct search *s, const struct form *f)
{
	return try_key(s, f->address, false, SPAN_NULL);
}

static enum map_status
try_without_extension(struct search *s, const struct form *f)
{
	if (f->extension.n == 0)
		return MAP_NOT_FOUND;
	return try_key(s, f->has_domain ? join(s->mem, f->base, "@", f->domain) : f->base, true, f->extension);
}

static enum map_status
try_local_part(struct search *s, const struct form *f)
{
	enum map_status status;

	if (!f->has_domain || s->k->is_local == NULL || !s->k->is_local(f->domain, s->k->arg))
		return MAP_NOT_FOUND;
	status = try_key(s, f->local, true, SPAN_NULL);
	if (status == MAP_NOT_FOUND && f->extension.n > 0)
		status = try_key(s, f->base, true, f->extension);
	return status;
}

/* "@domain" stands for every local part: nothing is missing from it. */
static enum map_status
try_at_domain(struct search *s, const struct form *f)
{
	return f->has_domain ? try_key(s, join(s->mem, SPAN_NULL, "@", f->domain), true, SPAN_NULL) : MAP_NOT_FOUND;
}

/* The domain, then its parents in the form that the list asks for. */
static enum map_status
try_domains(struct search *s, const struct form *f)
{
	enum map_status status;
	struct span rest = f->domain;
	size_t dot;

	if (!f->has_domain)
		return MAP_NOT_FOUND;
	status = try_key(s, rest, true, SPAN_NULL);
	if ((s->k->keys & ADDRESS_PARENTS) == 0 || (rest.n > 0 && *rest.p == '['))
		return status;
	while (status == MAP_NOT_FOUND && (dot = span_find(rest, '.')) + 1 < rest.n) {
		status = try_key(s, span_from(rest, s->k->parents_match ? dot + 1 : dot), true, SPAN_NULL);
		rest = span_from(rest, dot + 1);
	}
	return status;
}

static enum map_status
try_user_at(struct search *s, const struct form *f)
{
	enum map_status status;

	if (!f->has_domain)
		return MAP_NOT_FOUND;
	status = try_key(s, join(s->mem, f->local, "@", SPAN_NULL), true, SPAN_NULL);
	if (status == MAP_NOT_FOUND && f->extension.n > 0)
		status = try_key(s, join(s->mem, f->base, "@", SPAN_NULL), true, f->extension);
	return status;
}

static const struct step {
	unsigned key;
	bool each_form;		/* the key depends on the local part */
	enum map_status (*fn)(struct search *, const struct form *);
} steps[] = {
	{ ADDRESS_FULL, true, try_full },
	{ ADDRESS_NOEXT, true, try_without_extension },
	{ ADDRESS_LOCALPART, true, try_local_part },
	{ ADDRESS_DOMAIN, false, try_at_domain },
	{ ADDRESS_DOMAIN_BARE, false, try_domains },
	{ ADDRESS_USER_AT, true, try_user_at },
};

static void
add_form(struct search *s, struct span address)
{
	struct form *f = &s->form[s->nforms++];
	const size_t at = span_rfind(address, '@');

	f->address = address;
	f->local = span_to(address, at);
	f->has_domain = at < address.n;
	f->domain = span_from(address, f->has_domain ? at + 1 : at);
	address_split_extension(f->local, s->k->delimiters, &f->base, &f->extension);
}

enum map_status
address_map_get(struct maps *maps, const struct address_keys *k, struct span address, struct span internal,
    struct arena *mem, struct span *value, struct span *extension, struct err *e)
{
	struct search s = { .maps = maps, .k = k, .mem = mem, .value = value, .e = e };
	enum map_status status = MAP_NOT_FOUND;

	add_form(&s, address);
	if (k->internal_too && internal.p != NULL && !span_eq(internal, address))
		add_form(&s, internal);
	maps_hold(maps, true);
	for (size_t i = 0; status == MAP_NOT_FOUND && i < sizeof steps / sizeof steps[0]; i++) {
		if ((k->keys & steps[i].key) == 0)
			continue;
		for (size_t f = 0; status == MAP_NOT_FOUND && f < (steps[i].each_form ? s.nforms : 1); f++)
			status = steps[i].fn(&s, &s.form[f]);
	}
	maps_hold(maps, false);
	if (extension != NULL)
		*extension = status == MAP_FOUND ? s.missing : SPAN_NULL;
	return status;
}
