/*
 * misc.c - what this build has: SASL and table types, lock styles, TLS library; bounce templates.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/opensslv.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/conf.h"
#include "map/map.h"
#include "postconf/postconf.h"

static void
print_all(const char *const *list)
{
	for (; *list != NULL; list++)
		print_line(*list);
	print_flush();
}

/* Only bounce(8) knows the templates. */
static int
show_templates(char **file, const char *mode)
{
	const char *argv[] = { "bounce", "-SVn", mode, "-o", "queue_directory=.", NULL, NULL, NULL };
	struct err e = {0};
	const char *path;

	if (*file != NULL && file[1] != NULL)
		log_fatal("options -b and -t require at most one template file");
	if (!conf_load(NULL, &e))
		log_fatal("%s", e.text);
	if (*file != NULL) {
		argv[5] = "-o";
		argv[6] = arena_printf(memory, "bounce_template_file=%s", *file);
	}
	path = arena_printf(memory, "%s/bounce", conf.daemon_directory);
	(void)execv(path, (char *const *)(uintptr_t)argv);
	log_fatal("execute %s: %s", path, strerror(errno));
}

static int
show_tls(const char *mode)
{
	static const char *const algorithms[] = { "dsa", "ecdsa", "rsa", NULL };

	if (strcmp(mode, "compile-version") == 0)
		print_line(OPENSSL_VERSION_TEXT);
	else if (strcmp(mode, "run-version") == 0)
		print_line(OpenSSL_version(OPENSSL_VERSION));
	else if (strcmp(mode, "public-key-algorithms") == 0)
		print_all(algorithms);
	else {
		log_warning("unknown 'postconf -T' mode: %s", mode);
		return 1;
	}
	print_flush();
	return 0;
}

int
show_other(char **arguments, const char *mode)
{
	static const char *const server_sasl[] = { "cyrus", "dovecot", NULL }, *const client_sasl[] = { "cyrus", NULL };
	static const char *const locks[] = { "flock", "fcntl", "dotlock", NULL };

	if (HAS(OPT_T))
		return show_tls(mode);
	if (HAS(OPT_b))
		return show_templates(arguments, "expand_templates");
	if (HAS(OPT_t))
		return show_templates(arguments, "dump_templates");
	if (HAS(OPT_m)) {
		(void)conf_read(NULL, NULL);	/* where the loadable ones are listed */
		print_all(map_types());
	} else if (HAS(OPT_l))
		print_all(locks);
	else
		print_all(HAS(OPT_a) ? server_sasl : client_sasl);
	return 0;
}
