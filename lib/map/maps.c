/*
 * maps.c - ordered lists of tables.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>

#include "base/log.h"
#include "base/vec.h"
#include "map/list.h"
#include "map/maps.h"

struct maps {
	char *title;
	struct vec tables;	/* struct map * */
	const struct map *last;
};

struct maps *
maps_open(const char *title, const char *value, unsigned flags)
{
	struct maps *list = calloc(1, sizeof *list);
	struct span rest = span_str(value), word;

	if (list == NULL)
		log_out_of_memory();
	list->title = span_strdup(span_str(title));
	list->tables = VEC_INIT(struct map *);
	while (span_take_word_braced(&rest, LIST_SEPARATORS, &word)) {
		char *spec = span_strdup(word);

		*(struct map **)vec_add(&list->tables) = map_open(spec, flags);
		free(spec);
	}
	return list;
}

void
maps_free(struct maps **lp)
{
	struct maps *list = *lp;

	*lp = NULL;
	if (list == NULL)
		return;
	for (size_t i = 0; i < list->tables.n; i++)
		map_close(VEC_AT(&list->tables, struct map *, i));
	vec_free(&list->tables);
	free(list->title);
	free(list);
}

size_t maps_count(const struct maps *list) { return list->tables.n; }
const char *maps_title(const struct maps *list) { return list->title; }
const struct map *maps_last(const struct maps *list) { return list->last; }

/* With others in the list a get may wait for a server. */
void
maps_hold(struct maps *list, bool on)
{
	if (list->tables.n == 1)
		map_hold(*VEC_AT(&list->tables, struct map *, 0), on);
}

enum map_status
maps_get(struct maps *list, struct span key, unsigned how, struct arena *mem, struct span *value, struct err *e)
{
	if (key.n == 0)
		return MAP_NOT_FOUND;
	for (size_t i = 0; i < list->tables.n; i++) {
		struct map *m = *VEC_AT(&list->tables, struct map *, i);
		enum map_status status;

		if ((how & MAPS_FIXED_ONLY) && !map_has_fixed_keys(m))
			continue;
		status = map_get(m, key, mem, value, e);
		if (status == MAP_NOT_FOUND)
			continue;
		list->last = m;
		if (status == MAP_FAILED) {
			log_warning("%s lookup error for \"%.*s\"", map_spec(m), SPAN_ARG(key));
		} else if (value->n == 0 && (how & MAPS_ALLOW_EMPTY) == 0) {
			log_warning("%s lookup of %.*s returns an empty string result", list->title, SPAN_ARG(key));
			log_warning("%s should return NO RESULT in case of NOT FOUND", list->title);
			(void)err_perm(e, "empty string result");
			status = MAP_FAILED;
		}
		return status;
	}
	return MAP_NOT_FOUND;
}

bool
maps_changed(const struct maps *list)
{
	for (size_t i = 0; i < list->tables.n; i++)
		if (map_changed(*VEC_AT(&list->tables, struct map *, i)))
			return true;
	return false;
}

bool
maps_restart_wanted(void)
{
	const char *name = map_any_changed();

	if (name != NULL)
		log_info("table %s has changed -- restarting", name);
	return name != NULL;
}
