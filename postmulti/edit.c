/*
 * edit.c - "postmulti -e": what the actions have in common, and those that only change a parameter.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/conf.h"
#include "config.h"
#include "postmulti/postmulti.h"

enum {
	NEEDS_INSTANCE = 1,	/* -i */
	NEEDS_NAME = 2,		/* -I or -G */
	MAY_NAME = 4,
	SECONDARY = 8,		/* not the primary one */
	MANAGED = 16,		/* only after -e init */
	DISABLED = 32,		/* only when not enabled */
};

static void do_init(struct instance *, char *const settings[]);
static void do_create(struct instance *, char *const settings[]);
static void do_import(struct instance *, char *const settings[]);
static void do_destroy(struct instance *, char *const settings[]);
static void do_deport(struct instance *, char *const settings[]);
static void do_assign(struct instance *, char *const settings[]);
static void do_enable(struct instance *, char *const settings[]);
static void do_disable(struct instance *, char *const settings[]);

static const struct action {
	const char *name;
	unsigned flags;
	const char *settings;	/* that it takes */
	void (*run)(struct instance *, char *const settings[]);
} actions[] = {
	{ "create", MAY_NAME, "config_directory queue_directory data_directory", do_create },
	{ "destroy", NEEDS_INSTANCE | SECONDARY | MANAGED | DISABLED, NULL, do_destroy },
	{ "import", MAY_NAME, "config_directory", do_import },
	{ "deport", NEEDS_INSTANCE | SECONDARY | MANAGED | DISABLED, NULL, do_deport },
	{ "enable", NEEDS_INSTANCE, NULL, do_enable },
	{ "disable", NEEDS_INSTANCE, NULL, do_disable },
	{ "assign", NEEDS_INSTANCE | NEEDS_NAME | MAY_NAME, NULL, do_assign },
	{ "init", 0, NULL, do_init },
};

void
set_parameters(const char *config_directory, char *const settings[])
{
	struct vec argv = VEC_INIT(char *);

	*(char **)vec_add(&argv) = arena_printf(memory, "%s/postconf", shared.command_directory);
	*(char **)vec_add(&argv) = "-c";
	*(const char **)vec_add(&argv) = config_directory;
	for (; *settings != NULL; settings++)
		*(char **)vec_add(&argv) = *settings;
	(void)vec_add(&argv);
	const int status = run_for(instance_at(0), argv.p);

	vec_free(&argv);
	if (status != 0)
		exit(status);		/* postconf said why */
}

static void
set_one(const char *config_directory, const char *name, const char *value)
{
	char *settings[] = { "-e", arena_printf(memory, "%s=%s", name, value), NULL };

	set_parameters(config_directory, settings);
}

static const struct action *
find_action(void)
{
	for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
		if (strcmp(actions[i].name, opt.action) == 0)
			return &actions[i];
	log_fatal("Invalid '-e' edit action '%s'. Specify 'create', 'destroy', 'import', 'deport', 'enable', 'disable', "
	    "'assign' or 'init'", opt.action);
}

static void
check_setting(const struct action *a, const char *setting)
{
	const char *why, *name;
	struct span n, v;

	if (!conf_split_pair(span_str(setting), &n, &v, &why))
		log_fatal("Malformed parameter setting '%s'", setting);
	name = span_cstr(n, memory);
	if (!span_lists(span_str(a->settings), name))
		log_fatal("Parameter '%s' not valid with action %s", name, a->name);
	if (v.n == 0 || *v.p != '/')
		log_fatal("Parameter setting '%s' is not an absolute path", name);
}

static void
check_name(const char *name)
{
	if (strcmp(name, "-") == 0)
		return;
	if (strncmp(name, "postfix-", strlen("postfix-")) != 0)
		log_fatal("New instance name must start with 'postfix-'");
	if (strchr(name, '/') != NULL)
		log_fatal("Illegal '/' character in new instance name: '%s'", name);
}

static void
check_action(const struct action *a, char *const settings[])
{
	if (a->settings == NULL && settings[0] != NULL)
		log_fatal("Parameter overrides not valid with '-e %s'", a->name);
	for (; *settings != NULL; settings++)
		check_setting(a, *settings);
	if ((a->flags & MAY_NAME) == 0 && (opt.new_name != NULL || opt.new_group != NULL))
		log_fatal("Cannot assign instance name or group with '-e %s'", a->name);
	if ((a->flags & NEEDS_NAME) != 0 && opt.new_name == NULL && opt.new_group == NULL)
		log_fatal("Specify new instance name or group with '-e assign'");
	if ((a->flags & NEEDS_INSTANCE) != 0 && opt.name == NULL)
		log_fatal("Select an instance via '-i name'");
	if (opt.new_name != NULL)
		check_name(opt.new_name);
}

