/*
 * param_table.c - every row of every params.def as one sorted table.
 *
 * SPDX-License-Identifier: ISC
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/span.h"
#include "conf/conf.h"
#include "conf/param.h"
#include "config.h"

#define TLS_PROGRAMS	"smtp lmtp smtpd tlsproxy posttls-finger"

#define ROW(readers, type, field, def, min, max, meaning, twin, later) \
	{ #field, def, readers, meaning, twin, offsetof(struct conf, field), min, max, PARAM_TYPE_##type, later },
#define PARAM(type, field, def, min, max, meaning) \
	ROW(PARAM_OWNER, type, field, def, min, max, meaning, NULL, false)
#define PARAM_LATER(type, field, def, min, max, meaning) \
	ROW(PARAM_OWNER, type, field, def, min, max, meaning, NULL, true)
#define PARAM_TWIN(type, field, twin, def, min, max, meaning) \
	ROW(PARAM_OWNER, type, field, def, min, max, meaning, #twin, true)
#define SHARED(readers, type, field, def, min, max, meaning) \
	ROW(readers, type, field, def, min, max, meaning, NULL, false)
#define SHARED_LATER(readers, type, field, def, min, max, meaning) \
	ROW(readers, type, field, def, min, max, meaning, NULL, true)

static struct param table[] = {
#include "conf/all_params.def"
};

#define FAMILY(type, suffix, def, min, max, meaning) { suffix, def, meaning, min, max, PARAM_TYPE_##type },
static const struct param_family families[] = {
#include "conf/families.def"
};

#define TABLE_SIZE	(sizeof table / sizeof table[0])
#define FAMILY_COUNT	(sizeof families / sizeof families[0])

static int
compare(const void *a, const void *b)
{
	return strcmp(((const struct param *)a)->name, ((const struct param *)b)->name);
}

/* The rows stand in the order of their files; names with a digit in front lose the prefix of their field. */
static void
prepare(void)
{
	static bool done;

	if (done)
		return;
	done = true;
	for (size_t i = 0; i < TABLE_SIZE; i++)
		if (strncmp(table[i].name, "p_", 2) == 0 && ascii_digit(table[i].name[2]))
			table[i].name += 2;
	qsort(table, TABLE_SIZE, sizeof table[0], compare);
	for (size_t i = 1; i < TABLE_SIZE; i++)
		assert(strcmp(table[i - 1].name, table[i].name) != 0);
}

const struct param *
param_all(size_t *n)
{
	prepare();
	*n = TABLE_SIZE;
	return table;
}

const struct param *
param_find(const char *name)
{
	const struct param key = { .name = name };

	prepare();
	return bsearch(&key, table, TABLE_SIZE, sizeof table[0], compare);
}

bool
param_is_later(const struct param *p)
{
	const struct param *twin = p->twin != NULL ? param_find(p->twin) : NULL;

	return twin != NULL ? twin->later : p->later;
}

bool
param_read_by(const struct param *p, const char *program)
{
	struct span left = span_str(p->readers), word;

	if (left.n == 0)
		return true;
	while (span_take_word(&left, " ", &word))
		if (span_is(word, program))
			return true;
	return false;
}

const struct param_family *
param_families(size_t *n)
{
	*n = FAMILY_COUNT;
	return families;
}

const struct param_family *
param_family_find(const char *name, size_t *service_len)
{
	const struct span whole = span_str(name);
	const struct param_family *best = NULL;
	size_t longest = 0;

	/* "_extra_recipient_limit" ends in "_recipient_limit": the longest suffix counts. */
	for (size_t i = 0; i < FAMILY_COUNT; i++) {
		const struct span suffix = span_str(families[i].suffix);

		if (suffix.n > longest && whole.n > suffix.n && span_ends(whole, suffix)) {
			best = &families[i];
			longest = suffix.n;
		}
	}
	if (best != NULL)
		*service_len = whole.n - longest;
	return best;
}
