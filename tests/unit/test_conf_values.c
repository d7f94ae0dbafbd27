/*
 * test_conf_values.c - main.cf and master.cf files to values; errors with Postfix's texts.
 *
 * SPDX-License-Identifier: ISC
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/log.h"
#include "conf/conf.h"
#include "conf/master_cf.h"
#include "conf/param.h"

static char directory[] = "/tmp/test_conf.XXXXXX";

static void
write_file(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	(void)snprintf(path, sizeof path, "%s/%s", directory, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static int
setup(void **state)
{
	(void)state;
	log_init("test", 0);
	return mkdtemp(directory) == NULL;
}

static int
teardown(void **state)
{
	char command[160];

	(void)state;
	conf_reset();
	(void)snprintf(command, sizeof command, "rm -rf %s", directory);
	return system(command);
}

static void
test_values(void **state)
{
	struct err e = {0};

	(void)state;
	conf_set_program("smtpd");
	write_file("main.cf",
	    "# comment\n\nsmtpd_timeout = 5m\nmyhostname=a.b.c\n"
	    "mydestination = $myhostname,\n# inside\n\tlocalhost.$mydomain\n"
	    "message_size_limit = 123\nsoft_bounce = YES\nmaximal_queue_lifetime = 2\n"
	    "forward_path = $home/x\n2bounce_notice_recipient = me\nlast = x");
	assert_true(conf_load(directory, &e));
	assert_int_equal(conf.smtpd_timeout, 300);
	assert_int_equal(conf.maximal_queue_lifetime, 2 * 86400);
	assert_int_equal(conf.message_size_limit, 123);
	assert_true(conf.soft_bounce);
	assert_string_equal(conf.mydomain, "b.c");
	assert_string_equal(conf.mydestination, "a.b.c,\tlocalhost.b.c");
	assert_string_equal(conf.forward_path, "$home/x");
	assert_string_equal(conf.p_2bounce_notice_recipient, "me");
	assert_string_equal(conf_value("last"), "x");
	assert_null(conf_value("nosuch"));
	assert_string_equal(conf.process_name, "smtpd");
	assert_int_equal(conf.smtpd_hard_error_limit, 20);
}

static const struct {
	const char *program, *text, *error;	/* error NULL: fine for that program */
} bad[] = {
	{ "smtpd", "smtpd_timeout = 5x\n", "parameter smtpd_timeout: bad time value or unit: 5x" },
	{ "qmgr", "smtpd_timeout = 5x\n", NULL },
	{ "smtpd", "smtpd_timeout = -5\n", "parameter smtpd_timeout: bad time value or unit: -5" },
	{ "smtpd", "smtpd_timeout = 0\n", "invalid smtpd_timeout: 0 (min 1)" },
	{ "smtpd", "message_size_limit = 1k\n", "bad numerical configuration: message_size_limit = 1k" },
	{ "smtpd", "message_size_limit = -1\n", NULL },
	{ "smtpd", "soft_bounce = maybe\n", "bad boolean configuration: soft_bounce = maybe" },
	{ "smtpd", "mail_name =\n", "bad string length 0 < 1: mail_name = " },
	{ "qmgr", "qmgr_message_active_limit = 0\n", "invalid qmgr_message_active_limit parameter value 0 < 1" },
	{ "smtpd", "junk line\n", "missing '=' after attribute name: \"junk line\"" },
	{ "smtpd", "=x\n", "missing attribute name: \"=x\"" },
	{ "smtpd", "mail_name = $\n", "dictionary mail_dict: macro processing error" },
	{ "smtpd", "inet_protocols = ipx\n", "unknown inet_protocols value \"ipx\" in \"ipx\"" },
	{ "smtpd", "mynetworks_style = x\n", "unknown mynetworks mask style value \"x\" in \"x\"" },
};

static void
test_errors(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct err e = {0};

		conf_set_program(bad[i].program);
		write_file("main.cf", bad[i].text);
		if (bad[i].error == NULL) {
			assert_true(conf_load(directory, &e));
		} else {
			assert_false(conf_load(directory, &e));
			assert_non_null(strstr(e.text, bad[i].error));
		}
	}
}

