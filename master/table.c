/*
 * table.c - master.cf as running services; what changes when it is read again.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/log.h"
#include "conf/conf.h"
#include "master/master.h"

static struct master_cf current;
static struct vec services = { .size = sizeof(struct svc *) };

static const char *
type_name(enum master_type type)
{
	static const char *const names[] = { [MASTER_INET] = "inet", [MASTER_UNIX] = "unix", [MASTER_FIFO] = "fifo",
	    [MASTER_UNIX_DGRAM] = "unix-dgram", [MASTER_PASS] = "pass" };

	return names[type];
}

void
table_each(void (*fn)(struct svc *))
{
	for (size_t i = 0; i < services.n; i++)
		fn(*VEC_AT(&services, struct svc *, i));
}

static struct svc *
find(const char *key)
{
	for (size_t i = 0; i < services.n; i++) {
		struct svc *s = *VEC_AT(&services, struct svc *, i);

		if (strcmp(s->key, key) == 0)
			return s;
	}
	return NULL;
}

/* "name/type", "name" or "type" words of master_service_disable. */
static bool
is_disabled(const struct master_service *d)
{
	struct span list = span_str(conf.master_service_disable), word;
	char both[256], any[64];

	(void)snprintf(both, sizeof both, "%s/%s", d->name, type_name(d->type));
	(void)snprintf(any, sizeof any, "*/%s", type_name(d->type));
	while (span_take_word(&list, ", \t\r\n", &word))
		if (span_is(word, both) || span_is(word, type_name(d->type)) || span_is(word, any) || span_is(word, d->name))
			return true;
	return false;
}

static struct svc *
service_for(const struct master_service *d)
{
	char key[256];

	(void)snprintf(key, sizeof key, "%s/%s", d->name, type_name(d->type));
	struct svc *s = find(key);

	if (s != NULL && s->found)
		log_warning("duplicate master.cf entry for service \"%s\" (%s%s) -- using the last entry", d->name,
		    d->type == MASTER_INET ? "" : d->private ? "private/" : "public/", d->name);
	if (s == NULL) {
		s = calloc(1, sizeof *s);
		if (s == NULL)
			log_out_of_memory();
		s->key = strdup(key);
		*(struct svc **)vec_add(&services) = s;
	}
	s->def = d;
	s->found = true;
	return s;
}

static void
drop_missing(void)
{
	for (size_t i = services.n; i > 0; i--) {
		struct svc *s = *VEC_AT(&services, struct svc *, i - 1);

		if (s->found)
			continue;
		child_forget(s);
		vec_free(&s->endpoints);
		free(s->key);
		free(s);
		vec_remove(&services, i - 1);
	}
}

static void
mark_missing(struct svc *s)
{
	s->found = false;
}

static bool
open_all(struct err *e)
{
	for (size_t i = 0; i < services.n; i++) {
		struct svc *s = *VEC_AT(&services, struct svc *, i);

		if (!s->found)
			continue;
		vec_free(&s->endpoints);
		if (!endpoints_open(s, e))
			return false;
	}
	return true;
}

static void
note_level_defaults(const struct master_cf *cf)
{
	for (size_t i = 0; i < cf->n; i++)
		if (cf->service[i].chroot_by_level)
			log_info("%s: line %u: using backwards-compatible default setting chroot=y", cf->path, cf->service[i].line);
}

bool
table_load(bool reload, struct err *e)
{
	struct master_cf fresh = {0};

	if (!master_cf_load(&fresh, conf.config_directory, conf_level_below("1"), e)) {
		master_cf_free(&fresh);
		return false;
	}
	note_level_defaults(&fresh);
	table_each(mark_missing);
	endpoints_begin_reload();
	for (size_t i = 0; i < fresh.n; i++)
		if (!is_disabled(&fresh.service[i]))
			(void)service_for(&fresh.service[i]);
	/* Every host reads main.cf once, so each gets a successor; sessions in progress go on to their end. */
	if (reload)
		table_each(child_retire);
	bool ok = open_all(e);

	drop_missing();
	endpoints_end_reload();
	master_cf_free(&current);
	current = fresh;
	return ok;
}
