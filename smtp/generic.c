/*
 * generic.c - smtp_generic_maps: addresses as the outside is to see them, in the envelope and in the primary header.
 * Tables are the administrator's; headers are a stranger's, bounded by header_size_limit and header_address_token_limit.
 *
 * SPDX-License-Identifier: ISC
 */
#include "base/log.h"
#include "conf/conf.h"
#include "mail/rewrite.h"
#include "map/address_map.h"
#include "smtp/address.h"
#include "smtp/header.h"
#include "smtp/smtp.h"

#define RESULT_TOKENS	10240u

static struct maps *generic;
static bool propagate;

void
smtp_generic_init(void)
{
	struct span in = span_str(conf.propagate_unmatched_extensions), word;

	generic = maps_open("smtp_generic_maps", conf.smtp_generic_maps, MAP_FOLD | MAP_UTF8);
	while (span_take_word(&in, ", \t\r\n", &word))
		propagate = propagate || span_iis(word, "generic");
}

bool smtp_generic_wanted(void) { return maps_count(generic) > 0; }

static bool
is_local_domain(struct span domain, void *arg)
{
	struct arena *mem = arg;
	struct resolved to;

	if (span_iis(domain, conf.myorigin))
		return true;
	return resolve_address(SPAN_NULL, span_str(arena_printf(mem, "postmaster@%.*s", SPAN_ARG(domain))), false, mem, &to) &&
	    (to.flags & RESOLVE_CLASS_LOCAL) != 0;
}

/* What a table says, in internal form: its first address, "@domain" with the local part that it was asked for. */
static bool
take_result(struct span value, struct span address, struct span extension, struct arena *mem, struct span *out)
{
	struct address_list list = address_list_parse(value, RESULT_TOKENS, mem);
	struct span local, domain, standard;
	size_t i = 0;

	while (i < list.n && (list.p[i].kind != ADDRESS_MAILBOX || list.p[i].address.n == 0))
		i++;
	if (i == list.n)
		return false;
	struct span result = list.p[i].address;

	if (result.p[0] == '@' && !span_has(result, ':')) {
		(void)address_split(address, &local, &domain);
		if (extension.n > 0 && span_iends(local, extension))
			local.n -= extension.n;
		result = address_quote(span_str(arena_printf(mem, "%.*s%.*s", SPAN_ARG(local), SPAN_ARG(result))), mem);
	}
	if (!rewrite_external("local", result, mem, &standard))
		return false;
	*out = address_unquote(standard, mem);
	if (propagate && extension.n > 0 && address_split(*out, &local, &domain))
		*out = span_str(arena_printf(mem, "%.*s%.*s@%.*s", SPAN_ARG(local), SPAN_ARG(extension), SPAN_ARG(domain)));
	return true;
}

/* One lookup, not again what comes of it. */
static enum map_status
find(struct span *internal, struct arena *mem)
{
	struct address_keys keys = { .keys = ADDRESS_DEFAULT, .delimiters = conf.recipient_delimiter, .is_local = is_local_domain,
	    .arg = mem };
	struct span key = address_quote(*internal, mem), value, extension;

	if (internal->n == 0 || !smtp_generic_wanted())
		return MAP_NOT_FOUND;
	enum map_status st = address_map_get(generic, &keys, key, SPAN_NULL, mem, &value, &extension, NULL);

	if (st == MAP_FOUND && !take_result(value, *internal, extension, mem, internal))
		st = MAP_FAILED;
	if (st == MAP_FAILED)
		log_warning("%s map lookup problem for %.*s", maps_title(generic), SPAN_ARG(key));
	return st;
}

bool
smtp_generic_address(struct span *internal, struct arena *mem)
{
	return find(internal, mem) != MAP_FAILED;
}

bool
smtp_generic_header(struct span lines, struct arena *mem, struct buf *out)
{
	struct span value = lines, name;
	bool changed = false;

	if (!span_take_until(&value, ':', &name) || !header_has_addresses(name)) {
		buf_span(out, lines);
		return true;
	}
	struct address_list list = address_list_parse(value, (size_t)conf.header_address_token_limit, mem);

	for (size_t i = 0; i < list.n; i++) {
		if (list.p[i].kind != ADDRESS_MAILBOX || list.p[i].address.n == 0)
			continue;
		struct span mapped = address_unquote(list.p[i].address, mem);
		enum map_status st = find(&mapped, mem);

		if (st == MAP_FAILED)
			return false;
		if (st == MAP_NOT_FOUND)
			continue;
		changed = true;
		list.p[i].address = address_quote(mapped, mem);
	}
	if (!changed) {
		buf_span(out, lines);
		return true;
	}
	struct buf text = {0};

	buf_span(&text, name);
	buf_byte(&text, ':');
	address_list_print(&list, &text);
	buf_span(out, buf_view(&text));
	buf_free(&text);
	return true;
}
