/*
 * tls.c - "postfix tls": turns opportunistic TLS on, makes and deploys the server's keys and certificates.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/vec.h"
#include "conf/conf.h"
#include "postfix/postfix.h"
#include "postfix/tls_files.h"

#define COMMAND_LIST "enable-client (or enable-server, new-server-key, new-server-cert, deploy-server-cert, " \
	"output-server-csr, output-server-tlsa, all-default-client, all-default-server)"

static struct arena *mem;

/* Key types, their defaults, what their files are called and which parameters name them. */
static const struct kind {
	const char *algorithm, *bits, *prefix, *key_parameter, *certificate_parameter;
} kinds[] = {
	{ "rsa", "2048", "", "smtpd_tls_key_file", "smtpd_tls_cert_file" },
	{ "ecdsa", "secp256r1", "ec", "smtpd_tls_eckey_file", "smtpd_tls_eccert_file" },
};
#define KINDS	(sizeof kinds / sizeof *kinds)

struct options {
	const char *algorithm, *bits, *random, *key, *host;
	char *const *rest;		/* arguments behind them */
};

/* letters: of the options that the command has. False: a bad one. */
static bool
parse(char *const arguments[], const char *letters, struct options *o)
{
	*o = (struct options){ .rest = arguments };
	for (; *arguments != NULL && (*arguments)[0] == '-'; arguments++) {
		const char letter = (*arguments)[1];
		const char *value = *arguments + 2;

		if (letter == '\0' || strchr(letters, letter) == NULL)
			return false;
		if (*value == '\0' && (value = *++arguments) == NULL)
			return false;
		switch (letter) {
		case 'a': o->algorithm = value; break;
		case 'b': o->bits = value; break;
		case 'h': o->host = value; break;
		case 'k': o->key = value; break;
		default: o->random = value; break;
		}
	}
	o->rest = arguments;
	return true;
}

static bool
all_unset(const char *const names[])
{
	for (; *names != NULL; names++)
		if (conf_raw(*names) != NULL)
			return false;
	return true;
}

static bool
client_is_default(void)
{
	static const char *const names[] = { "smtp_use_tls", "smtp_enforce_tls", "smtp_tls_enforce_peername",
	    "smtp_tls_security_level", "smtp_tls_cert_file", "smtp_tls_dcert_file", "smtp_tls_eccert_file", NULL };

	return all_unset(names);
}

static bool
server_is_default(void)
{
	static const char *const names[] = { "smtpd_use_tls", "smtpd_enforce_tls", "smtpd_tls_security_level",
	    "smtpd_tls_cert_file", "smtpd_tls_dcert_file", "smtpd_tls_eccert_file", NULL };

	return all_unset(names);
}

static void
set_parameters(const char *const settings[])
{
	struct vec argv = VEC_INIT(const char *);

	*(const char **)vec_add(&argv) = "postconf";
	*(const char **)vec_add(&argv) = "-c";
	*(const char **)vec_add(&argv) = conf.config_directory;
	*(const char **)vec_add(&argv) = "-e";
	for (; *settings != NULL; settings++)
		*(const char **)vec_add(&argv) = *settings;
	(void)vec_add(&argv);
	if (run_program(command_program_directory, argv.p) != 0)
		log_fatal("cannot update %s/main.cf", conf.config_directory);
	vec_free(&argv);
}

static const char *
random_setting(const struct options *o)
{
	return arena_printf(mem, "tls_random_source=%s", o->random != NULL ? o->random : conf_value("tls_random_source"));
}

static const char *
cache_type(void)
{
	return "lmdb";			/* always built in */
}

static void
say_reload(void)
{
	log_info("Run the command:");
	log_info("  # postfix reload");
	log_info("if you want the new settings to take effect immediately.");
}