static void
test_overrides_and_families(void **state)
{
	struct err e = {0};
	int value;

	(void)state;
	conf_set_program("qmgr");
	write_file("main.cf", "default_recipient_limit = 77\nslow_destination_rate_delay = 2m\nmail_name = x\n");
	assert_true(conf_set_override_pair("{", NULL) == false);
	assert_true(conf_set_override_pair("mail_name = a b", &e));
	assert_true(conf_load(directory, &e));
	assert_string_equal(conf.mail_name, "a b");
	assert_true(conf_service_int("slow", "_recipient_limit", &value, &e));
	assert_int_equal(value, 77);
	assert_true(conf_service_int("slow", "_destination_rate_delay", &value, &e));
	assert_int_equal(value, 120);
	assert_true(conf_service_int("local", "_destination_concurrency_limit", &value, &e));
	assert_int_equal(value, 2);
	assert_string_equal(conf_service_str("slow", "_destination_concurrency_positive_feedback"), "1");
	conf_reset();
}

static void
test_lmtp_mirror(void **state)
{
	struct err e = {0};

	(void)state;
	conf_set_program("lmtp");
	write_file("main.cf", "lmtp_connect_timeout = 7s\nlmtp_lhlo_name = here\n");
	assert_true(conf_load(directory, &e));
	conf_use_lmtp();
	assert_int_equal(conf.smtp_connect_timeout, 7);
	assert_string_equal(conf.smtp_helo_name, "here");
	assert_string_equal(conf.smtp_tcp_port, "24");
}

static void
test_table(void **state)
{
	size_t n, len = 0;
	const struct param *all = param_all(&n);

	(void)state;
	assert_true(n > 850);
	for (size_t i = 1; i < n; i++)
		assert_true(strcmp(all[i - 1].name, all[i].name) < 0);
	assert_non_null(param_find("2bounce_notice_recipient"));
	assert_null(param_find("nosuch"));
	assert_non_null(param_family_find("x_extra_recipient_limit", &len));
	assert_int_equal(len, 1);
	assert_true(param_read_by(param_find("smtpd_timeout"), "smtpd"));
	assert_false(param_read_by(param_find("smtpd_timeout"), "smtp"));
}

static const struct {
	const char *text, *error;
} services[] = {
	{ "smtp inet n - n - - smtpd -v\n  -o { a = b c }\n", NULL },
	{ "smtp inet n - n\n", "line 1: missing \"wakeup_time\" field" },
	{ "\n# x\nsmtp inet - - n - - smtpd\n", "line 3: inet service cannot be private" },
	{ "smtp foo n - n - - smtpd\n", "line 1: bad transport type: foo" },
	{ "smtp unix n q n - - smtpd\n", "line 1: field \"unprivileged\": bad value: \"q\"" },
	{ "smtp unix n - n 1x - smtpd\n", "line 1: field \"wakeup_time\": bad value: \"1x\"" },
	{ "smtp unix n - n - 99999999999999 smtpd\n", "line 1: field \"max_proc\": bad value: \"99999999999999\"" },
	{ "smtp unix n - n - - -\n", "line 1: field \"command\" has no default value" },
	{ "smtp unix n - n - - x {a b\n", "line 1: missing '}' in \"{a b\"" },
};

static void
test_master(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof services / sizeof services[0]; i++) {
		struct master_cf cf;
		struct err e = {0};

		write_file("master.cf", services[i].text);
		assert_true(master_cf_load(&cf, directory, false, &e) == (services[i].error == NULL));
		if (services[i].error != NULL)
			assert_non_null(strstr(e.text, services[i].error));
		master_cf_free(&cf);
	}
}

static void
test_master_fields(void **state)
{
	struct master_cf cf;
	struct err e = {0};

	(void)state;
	write_file("master.cf", "flush unix n - - 1000? 0 flush\n10025 inet n - y - - smtpd\n  -o { a = b c } -v\n");
	assert_true(master_cf_load(&cf, directory, true, &e));
	assert_int_equal(cf.n, 2);
	assert_true(cf.service[0].wakeup_if_used);
	assert_int_equal(cf.service[0].wakeup, 1000);
	assert_int_equal(cf.service[0].maxproc, 0);
	assert_true(cf.service[0].unprivileged);
	assert_true(cf.service[0].chroot_by_level);
	assert_int_equal(cf.service[1].maxproc, MASTER_MAXPROC_DEFAULT);
	assert_int_equal(cf.service[1].argc, 3);
	assert_string_equal(cf.service[1].argv[1], "a = b c");
	assert_int_equal(cf.service[1].line, 2);
	master_cf_free(&cf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_overrides_and_families),
		cmocka_unit_test(test_lmtp_mirror),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_master),
		cmocka_unit_test(test_master_fields),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
