/*
 * map_canonical.c - one address to one address: canonical_maps and their variants, masquerade_domains; and the lookups
 * of *_bcc_maps.
 *
 * SPDX-License-Identifier: ISC
 */
#include "base/log.h"
#include "cleanup/cleanup.h"
#include "conf/conf.h"
#include "mail/rewrite.h"
#include "map/address_map.h"
#include "smtp/address.h"

#define ROUNDS_MAX	10		/* as in the reference */

static struct maps *canonical, *sender_canonical, *recipient_canonical, *sender_bcc, *recipient_bcc, *virtual_alias;
static unsigned canonical_classes, sender_classes, recipient_classes, masquerade_classes;
static bool propagate_canonical, propagate_virtual;

static unsigned
parse_classes(const char *name, const char *value)
{
	static const struct {
		const char *word;
		unsigned bit;
	} words[] = {
		{ "envelope_sender", ENVELOPE_SENDER }, { "envelope_recipient", ENVELOPE_RECIPIENT },
		{ "header_sender", HEADER_SENDER }, { "header_recipient", HEADER_RECIPIENT },
	};
	struct span in = span_str(value), word;
	unsigned bits = 0, bit;

	while (span_take_word(&in, ", \t\r\n", &word)) {
		bit = 0;
		for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
			if (span_iis(word, words[i].word))
				bit = words[i].bit;
		if (bit == 0)
			log_fatal("unknown %s value \"%.*s\" in \"%s\"", name, SPAN_ARG(word), value);
		bits |= bit;
	}
	return bits;
}

static bool
propagates(const char *class)
{
	struct span in = span_str(conf.propagate_unmatched_extensions), word;

	while (span_take_word(&in, ", \t\r\n", &word))
		if (span_iis(word, class))
			return true;
	return false;
}

void
map_init(void)
{
	const unsigned flags = MAP_FOLD | MAP_UTF8;

	canonical = maps_open("canonical_maps", conf.canonical_maps, flags);
	sender_canonical = maps_open("sender_canonical_maps", conf.sender_canonical_maps, flags);
	recipient_canonical = maps_open("recipient_canonical_maps", conf.recipient_canonical_maps, flags);
	sender_bcc = maps_open("sender_bcc_maps", conf.sender_bcc_maps, flags);
	recipient_bcc = maps_open("recipient_bcc_maps", conf.recipient_bcc_maps, flags);
	virtual_alias = maps_open("virtual_alias_maps", conf.virtual_alias_maps, flags);
	canonical_classes = parse_classes("canonical_classes", conf.canonical_classes);
	sender_classes = parse_classes("sender_canonical_classes", conf.sender_canonical_classes);
	recipient_classes = parse_classes("recipient_canonical_classes", conf.recipient_canonical_classes);
	masquerade_classes = parse_classes("masquerade_classes", conf.masquerade_classes);
	propagate_canonical = propagates("canonical");
	propagate_virtual = propagates("virtual");
}

static bool
lookup_failed(struct message *m, const struct maps *maps, struct span address)
{
	log_warning("%s: %s map lookup problem for %.*s -- message not accepted, try again later", m->id, maps_title(maps),
	    SPAN_ARG(address_quote(address, m->mem)));
	message_trouble(m, CLEANUP_STAT_WRITE, NULL);
	return false;
}

/* Again and again until nothing changes. */
static bool
map_one(struct message *m, struct maps *maps, struct span *address)
{
	struct addresses found = {0};

	if (maps_count(maps) == 0)
		return true;
	for (int round = 0; round < ROUNDS_MAX; round++) {
		struct span old = *address;

		switch (map_find(m, maps, propagate_canonical, old, &found)) {
		case MAP_NOT_FOUND:
			return true;
		case MAP_FAILED:
			return lookup_failed(m, maps, old);
		case MAP_FOUND:
			break;
		}
		if (found.n > 1)
			log_warning("%s: multi-valued %s entry for %.*s", m->id, maps_title(maps),
			    SPAN_ARG(address_quote(old, m->mem)));
		*address = found.p[0];
		if (span_ieq(old, *address) || old.n == 0)
			return true;
	}
	log_warning("%s: unreasonable %s map nesting for %.*s -- message not accepted, try again later", m->id, maps_title(maps),
	    SPAN_ARG(address_quote(*address, m->mem)));
	return true;
}

bool
map_canonical(struct message *m, enum address_class class, struct span address, struct span *out)
{
	bool recipient = (class & (ENVELOPE_RECIPIENT | HEADER_RECIPIENT)) != 0;

	*out = address;
	if ((m->flags & CLEANUP_FLAG_MAP_OK) == 0)
		return true;
	if (((recipient ? recipient_classes : sender_classes) & class) != 0 &&
	    !map_one(m, recipient ? recipient_canonical : sender_canonical, out))
		return false;
	if ((canonical_classes & class) != 0 && !map_one(m, canonical, out))
		return false;
	if ((masquerade_classes & class) != 0 && conf.masquerade_domains[0] != '\0')
		*out = masquerade(*out, conf.masquerade_domains, conf.masquerade_exceptions, m->mem);
	return true;
}

bool
map_virtual(struct message *m, struct span address, struct addresses *out)
{
	if ((m->flags & CLEANUP_FLAG_MAP_OK) == 0 || maps_count(virtual_alias) == 0) {
		addresses_add(out, address, m->mem);
		return true;
	}
	return map_expand(m, virtual_alias, propagate_virtual, address, out);
}

static bool
find_bcc(struct message *m, struct maps *maps, struct span address, struct span *out)
{
	struct address_keys keys = { .keys = ADDRESS_DEFAULT, .delimiters = conf.recipient_delimiter };
	enum map_status status;
	struct span value;

	*out = SPAN_NULL;
	if ((m->flags & CLEANUP_FLAG_BCC_OK) == 0 || maps_count(maps) == 0 || address.n == 0)
		return true;
	status = address_map_get(maps, &keys, address_quote(address, m->mem), SPAN_NULL, m->mem, &value, NULL, NULL);
	if (status == MAP_FOUND)
		*out = address_unquote(value, m->mem);
	if (status != MAP_FAILED)
		return true;
	log_warning("%s: %s map lookup problem -- message not accepted, try again later", m->id, maps_title(maps));
	message_trouble(m, CLEANUP_STAT_WRITE, NULL);
	return false;
}

bool map_sender_bcc(struct message *m, struct span sender, struct span *out) { return find_bcc(m, sender_bcc, sender, out); }
bool map_recipient_bcc(struct message *m, struct span rcpt, struct span *out) { return find_bcc(m, recipient_bcc, rcpt, out); }
