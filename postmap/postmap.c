/*
 * postmap.c - builds, queries and edits lookup tables; as postalias(1), alias databases.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/buf.h"
#include "conf/conf.h"
#include "conf/environment.h"
#include "postmap/postmap.h"
#include "service/logging.h"

static _Noreturn void
usage(const struct options *o)
{
	if (o->aliases)
		log_fatal("usage: postalias [-Nfinoprsuvw] [-c config_dir] [-d key] [-q key] [map_type:]file...");
	log_fatal("usage: postmap [-bfFhimnNoprsuUvw] [-c config_dir] [-d key] [-q key] [map_type:]file...");
}

static void
one_action(const struct options *o)
{
	if (o->incremental || o->sequence || o->query != NULL || o->remove != NULL)
		log_fatal("specify only one of -d -i -q or -s");
}

static void
duplicates(struct options *o, unsigned how)
{
	o->flags &= ~(unsigned)(MAP_DUP_WARN | MAP_DUP_IGNORE | MAP_DUP_REPLACE);
	o->flags |= how;
}

/* Letters that only set something. False: not one of them. */
static bool
simple_option(struct options *o, int letter)
{
	switch (letter) {
	case 'b':
		o->body = true;
		return true;
	case 'f':
		o->flags &= ~(unsigned)MAP_FOLD;
		return true;
	case 'F':
		o->flags |= MAP_FILES;
		o->files = true;
		return true;
	case 'h':
		o->headers = true;
		return true;
	case 'j':
		o->json = true;
		return true;
	case 'm':
		o->mime = true;
		return true;
	case 'n':
		o->flags = (o->flags | MAP_WITHOUT_NUL) & ~(unsigned)MAP_WITH_NUL;
		return true;
	case 'N':
		o->flags = (o->flags | MAP_WITH_NUL) & ~(unsigned)MAP_WITHOUT_NUL;
		return true;
	case 'o':
		o->keep_user = true;
		return true;
	case 'p':
		o->keep_mode = true;
		return true;
	case 'r':
		duplicates(o, MAP_DUP_REPLACE);
		return true;
	case 'w':
		duplicates(o, MAP_DUP_IGNORE);
		return true;
	case 'v':
		log_verbose++;
		return true;
	default:
		return false;
	}
}

static void
parse_options(struct options *o, int argc, char **argv)
{
	const char *letters = o->aliases ? "+c:d:finNjopq:rsuvw" : "+bc:d:fFhijmnNopq:rsuUvw";
	bool utf8_off = false, utf8_on = false;
	int letter;

	while ((letter = getopt(argc, argv, letters)) != -1) {
		if (simple_option(o, letter))
			continue;
		switch (letter) {
		case 'c':
			if (setenv("MAIL_CONFIG", optarg, 1) != 0)
				log_fatal("out of memory");
			break;
		case 'd':
			one_action(o);
			o->remove = optarg;
			break;
		case 'i':
			one_action(o);
			o->incremental = true;
			break;
		case 'q':
			one_action(o);
			o->query = optarg;
			break;
		case 's':
			one_action(o);
			o->sequence = true;
			break;
		case 'u':
			utf8_off = true;
			break;
		case 'U':
			utf8_on = true;
			break;
		default:
			usage(o);
		}
	}
	if (!utf8_off && (!(o->headers || o->body) || utf8_on))
		o->flags |= MAP_UTF8;
}

static void
check_options(const struct options *o)
{
	if (o->json && o->query == NULL && !o->sequence)
		log_fatal("option -j requires -q or -s");
	if ((o->headers || o->body || o->mime) && (o->query == NULL || strcmp(o->query, "-") != 0))
		log_fatal("specify -b -h or -m only with \"-q -\"");
}

static int
run(const struct options *o, char **spec)
{
	if (o->remove != NULL) {
		if (*spec == NULL)
			usage(o);
		return strcmp(o->remove, "-") == 0 ? delete_stdin(o, spec) : delete_key(o, spec);
	}
	if (o->query != NULL) {
		if (*spec == NULL)
			usage(o);
		if (strcmp(o->query, "-") != 0)
			return query_tables(o, spec);
		if (o->mime && !o->headers && !o->body)
			log_warning("ignoring -m option without -b or -h");
		return o->headers || o->body ? query_message(o, spec) : o->mime ? 1 : query_stdin(o, spec);
	}
	if (o->sequence)
		return *spec != NULL ? list_table(o, *spec) : 1;
	if (*spec == NULL)
		usage(o);
	for (; *spec != NULL; spec++)
		build_table(o, *spec);
	return 0;
}

int
main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/'), *name = slash != NULL ? slash + 1 : argv[0];
	struct options o = { .aliases = strcmp(name, "postalias") == 0, .flags = MAP_FOLD | MAP_DUP_WARN | MAP_EMPTY_KEYS };
	struct err e = {0};

	(void)umask(022);
	argv[0] = (char *)(uintptr_t)name;
	log_init(name, LOG_TO_STDERR);
	if (getenv("MAIL_VERBOSE") != NULL)
		log_verbose++;
	parse_options(&o, argc, argv);
	if (!conf_load(NULL, &e) || !conf_check(&e))
		log_fatal("%s", e.text);
	if (!environment_apply(conf.import_environment, false, &e))
		log_fatal("%s", e.text);
	logging_configured(name);
	check_options(&o);
	(void)map_set_quiet(true);
	return run(&o, argv + optind);
}
