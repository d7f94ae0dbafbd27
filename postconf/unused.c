/*
 * unused.c - warns for settings that nothing reads, and for names that will go.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "postconf/postconf.h"

static bool deprecated_seen;

static int
compare(const void *a, const void *b)
{
	return strcmp(((const struct setting *)a)->name, ((const struct setting *)b)->name);
}

static void
warn_setting(const char *file, const struct setting *s)
{
	bool removed = false;
	const char *instead = deprecated_instead(s->name, &removed);

	if (instead != NULL && removed)
		log_warning("%s: support for parameter %s has been removed; instead, %s", file, s->name, instead);
	else if (instead != NULL)
		log_warning("%s: support for parameter \"%s\" will be removed; instead, %s", file, s->name, instead);
	else if (row_find(s->name) == NULL && !name_is_used(s->name) && !is_legacy_name(s->name))
		log_warning("%s: unused parameter: %s=%s", file, s->name, s->value);
	deprecated_seen |= instead != NULL;
}

static void
see_readme(void)
{
	if (deprecated_seen)
		log_warning("See https://www.postfix.org/DEPRECATION_README.html for details");
	deprecated_seen = false;
}

void
warn_unused_main(void)
{
	struct vec settings = VEC_INIT(struct setting);
	struct setting s;
	size_t pos = 0;

	while (conf_next_set(&pos, &s.name, &s.value))
		*(struct setting *)vec_add(&settings) = s;
	if (settings.n > 0)
		qsort(settings.p, settings.n, sizeof(struct setting), compare);
	for (size_t i = 0; i < settings.n; i++)
		warn_setting(main_cf, VEC_AT(&settings, struct setting, i));
	vec_free(&settings);
}

void
warn_unused_master(void)
{
	for (size_t i = 0; i < entries.n; i++) {
		const struct vec *settings = &VEC_AT(&entries, struct entry, i)->settings;

		for (size_t k = 0; k < settings->n; k++)
			warn_setting(master_cf, VEC_AT(settings, struct setting, k));
	}
	see_readme();
}
