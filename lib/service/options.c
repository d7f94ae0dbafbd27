/*
 * options.c - the command line that master(8) gives every service.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/conf.h"
#include "service/private.h"

#define COMMON_OPTIONS	"+cdDi:lL:m:n:o:r:s:St:uvVz"

struct service_env service_env;
struct service_options service_options = { .limit = 1 };

static size_t
number(int letter, const char *value, uint64_t max)
{
	uint64_t n;

	if (!span_to_u64(span_str(value), &n) || n > max)
		log_fatal("option -%c: bad number: %s", letter, value);
	return (size_t)n;
}

static void
override(const char *text)
{
	struct span rest = span_str(text), name;

	if (!span_take_until(&rest, '=', &name))
		log_fatal("invalid \"-o %s\" option value: missing '=' after attribute name", text);
	struct arena *mem = arena_new();

	name = span_trim(name);
	service_options.stress_capable = service_options.stress_capable || span_is(name, "stress");
	if (name.n == 0)
		log_fatal("invalid \"-o %s\" option value: missing attribute name", text);
	conf_set_override(span_cstr(name, mem), span_cstr(span_trim(rest), mem));
	arena_free(&mem);
}

static void
common_option(const struct service *svc, int letter, const char *value)
{
	struct service_options *o = &service_options;

	switch (letter) {
	case 'c': o->chroot = true; break;
	case 'd': o->foreground = true; break;
	case 'D': o->debug = true; break;
	case 'i': o->max_idle = (int)number(letter, value, 1000000); break;
	case 'l': service_env.single_process = true; o->limit = 1; break;
	case 'L': o->limit = number(letter, value, SERVICE_LIMIT_MAX); break;
	case 'm': o->max_use = (int)number(letter, value, 1000000000); break;
	case 'n': service_env.name = value; break;
	case 'o': override(value); break;
	case 'r': break;
	case 's': o->nlisten = number(letter, value, 1000); break;
	case 'S': service_env.stand_alone = true; break;
	case 't': service_env.transport = value; break;
	case 'u': o->unprivileged = true; break;
	case 'v': log_verbose++; break;
	case 'V': log_set_sinks(log_sinks() | LOG_TO_STDERR); break;
	case 'z': o->no_limit = true; o->limit = SERVICE_NO_LIMIT_WORKERS; break;
	default:
		if (svc->options == NULL || letter == '?' || strchr(svc->options, letter) == NULL)
			log_fatal("unknown option -%c", optopt != 0 ? optopt : letter);
		svc->option(letter, value);
	}
}

void
options_parse(const struct service *svc, int argc, char **argv)
{
	struct arena *mem = arena_new();
	const char *letters = arena_printf(mem, "%s%s", COMMON_OPTIONS, svc->options != NULL ? svc->options : "");
	int letter;

	opterr = 0;
	service_options.nlisten = 1;
	while ((letter = getopt(argc, argv, letters)) != -1)
		common_option(svc, letter, optarg);
	service_env.argc = argc - optind;
	service_env.argv = argv + optind;
	if (service_env.transport == NULL && !service_env.stand_alone)
		log_fatal("service \"%s\": this program is started by master(8)", svc->name);
	if (service_env.name == NULL)
		service_env.name = service_env.program;
	arena_free(&mem);
}
