/*
 * test_service.c - the command line that master gives a service; the environment that is taken over.
 *
 * SPDX-License-Identifier: ISC
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "conf/environment.h"
#include "service/private.h"

static char seen;

static void
own_option(int letter, const char *value)
{
	(void)value;
	seen = (char)letter;
}

static void
test_options(void **state)
{
	static const struct service svc = { .name = "x", .options = "k:", .option = own_option };
	char *argv[] = { "smtpd", "-z", "-L", "7", "-n", "587", "-t", "inet", "-u", "-c", "-o", "stress=", "-s", "3", "-v", "-k", "1",
	    "-o", "a_name = value with blanks", "flags=", "-x", NULL };

	(void)state;
	service_env.program = "smtpd";
	options_parse(&svc, 21, argv);
	assert_string_equal(service_env.name, "587");
	assert_string_equal(service_env.transport, "inet");
	assert_true(service_options.unprivileged && service_options.chroot && service_options.no_limit);
	assert_int_equal(service_options.limit, 7);
	assert_int_equal(service_options.nlisten, 3);
	assert_int_equal(log_verbose, 1);
	assert_int_equal(seen, 'k');
	assert_int_equal(service_env.argc, 2);		/* options end at the first word that is none */
	assert_string_equal(service_env.argv[0], "flags=");
	assert_string_equal(service_env.argv[1], "-x");
	log_verbose = 0;
}

static void
test_environment(void **state)
{
	struct err e = {0};

	(void)state;
	(void)setenv("TZ", "UTC", 1);
	(void)setenv("LD_PRELOAD_LIKE", "evil", 1);
	(void)setenv("PATH", "/evil", 1);
	assert_true(environment_apply("TZ PATH=/bin { LANG=C }, NOTSET CMOCKA_MESSAGE_OUTPUT", true, &e));
	assert_string_equal(getenv("TZ"), "UTC");
	assert_string_equal(getenv("PATH"), "/bin");
	assert_null(getenv("LD_PRELOAD_LIKE"));
	assert_null(getenv("NOTSET"));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(test_options), cmocka_unit_test(test_environment) };

	log_init("test", 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