/* Refusals of what Postfix has as a script of its own. */
static void
need_management(void)
{
	speak_as_script(true);
	if (*shared.wrapper == '\0')
		log_fatal("multi_instance_wrapper is empty, run 'postmulti -e init' first.");
	if (!instance_at(0)->enabled)
		log_fatal("multi_instance_enable!=yes, run 'postmulti -e init' first.");
	speak_as_script(false);
}

void
edit_instances(char *const settings[])
{
	const struct action *a = find_action();
	struct instance *i = NULL;

	check_action(a, settings);
	if ((a->flags & NEEDS_INSTANCE) != 0 && (i = instance_find(opt.name)) == NULL)
		log_fatal("No instance named %s", opt.name);
	if (i != NULL && (a->flags & SECONDARY) != 0 && i->primary)
		log_fatal("Cannot remove the primary instance");
	if (i != NULL && (a->flags & DISABLED) != 0 && i->enabled)
		log_fatal("Cannot remove enabled instances");
	if ((a->flags & MANAGED) != 0)
		need_management();
	a->run(i, settings);
}

static void
do_init(struct instance *i, char *const none[])
{
	char *settings[] = { "-e", "multi_instance_wrapper=${command_directory}/postmulti -p --", "multi_instance_enable=yes", NULL };

	(void)i;
	(void)none;
	if (*shared.wrapper == '\0' || !instance_at(0)->enabled)
		set_parameters(DEF_CONFIG_DIRECTORY, settings);
}

static void
do_enable(struct instance *i, char *const none[])
{
	(void)none;
	set_one(i->config_directory, "multi_instance_enable", "yes");
}

static void
do_disable(struct instance *i, char *const none[])
{
	(void)none;
	set_one(i->config_directory, "multi_instance_enable", "no");
}

/* -I and -G: "-" is none. */
static void
assign(const struct instance *i)
{
	char *settings[4] = { "-e" };
	size_t n = 1;

	if (opt.new_name != NULL)
		settings[n++] = arena_printf(memory, "multi_instance_name=%s", strcmp(opt.new_name, "-") == 0 ? "" : opt.new_name);
	if (opt.new_group != NULL)
		settings[n++] = arena_printf(memory, "multi_instance_group=%s", strcmp(opt.new_group, "-") == 0 ? "" : opt.new_group);
	if (n > 1)
		set_parameters(i->config_directory, settings);
}

static void
check_name_is_new(const struct instance *new)
{
	const struct instance *other;

	if (opt.new_name == NULL || strcmp(opt.new_name, "-") == 0)
		return;
	other = instance_find(opt.new_name);
	if (other != NULL && other != new)
		log_fatal("instance %s, multi_instance_name=%s conflicts with instance %s, multi_instance_name=%s",
		    new->config_directory, opt.new_name, instance_label(other), opt.new_name);
}

static void
do_assign(struct instance *i, char *const none[])
{
	(void)none;
	check_name_is_new(i);
	assign(i);
}

/* Write the list of secondary instances: without one of them, or with a new one at its place. */
static void
write_list(const struct instance *without, const struct instance *new, size_t place)
{
	struct buf list = {0};

	for (size_t n = 1; n <= instances.n; n++) {
		if (new != NULL && n == place)
			buf_printf(&list, "%s%s", list.n > 0 ? " " : "", new->config_directory);
		if (n < instances.n && instance_at(n) != without)
			buf_printf(&list, "%s%s", list.n > 0 ? " " : "", instance_at(n)->config_directory);
	}
	set_one(DEF_CONFIG_DIRECTORY, "multi_instance_directories", buf_cstr(&list));
	buf_free(&list);
}

/* Before which one a new instance is put: -a the first, -g the group's first, -i that one, else behind the last. */
static size_t
place_for_new(void)
{
	if (opt.all)
		return 1;
	if (opt.group == NULL && opt.name == NULL)
		return instances.n;
	for (size_t n = 1; n < instances.n; n++)
		if (opt.group != NULL ? strcmp(instance_at(n)->group, opt.group) == 0 : instance_find(opt.name) == instance_at(n))
			return n;
	log_fatal("No matching secondary instances");
}

/* Value of a setting among the arguments, else a sibling of the primary instance's directory, named like the instance. */
static const char *
directory_for(const char *parameter, const char *of_primary, char *const settings[])
{
	struct span name, value;
	const char *why;

	for (; *settings != NULL; settings++)
		if (conf_split_pair(span_str(*settings), &name, &value, &why) && span_is(name, parameter))
			return span_cstr(value, memory);
	if (opt.new_name == NULL || strcmp(opt.new_name, "-") == 0)
		log_fatal("Missing %s parameter value", parameter);
	return arena_printf(memory, "%.*s/%s", (int)span_rfind(span_str(of_primary), '/'), of_primary, opt.new_name);
}