static int
enable_client(char *const arguments[])
{
	struct options o;

	if (!parse(arguments, "r", &o) || o.rest[0] != NULL)
		log_fatal("usage: postfix tls enable-client [-r devrandom]");
	if (!client_is_default()) {
		log_info("*** Non-default SMTP client TLS settings detected, no changes made.");
		log_info("For opportunistic TLS in the Postfix SMTP client, the below settings");
		log_info("are typical:");
		log_info("  smtp_tls_security_level = may");
		log_info("  smtp_tls_loglevel = 1");
		log_info("  smtp_tls_session_cache_database = %s:${data_directory}/smtp_scache", cache_type());
		return 0;
	}
	const char *const settings[] = { "smtp_tls_security_level=may", "smtp_tls_loglevel=1",
	    arena_printf(mem, "smtp_tls_session_cache_database=%s:%s/smtp_scache", cache_type(), conf.data_directory),
	    random_setting(&o), NULL };

	set_parameters(settings);
	log_info("Enabled opportunistic TLS in the Postfix SMTP client.");
	say_reload();
	return 0;
}

static const struct kind *
find_kind(const char *algorithm)
{
	for (size_t i = 0; i < KINDS; i++)
		if (strcmp(kinds[i].algorithm, algorithm) == 0)
			return &kinds[i];
	return NULL;
}

/* File names: relative ones are below the configuration directory. */
static const char *
absolute(const char *name)
{
	return *name == '/' ? name : arena_printf(mem, "%s/%s", conf.config_directory, name);
}

/* The key that main.cf names for an algorithm; NULL: none. */
static const char *
configured_key(const struct kind *k)
{
	const char *value = conf_value(k->key_parameter);

	return value == NULL || *value == '\0' || strcmp(value, "none") == 0 ? NULL : absolute(value);
}

struct made {
	const char *key, *certificate;
	bool is_new_key;
};

static const char *
stamped(const char *what, const struct kind *k, time_t now)
{
	struct tm tm;
	char stamp[32] = "";

	if (gmtime_r(&now, &tm) != NULL)
		(void)strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &tm);
	return arena_printf(mem, "%s/%s%s-%s.pem", conf.config_directory, k->prefix, what, stamp);
}

static struct evp_pkey_st *
new_key(const struct kind *k, const char *bits)
{
	struct err e = {0};
	struct evp_pkey_st *key = key_generate(k->algorithm, bits, &e);

	if (key == NULL) {
		log_warning("unable to generate key");
		log_warning("%s", e.text);
		log_fatal("error generating new %s %s private key", k->algorithm, bits);
	}
	return key;
}

static char *const *
hosts_or_own(char *const hosts[])
{
	static char *own[2];

	if (hosts[0] != NULL)
		return hosts;
	own[0] = span_cstr(span_str(conf.myhostname), mem);
	return own;
}

/* keep: take the key that is in use, when there is one of that kind. */
static struct made
make_pair(const struct kind *k, const char *bits, bool keep, char *const hosts[])
{
	const time_t now = time(NULL);
	struct made made = { stamped("key", k, now), stamped("cert", k, now), true };
	const char *old = keep ? configured_key(k) : NULL;
	struct evp_pkey_st *key = NULL;

	if (access(made.key, F_OK) == 0)
		log_fatal("New private key file already exists: %s", made.key);
	if (access(made.certificate, F_OK) == 0)
		log_fatal("New certificate file already exists: %s", made.certificate);
	if (old != NULL && (key = key_read(old)) == NULL)
		log_fatal("no private key found in file: %s", old);
	made.is_new_key = key == NULL;
	if (key == NULL)
		key = new_key(k, bits);
	if (!key_write(key, made.key))
		log_fatal("error writing private key file %s: %s", made.key, strerror(errno));
	if (!certificate_write(key, (char *const *)hosts_or_own(hosts), made.certificate))
		log_fatal("error generating self-signed SSL certificate %s", made.certificate);
	key_free(key);
	return made;
}

/* Which kind of key a file has; fatal when it has none. */
static const struct kind *
check_pair(const char *certificate, const char *key_file)
{
	struct evp_pkey_st *key = key_read(key_file);
	const struct kind *k = NULL;
	enum pair pair;

	if (key == NULL)
		log_fatal("no private key found in file: %s", key_file);
	pair = certificate_matches(certificate, key);
	for (size_t i = 0; i < KINDS; i++)
		if (key_is(key, kinds[i].algorithm))
			k = &kinds[i];
	key_free(key);
	if (pair == PAIR_NO_CERTIFICATE)
		log_fatal("error computing certificate public key digest");
	if (pair == PAIR_DIFFERS)
		log_fatal("Certificate in %s does not match key in %s", certificate, key_file);
	if (k == NULL)
		log_fatal("Unsupported private key algorithm in %s", key_file);
	return k;
}

