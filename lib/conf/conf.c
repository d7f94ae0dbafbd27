/*
 * conf.c - reads main.cf, keeps its settings, and answers for the value of any name.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/log.h"
#include "config.h"
#include "conf/conf.h"
#include "conf/conf_internal.h"
#include "conf/expand.h"
#include "conf/lines.h"
#include "conf/param.h"

#define TEST_DEPTH_MAX	100	/* defaults that are tested in the default of another */

struct conf conf;

static struct {
	struct arena *mem;		/* everything below; dropped by the next load */
	struct hash *settings;		/* main.cf and overrides: name to text, not expanded */
	struct hash *values;		/* name to expanded text */
	struct hash *ignored;		/* settings of what cannot be set */
	struct hash *overrides;		/* -o; survives a load, values on the heap */
	char *program;
	const char *directory;		/* of main.cf, NULL: the built-in one */
	unsigned depth;
	struct err default_error;
} state;

void
conf_set_program(const char *name)
{
	const char *slash = strrchr(name, '/');

	free(state.program);
	state.program = span_strdup(span_str(slash != NULL ? slash + 1 : name));
}

const char *
conf_program(void)
{
	if (state.program == NULL)
		conf_set_program(program_invocation_name);
	return state.program;
}

char *
conf_keep(const char *text)
{
	return span_cstr(span_str(text), state.mem);
}

void
conf_default_failed(const struct err *e)
{
	if (state.default_error.kind == ERR_NONE)
		state.default_error = *e;
}

void
conf_set_override(const char *name, const char *value)
{
	if (state.overrides == NULL)
		state.overrides = hash_new();
	free(hash_put(state.overrides, span_str(name), span_strdup(span_str(value))));
}

bool
conf_split_pair(struct span pair, struct span *name, struct span *value, const char **why)
{
	const struct span s = span_trim(pair);
	size_t n = 0;

	while (n < s.n && s.p[n] != '=' && !ascii_space(s.p[n]))
		n++;
	*name = span_to(s, n);
	*value = span_from(s, n);
	while (value->n > 0 && ascii_space(*value->p))
		*value = span_from(*value, 1);
	*why = n == 0 ? "missing attribute name" : "missing '=' after attribute name";
	if (n == 0 || !span_take_byte(value, '='))
		return false;
	*value = span_trim(*value);
	return true;
}

bool
conf_set_override_pair(const char *pair, struct err *e)
{
	struct span name, value;
	const char *why;
	char *n, *v;

	if (!conf_split_pair(span_str(pair), &name, &value, &why))
		return err_perm(e, "%s", why);
	n = span_strdup(name);
	v = span_strdup(value);
	conf_set_override(n, v);
	free(n);
	free(v);
	return true;
}

static void
forget(void)
{
	hash_free(&state.settings, NULL);
	hash_free(&state.values, NULL);
	hash_free(&state.ignored, NULL);
	arena_free(&state.mem);
	state.default_error = (struct err){0};
	conf = (struct conf){0};
}

void
conf_reset(void)
{
	forget();
	hash_free(&state.overrides, free);
}

static void
set(struct span name, struct span value)
{
	hash_put(state.settings, name, span_cstr(value, state.mem));
}

static bool
read_line(const struct lines *in, struct span line, struct err *e)
{
	struct span name, value;
	const char *why, *old;

	if (!conf_split_pair(line, &name, &value, &why))
		return err_perm(e, "%s, line %u: %s: \"%.*s\"", in->name, in->first, why, SPAN_ARG(span_trim(line)));
	old = hash_get(state.settings, name);
	if (old != NULL && !span_is(value, old))
		log_warning("%s, line %u: overriding earlier entry: %.*s=%s", in->name, in->first, SPAN_ARG(name), old);
	set(name, value);
	return true;
}

static bool
read_main_cf(const char *directory, struct err *e)
{
	const char *path = arena_printf(state.mem, "%s/main.cf", directory);
	struct lines in;
	struct span line;
	bool ok;

	if (!lines_open(&in, path, e))
		return false;
	ok = true;
	while (ok && lines_next(&in, &line))
		ok = read_line(&in, line, e);
	if (!lines_close(&in) && ok)
		ok = err_temp(e, "read %s: %s", path, strerror(errno));
	return ok;
}

static void
apply_overrides(void)
{
	struct span name;
	void *value;
	size_t pos = 0;

	while (state.overrides != NULL && hash_next(state.overrides, &pos, &name, &value))
		set(name, span_str(value));
}

static void
ignore(const char *name)
{
	void *text = hash_remove(state.settings, span_str(name));

	if (text != NULL)
		hash_put(state.ignored, span_str(name), text);
}

static void
start(void)
{
	forget();
	state.mem = arena_new();
	state.settings = hash_new();
	state.values = hash_new();
	state.directory = NULL;
	state.ignored = hash_new();
}

