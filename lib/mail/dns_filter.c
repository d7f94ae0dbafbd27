/*
 * dns_filter.c - the tables behind dns_set_filter(). The one action is IGNORE; anything else is a mistake of the
 * administrator's, and the lookup fails for the time being.
 *
 * SPDX-License-Identifier: ISC
 */
#include "base/log.h"
#include "mail/dns_filter.h"
#include "map/maps.h"
#include "net/dns.h"

static struct maps *tables;

static enum dns_filter_result
filter(const char *record, struct arena *mem)
{
	struct span value, word;

	switch (maps_get(tables, span_str(record), 0, mem, &value, NULL)) {
	case MAP_NOT_FOUND:
		return DNS_FILTER_KEEP;
	case MAP_FOUND:
		break;
	default:
		return DNS_FILTER_FAILED;
	}
	if (span_take_word(&value, " \t", &word) && span_iis(word, "IGNORE"))
		return DNS_FILTER_DROP;
	log_warning("%s: unknown DNS filter action: \"%s\"", maps_title(tables), span_cstr(word, mem));
	return DNS_FILTER_FAILED;
}

void
dns_filter_open(const char *title, const char *value)
{
	tables = maps_open(title, value, MAP_FOLD | MAP_UTF8);
	(void)dns_set_filter(maps_count(tables) > 0 ? filter : NULL);
}