static const char *
assignment(const char *name, const char *value)
{
	return arena_printf(mem, "%s=%s", name, value);
}

static void
say_csr(const struct made *made)
{
	log_info("To generate a CSR run:");
	log_info("  # postfix tls output-server-csr -k %s [<hostname> ...]", made->key);
}

static int
enable_server(char *const arguments[])
{
	static const char *const advice[] = {
		"*** Non-default SMTP server TLS settings detected, no changes made.",
		"For opportunistic TLS in the Postfix SMTP server, the below settings",
		"are typical:",
		"  smtpd_tls_security_level = may",
		"  smtpd_tls_loglevel = 1",
		"You can use \"postfix tls new-server-cert\" to create a new certificate.",
		"Or, \"postfix tls new-server-key\" to also force a new private key.",
		"If you publish DANE TLSA records, see:",
		"  https://tools.ietf.org/html/rfc7671#section-8",
		"  https://tools.ietf.org/html/rfc7671#section-5.1",
		"  https://tools.ietf.org/html/rfc7671#section-5.2",
		"  https://community.letsencrypt.org/t/please-avoid-3-0-1-and-3-0-2-dane-tlsa-records-with-le-certificates/7022",
	};
	const struct kind *k;
	struct options o;

	if (!parse(arguments, "abr", &o))
		log_fatal("usage: postfix tls enable-server [-a algorithm] [-b bits ] [-r devrandom] [hostname ...]");
	k = find_kind(o.algorithm != NULL ? o.algorithm : "rsa");
	if (k == NULL)
		log_fatal("Unsupported private key algorithm: %s", o.algorithm);
	if (!server_is_default()) {
		for (size_t i = 0; i < sizeof advice / sizeof *advice; i++)
			log_info("%s", advice[i]);
		return 0;
	}
	const struct made made = make_pair(k, o.bits != NULL ? o.bits : k->bits, false, o.rest);
	const char *const settings[] = { assignment(k->key_parameter, made.key),
	    assignment(k->certificate_parameter, made.certificate), "smtpd_tls_security_level=may",
	    "smtpd_tls_received_header=yes", "smtpd_tls_loglevel=1", random_setting(&o), NULL };

	set_parameters(settings);
	log_info("Enabled opportunistic TLS in the Postfix SMTP server");
	log_info("New TLS private key and certificate deployed.");
	say_reload();
	say_csr(&made);
	log_info("Save the signed certificate chain in %s.", made.certificate);
	log_info("To generate TLSA records run:");
	log_info("  # postfix tls output-server-tlsa [-h <hostname>] ");
	log_info("(If you have DANE TLSA RRs, update them as soon as possible to match");
	log_info("the newly deployed keys).");
	return 0;
}

static int
new_server(char *const arguments[], const char *command, const char *adjective, bool keep)
{
	const struct kind *k;
	struct options o;

	if (!parse(arguments, "ab", &o))
		log_fatal("usage: postfix tls %s [-a algorithm] [-b bits ] [hostname ...]", command);
	k = find_kind(o.algorithm != NULL ? o.algorithm : "rsa");
	if (k == NULL)
		log_fatal("Unsupported %s key algorithm: %s", adjective, o.algorithm);
	const struct made made = make_pair(k, o.bits != NULL ? o.bits : k->bits, keep, o.rest);

	log_info("New private key and self-signed certificate created. To deploy run:");
	log_info("  # postfix tls deploy-server-cert %s %s", made.certificate, made.key);
	say_csr(&made);
	log_info("Save the signed certificate chain in %s, and deploy as above.", made.certificate);
	log_info("To generate TLSA records run:");
	log_info("  # postfix tls output-server-tlsa [-h <hostname>] %s", made.key);
	if (made.is_new_key)
		log_info("(deploy after updating the DNS and waiting for stale RRs to expire).");
	return 0;
}

static int
new_server_key(char *const arguments[])
{
	return new_server(arguments, "new-server-key", "public", false);
}

static int
new_server_cert(char *const arguments[])
{
	return new_server(arguments, "new-server-cert", "private", true);
}

