/*
 * instances.c - the primary instance and those that its main.cf lists.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "config.h"
#include "postmulti/postmulti.h"

struct arena *memory;
struct vec instances = { .size = sizeof(struct instance) };
struct shared shared;

static const char *
value_of(const char *name)
{
	const char *value = conf_value(name);

	return span_cstr(span_str(value != NULL ? value : ""), memory);
}

static struct instance
current(const char *config_directory)
{
	const char *enabled = value_of("multi_instance_enable");

	return (struct instance){
		.config_directory = span_cstr(span_str(config_directory), memory),
		.queue_directory = value_of("queue_directory"),
		.data_directory = value_of("data_directory"),
		.name = value_of("multi_instance_name"),
		.group = value_of("multi_instance_group"),
		.enabled = span_iis(span_str(enabled), "yes"),
		.primary = strcmp(config_directory, DEF_CONFIG_DIRECTORY) == 0,
	};
}

struct instance
instance_read(const char *config_directory)
{
	struct err e = {0};

	if (!conf_read(config_directory, &e)) {
		(void)fprintf(stderr, "%s/postconf: fatal: %s\n", shared.command_directory, e.text);
		log_fatal("Failed to obtain all required %s/main.cf parameters", config_directory);
	}
	return current(config_directory);
}

static void
add(struct instance one)
{
	*(struct instance *)vec_add(&instances) = one;
}

void
instances_load(void)
{
	const char *list;
	struct span rest, word;

	memory = arena_new();
	shared = (struct shared){
		.command_directory = value_of("command_directory"),
		.daemon_directory = value_of("daemon_directory"),
		.meta_directory = value_of("meta_directory"),
		.alternate_config_directories = value_of("alternate_config_directories"),
		.start_commands = conf.postmulti_start_commands,
		.stop_commands = conf.postmulti_stop_commands,
		.control_commands = conf.postmulti_control_commands,
		.wrapper = value_of("multi_instance_wrapper"),
		.syslog_name = value_of("syslog_name"),
	};
	/* Texts of struct conf end when another main.cf is read. */
	shared.start_commands = span_cstr(span_str(shared.start_commands), memory);
	shared.stop_commands = span_cstr(span_str(shared.stop_commands), memory);
	shared.control_commands = span_cstr(span_str(shared.control_commands), memory);
	list = value_of("multi_instance_directories");
	add(current(DEF_CONFIG_DIRECTORY));
	rest = span_str(list);
	while (span_take_word(&rest, ", \t\r\n", &word))
		add(instance_read(span_cstr(word, memory)));
}

struct instance *
instance_at(size_t i)
{
	return VEC_AT(&instances, struct instance, i);
}

struct instance *
instance_find(const char *name)
{
	for (size_t i = 0; i < instances.n; i++) {
		struct instance *at = instance_at(i);

		if (at->primary ? strcmp(name, "-") == 0 : false)
			return at;
		if ((*at->name != '\0' && strcmp(at->name, name) == 0) || strcmp(at->config_directory, name) == 0)
			return at;
	}
	return NULL;
}

const char *
instance_label(const struct instance *i)
{
	return i->config_directory;
}