static void
check_conflict(const struct instance *new, const char *parameter, const char *value)
{
	for (size_t n = 0; n < instances.n; n++) {
		const struct instance *i = instance_at(n);
		const struct {
			const char *name, *value;
		} taken[] = { { "config_directory", i->config_directory }, { "queue_directory", i->queue_directory },
		    { "data_directory", i->data_directory } };

		for (size_t k = 0; k < 3; k++)
			if (strcmp(taken[k].value, value) == 0)
				log_fatal("instance %s, %s=%s conflicts with instance %s, %s=%s", new->config_directory, parameter,
				    value, instance_label(i), taken[k].name, taken[k].value);
	}
}

static void
check_conflicts(const struct instance *new)
{
	for (size_t n = 0; n < instances.n; n++)
		if (strcmp(instance_at(n)->config_directory, new->config_directory) == 0)
			log_fatal("new config_directory=%s is already in use by instance %s, config_directory=%s",
			    new->config_directory, instance_label(instance_at(n)), instance_at(n)->config_directory);
	check_name_is_new(new);
	check_conflict(new, "config_directory", new->config_directory);
	check_conflict(new, "queue_directory", new->queue_directory);
	check_conflict(new, "data_directory", new->data_directory);
}

static const char *
without_word(const char *list, const char *word)
{
	struct span rest = span_str(list), one;
	struct buf out = {0};

	while (span_take_word(&rest, ", \t\r\n", &one))
		if (!span_is(one, word))
			buf_printf(&out, "%s%.*s", out.n > 0 ? " " : "", SPAN_ARG(one));
	const char *result = span_cstr(buf_view(&out), memory);

	buf_free(&out);
	return result;
}

/* Set-gid commands find it in the list of instances, or need it no more. */
static void
forget_alternate(const struct instance *i)
{
	if (span_lists(span_str(shared.alternate_config_directories), i->config_directory))
		set_one(DEF_CONFIG_DIRECTORY, "alternate_config_directories",
		    without_word(shared.alternate_config_directories, i->config_directory));
}

static void
join(const struct instance *new, size_t place)
{
	/* There is no old name to take away. */
	if (opt.new_name != NULL && strcmp(opt.new_name, "-") == 0 && *new->name == '\0')
		opt.new_name = NULL;
	if (opt.new_group != NULL && strcmp(opt.new_group, "-") == 0 && *new->group == '\0')
		opt.new_group = NULL;
	assign(new);
	write_list(NULL, new, place);
	forget_alternate(new);
	instance_set_permissions(new);
}

static void
do_import(struct instance *none, char *const settings[])
{
	const struct instance *primary = instance_at(0);
	const char *directory = directory_for("config_directory", primary->config_directory, settings);
	const size_t place = place_for_new();

	(void)none;
	for (size_t n = 0; n < instances.n; n++)
		if (strcmp(instance_at(n)->config_directory, directory) == 0)
			log_fatal("new config_directory=%s is already in use by instance %s, config_directory=%s", directory,
			    instance_label(instance_at(n)), directory);
	const struct instance new = instance_read(directory);

	check_conflicts(&new);
	need_management();
	join(&new, place);
}

static bool
has_both_files(const char *directory)
{
	return access(arena_printf(memory, "%s/main.cf", directory), F_OK) == 0 &&
	    access(arena_printf(memory, "%s/master.cf", directory), F_OK) == 0;
}

static void
do_create(struct instance *none, char *const settings[])
{
	const struct instance *primary = instance_at(0);
	struct instance new = { .config_directory = directory_for("config_directory", primary->config_directory, settings),
	    .name = "", .group = "" };
	const size_t place = place_for_new();

	(void)none;
	new.queue_directory = directory_for("queue_directory", primary->queue_directory, settings);
	new.data_directory = directory_for("data_directory", primary->data_directory, settings);
	if (has_both_files(new.config_directory)) {
		do_import(NULL, settings);
		return;
	}
	check_conflicts(&new);
	need_management();
	instance_create(&new);
	join(&new, place);
}

/* Set-gid commands may go on using the directory, which the list allowed so far. */
static void
do_deport(struct instance *i, char *const none[])
{
	(void)none;
	write_list(i, NULL, 0);
	if (!span_lists(span_str(shared.alternate_config_directories), i->config_directory))
		set_one(DEF_CONFIG_DIRECTORY, "alternate_config_directories", arena_printf(memory, "%s%s%s",
		    shared.alternate_config_directories, *shared.alternate_config_directories != '\0' ? " " : "",
		    i->config_directory));
}

static void
do_destroy(struct instance *i, char *const none[])
{
	(void)none;
	instance_destroy(i);
	write_list(i, NULL, 0);
	forget_alternate(i);
}