bool
conf_read(const char *directory, struct err *e)
{
	const char *from_env = getenv("MAIL_CONFIG");
	const bool chosen = directory != NULL || from_env != NULL;
	char *dir = span_strdup(span_str(directory != NULL ? directory : chosen ? from_env : DEF_CONFIG_DIRECTORY));
	bool ok;

	start();	/* directory may have been conf.config_directory, hence the copy */
	state.directory = chosen ? conf_keep(dir) : NULL;
	if (chosen)
		set(SPAN("config_directory"), span_str(dir));
	ok = read_main_cf(dir, e);
	free(dir);
	ignore("process_id");
	ignore("process_name");
	ignore("service_name");
	apply_overrides();
	return ok;
}

void
conf_read_nothing(void)
{
	start();
	apply_overrides();
}

const char *
conf_ignored(const char *name)
{
	return state.ignored != NULL ? hash_get(state.ignored, span_str(name)) : NULL;
}

bool
conf_load(const char *directory, struct err *e)
{
	if (!conf_read(directory, e))
		return false;
	/* Whatever main.cf says, it was read from there. */
	if (state.directory != NULL)
		set(SPAN("config_directory"), span_str(state.directory));
	if (!conf_fields_load(conf_program(), e))
		return false;
	log_set_utf8(conf.smtputf8_enable);
	return conf_defaults_ok(e);
}

bool
conf_defaults_ok(struct err *e)
{
	if (state.default_error.kind == ERR_NONE)
		return true;
	if (e != NULL)
		*e = state.default_error;
	return false;
}

const char *
conf_raw(const char *name)
{
	return state.settings != NULL ? hash_get(state.settings, span_str(name)) : NULL;
}

const char *
conf_default(const char *name)
{
	const struct param *p = param_find(name);

	if (p == NULL)
		return NULL;
	return p->type == PARAM_TYPE_COMPUTED ? conf_computed_default(name) : p->def;
}

bool
conf_next_set(size_t *pos, const char **name, const char **value)
{
	struct span key;
	void *text;

	if (state.settings == NULL || !hash_next(state.settings, pos, &key, &text))
		return false;
	*name = key.p;
	*value = text;
	return true;
}

static const char *
look_up(const char *name, enum expand_mode mode, void *arg)
{
	const char *text = conf_raw(name);

	(void)arg;
	if (text != NULL)
		return text;
	text = conf_default(name);
	/* ${name?..} asks whether the default comes to anything. */
	if (mode == EXPAND_TEST && text != NULL && strchr(text, '$') != NULL)
		text = conf_value_quietly(name);
	return text;
}

static bool
expand_text(const char *text, unsigned flags, struct buf *out, struct err *e)
{
	const size_t before = out->n;

	if ((expand(span_str(text), EXPAND_RECURSE | flags, look_up, NULL, out) & EXPAND_ERROR) == 0)
		return true;
	buf_cut(out, before);
	return err_perm(e, "dictionary mail_dict: macro processing error");
}

bool
conf_expand(const char *text, struct buf *out, struct err *e)
{
	return expand_text(text, 0, out, e);
}

bool
conf_expand_quietly(const char *text, struct buf *out)
{
	return expand_text(text, EXPAND_QUIET, out, NULL);
}

static const char *
value_of(const char *name, unsigned flags)
{
	const struct param *p = param_find(name);
	const char *value = state.values != NULL ? hash_get(state.values, span_str(name)) : NULL;
	struct buf out = {0};

	if (value != NULL || state.values == NULL)
		return value;
	value = conf_raw(name) != NULL ? conf_raw(name) : conf_default(name);
	if (value == NULL || (p != NULL && p->type == PARAM_TYPE_RAW))
		return value;
	if (strchr(value, '$') != NULL) {
		if (state.depth >= TEST_DEPTH_MAX)
			return NULL;
		state.depth++;
		value = expand_text(value, flags, &out, NULL) ? conf_keep(buf_cstr(&out)) : NULL;
		state.depth--;
		buf_free(&out);
	}
	if (value != NULL)
		hash_put(state.values, span_str(name), (void *)(uintptr_t)value);
	return value;
}

const char *
conf_value(const char *name)
{
	return value_of(name, 0);
}

const char *
conf_value_quietly(const char *name)
{
	return value_of(name, EXPAND_QUIET);
}

/* Values that are no default, but what happens as long as no code acts upon the parameter. */
static bool
is_done_anyway(const char *name, const char *value)
{
	static const struct {
		const char *name, *value;
	} rows[] = {
		{ "biff", "no" }, { "smtp_tls_security_level", "" }, { "smtp_tls_security_level", "none" },
		{ "lmtp_tls_security_level", "none" }, { "smtpd_tls_security_level", "none" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (strcmp(rows[i].name, name) == 0 && strcmp(rows[i].value, value) == 0)
			return true;
	return strcmp(value, conf_default(name)) == 0;
}

void
conf_warn_later(void)
{
	const char *name, *value;
	size_t pos = 0;

	while (conf_next_set(&pos, &name, &value)) {
		const struct param *p = param_find(name);

		if (p != NULL && param_is_later(p) && !is_done_anyway(name, value))
			log_warning("%s/main.cf: parameter %s is not acted upon yet", conf.config_directory, name);
	}
}

const char *
conf_pid_file(void)
{
	static char path[1024];

	(void)snprintf(path, sizeof path, "%s/master.pid", conf.process_id_directory);
	return path;
}