static int
deploy_server_cert(char *const arguments[])
{
	const struct kind *k;

	if (arguments[0] == NULL || arguments[1] == NULL || arguments[2] != NULL)
		log_fatal("usage: postfix tls deploy-server-cert certfile keyfile");
	const char *certificate = absolute(arguments[0]), *key = absolute(arguments[1]);

	k = check_pair(certificate, key);
	const char *const settings[] = { assignment(k->key_parameter, key), assignment(k->certificate_parameter, certificate), NULL };

	set_parameters(settings);
	log_info("New TLS private key and certificate deployed.");
	say_reload();
	return 0;
}

/* A file, or the key in use of an algorithm; NULL: there is none. */
static const char *
key_for(const char *name)
{
	const struct kind *k = find_kind(name);

	return k != NULL ? configured_key(k) : absolute(name);
}

static int
output_server_csr(char *const arguments[])
{
	struct evp_pkey_st *key;
	struct options o;
	const char *file;

	if (!parse(arguments, "k", &o))
		log_fatal("usage: postfix tls output-server-csr [-k keyfile] [hostname ...]");
	file = key_for(o.key != NULL ? o.key : "rsa");
	if (file == NULL || access(file, R_OK) != 0)
		log_fatal("No usable keyfile specified or configured");
	if ((key = key_read(file)) == NULL)
		log_fatal("no private key found in file: %s", file);
	if (!request_print(key, (char *const *)hosts_or_own(o.rest), stdout))
		log_fatal("error generating certificate request for %s", file);
	key_free(key);
	return 0;
}

static void
output_tlsa(const char *file, const char *host)
{
	struct evp_pkey_st *key;
	char hex[65];

	(void)printf("; %s\n", file);
	(void)fflush(stdout);
	if ((key = key_read(file)) == NULL)
		log_fatal("no private key found in file: %s", file);
	if (!key_digest(key, hex))
		log_fatal("error computing public key digest of %s", file);
	key_free(key);
	(void)printf("_25._tcp.%s. IN TLSA 3 1 1 %s\n", host, hex);
}

static int
output_server_tlsa(char *const arguments[])
{
	static char *const both[] = { "rsa", "ecdsa", NULL };
	char *const *name;
	struct options o;
	size_t n = 0;

	if (!parse(arguments, "h", &o))
		log_fatal("usage: postfix tls output-server-tlsa [-h hostname] [keyfile ...]");
	for (name = o.rest[0] != NULL ? o.rest : both; *name != NULL; name++) {
		const char *file = key_for(*name);

		if (file == NULL)
			continue;
		output_tlsa(file, o.host != NULL ? o.host : conf.myhostname);
		n++;
	}
	if (n == 0)
		log_fatal("No usable keyfiles specified or configured");
	return 0;
}

static int
all_default_client(char *const arguments[])
{
	if (arguments[0] != NULL)
		log_fatal("usage: postfix tls all-default-client");
	return client_is_default() ? 0 : 1;
}

static int
all_default_server(char *const arguments[])
{
	if (arguments[0] != NULL)
		log_fatal("usage: postfix tls all-default-server");
	return server_is_default() ? 0 : 1;
}

static const struct {
	const char *name;
	int (*run)(char *const arguments[]);
} commands[] = {
	{ "enable-client", enable_client }, { "enable-server", enable_server }, { "new-server-key", new_server_key },
	{ "new-server-cert", new_server_cert }, { "deploy-server-cert", deploy_server_cert },
	{ "output-server-csr", output_server_csr }, { "output-server-tlsa", output_server_tlsa },
	{ "all-default-client", all_default_client }, { "all-default-server", all_default_server },
};

int
do_tls(char *const arguments[])
{
	const char *name = arguments[0] != NULL ? arguments[0] : "";
	int status = -1;

	speak_as("postfix-tls-script");
	mem = arena_new();
	for (size_t i = 0; status < 0 && i < sizeof commands / sizeof *commands; i++)
		if (strcmp(commands[i].name, name) == 0)
			status = commands[i].run(arguments + 1);
	arena_free(&mem);
	if (status >= 0)
		return status;
	log_error("unknown tls command: '%s'", name);
	log_fatal("usage: postfix tls " COMMAND_LIST);
}
