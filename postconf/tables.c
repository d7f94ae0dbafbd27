/*
 * tables.c - parameters of LDAP, SQL and memcache tables: in main.cf as PREFIX_name (old), or in a file of their own.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "conf/conf.h"
#include "conf/lines.h"
#include "conf/list.h"
#include "postconf/postconf.h"

#define SQL_COMMON	"additional_conditions domain expansion_limit query result_format select_field table where_field "

static const struct {
	const char *type, *names;
} types[] = {
	{ "ldap", "bind bind_dn bind_pw cache cache_expiry cache_size chase_referrals debuglevel dereference domain "
	    "expansion_limit leaf_result_attribute query_filter recursion_limit result_attribute result_filter result_format "
	    "sasl_authz_id sasl_mechs sasl_minssf sasl_realm scope search_base server_host server_port size_limit "
	    "special_result_attribute start_tls terminal_result_attribute timeout tls_ca_cert_dir tls_ca_cert_file tls_cert "
	    "tls_cipher_suite tls_key tls_random_file tls_require_cert version" },
	{ "mysql", SQL_COMMON "charset dbname hosts idle_interval option_file option_group password require_result_set "
	    "retry_interval timeout tls_CAfile tls_CApath tls_cert_file tls_ciphers tls_key_file tls_verify_cert user" },
	{ "pgsql", SQL_COMMON "dbname encoding hosts idle_interval password retry_interval select_function timeout user" },
	{ "redis", "db domain expansion_limit hosts idle_interval key_format password password_file query result_format "
	    "retry_interval sentinel timeout tls tls_ca_cert_file tls_cert tls_key user" },
	{ "sqlite", SQL_COMMON "dbpath" },
	{ "memcache", "backup data_size_limit domain flags key_digest key_format line_size_limit max_try memcache retry_pause "
	    "timeout ttl" },
	{ "mongodb", "collection dbname domain expansion_limit projection query_filter result_attribute result_format timeout uri" },
};

static const char *
names_of(struct span type)
{
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
		if (span_is(type, types[i].type))
			return types[i].names;
	return NULL;
}

static bool
in_list(const char *list, struct span name)
{
	struct span rest = span_str(list), word;

	while (span_take_word(&rest, " ", &word))
		if (span_eq(word, name))
			return true;
	return false;
}

static void
check_lines(const char *table, const char *names, struct lines *in)
{
	struct span line, name, value;
	const char *why;

	while (lines_next(in, &line))
		if (!no_warnings && conf_split_pair(line, &name, &value, &why) && !in_list(names, name))
			log_warning("%s: unused parameter: %.*s=%.*s", table, SPAN_ARG(name), SPAN_ARG(value));
}

static void
check_file(struct span type, const char *names, const char *path)
{
	struct lines in;
	struct stat st;

	if (!lines_open(&in, path, NULL)) {
		if (errno != EACCES)
			log_warning("open \"%.*s\" configuration \"%s\": %s", SPAN_ARG(type), path, strerror(errno));
		return;
	}
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		log_warning("open \"%.*s\" configuration \"%s\": not a regular file", SPAN_ARG(type), path);
	else
		check_lines(arena_printf(memory, "%.*s:%s", SPAN_ARG(type), path), names, &in);
	(void)lines_close(&in);
}

/* "{...}" that does not close, at the outermost level. */
static void
warn_braces(const char *file, const char *value)
{
	struct span rest = span_str(value), word;
	struct err e = {0};

	while (span_take_word_braced(&rest, LIST_SEPARATORS, &word))
		if (*word.p == '{' && !list_strip_braces(&word, &e))
			log_warning("%s: %s", file, e.text);
}

void
tables_scan(const char *file, const char *value, void (*use)(const char *name))
{
	struct span rest = span_str(value), word, type, one;

	warn_braces(file, value);

	while (span_take_word(&rest, ", \t\r\n{}", &word)) {
		const char *names;
		struct span list;

		(void)span_take(&word, SPAN("proxy:"));
		if (!span_take_until(&word, ':', &type) || word.n == 0 || (names = names_of(type)) == NULL)
			continue;
		if (*word.p == '/' || *word.p == '.') {
			check_file(type, names, span_cstr(word, memory));
			continue;
		}
		for (list = span_str(names); span_take_word(&list, " ", &one);)
			use(arena_printf(memory, "%.*s_%.*s", SPAN_ARG(word), SPAN_ARG(one)));
	}
}
