/*
 * main.c - sendmail(1), also mailq and newaliases: the interface that mail programs have used for decades.
 * Needs no privilege: submission goes through the set-gid postdrop(1). Every fatal error ends with status 75.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/vec.h"
#include "conf/conf.h"
#include "mail/delivery.h"
#include "mail/dsn.h"
#include "sendmail/sendmail.h"
#include "service/logging.h"

#define EX_TEMPFAIL	75
#define ENVELOPE_ID_MAX	100

enum mode { MODE_DELIVER, MODE_QUEUE, MODE_ALIASES, MODE_DAEMON, MODE_STAND_ALONE, MODE_FLUSH, MODE_NOTHING };

static struct {
	enum mode mode;
	const char *aliases;		/* -oA */
	const char *site, *id;		/* -qR, -qI */
	bool verbose_report, user_probe;
	struct submission s;
} opt;

static char *
base_name(char *path)
{
	char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

static void
parse_b(const char *value)
{
	static const struct {
		const char *name;
		enum mode mode;
	} modes[] = { { "m", MODE_DELIVER }, { "v", MODE_DELIVER }, { "p", MODE_QUEUE }, { "i", MODE_ALIASES },
	    { "d", MODE_DAEMON }, { "l", MODE_DAEMON }, { "s", MODE_STAND_ALONE }, { "h", MODE_NOTHING }, { "H", MODE_NOTHING } };

	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
		if (strcmp(value, modes[i].name) != 0)
			continue;
		opt.mode = modes[i].mode;
		opt.user_probe = value[0] == 'v';
		return;
	}
	log_fatal("unsupported: -b%s", value);
}

static void
parse_o(const char *value)
{
	if (value[0] == 'A') {
		if (value[1] == '\0')
			log_fatal("-oA requires pathname");
		opt.aliases = value + 1;
	} else if (strcmp(value, "i") == 0) {
		opt.s.ignore_dots = true;
	} else if (strcmp(value, "8") == 0) {
		opt.s.encoding = "8bit";
	}					/* -o7: what mail is anyway, not announced to the next host */
}

static void
parse_q(const char *value)
{
	if (value[0] == 'R') {
		if (value[1] == '\0')
			log_fatal("specify: -qRsitename");
		opt.site = value + 1;
		opt.mode = MODE_FLUSH;
	} else if (value[0] == 'I') {
		if (value[1] == '\0')
			log_fatal("specify: -qIqueueid");
		opt.id = value + 1;
		opt.mode = MODE_FLUSH;
	} else if (ascii_digit(value[0])) {
		if (opt.mode == MODE_DELIVER)
			opt.mode = MODE_NOTHING;
	} else {
		log_fatal("-q%c is not implemented", value[0]);
	}
}

static unsigned
parse_notify(const char *value)
{
	static const struct {
		const char *name;
		unsigned bit;
	} words[] = { { "never", DSN_NOTIFY_NEVER }, { "success", DSN_NOTIFY_SUCCESS }, { "failure", DSN_NOTIFY_FAILURE },
	    { "delay", DSN_NOTIFY_DELAY } };
	struct span list = span_str(value), word;
	unsigned mask = 0;

	while (span_take_word(&list, ", \t\r\n", &word)) {
		unsigned bit = 0;

		for (size_t i = 0; i < 4; i++)
			if (span_iis(word, words[i].name))
				bit = words[i].bit;
		if (bit == 0) {
			log_warning("unknown DSN NOTIFY command value \"%.*s\" in \"%s\"", SPAN_ARG(word), value);
			mask = 0;
			break;
		}
		mask |= bit;
	}
	if (mask == 0 || ((mask & DSN_NOTIFY_NEVER) && mask != DSN_NOTIFY_NEVER)) {
		log_warning("bad -N option value: '%s' -- ignored", value);
		return 0;
	}
	return mask;
}

static void
parse_ret(const char *value)
{
	if (strcasecmp(value, "full") == 0)
		opt.s.ret_flags = DSN_RET_FULL;
	else if (strcasecmp(value, "hdrs") == 0)
		opt.s.ret_flags = DSN_RET_HDRS;
	else
		log_warning("bad -R option value -- ignored");
}

static void
parse_envelope_id(const char *value)
{
	if (strlen(value) > ENVELOPE_ID_MAX)
		log_warning("too long -V option value -- ignored");
	else if (!span_eq(span_printable(span_str(value), opt.s.mem), span_str(value)))
		log_warning("bad syntax in -V option value -- ignored");
	else
		opt.s.envelope_id = value;
}

static void
parse_x(const char *value)
{
	if (value[0] != 'V')
		log_fatal("unsupported: -X%s", value);
	opt.s.verp = value[1] != '\0' ? value + 1 : conf.default_verp_delimiters;
	if (strlen(opt.s.verp) != 2 || strspn(opt.s.verp, conf.verp_delimiter_filter) != 2)
		log_fatal("-V requires two characters from %s", conf.verp_delimiter_filter);
}

static void
parse_b8(const char *value)
{
	if (strcmp(value, "8BITMIME") == 0)
		opt.s.encoding = "8bit";
	else if (strcmp(value, "7BIT") == 0)
		opt.s.encoding = "7bit";
	else
		log_fatal("-B option needs 8BITMIME or 7BIT");
}

static void
one_option(int letter, const char *value)
{
	switch (letter) {
	case 'b': parse_b(value); break;
	case 'B': parse_b8(value); break;
	case 'C': break;			/* seen in the first pass */
	case 'f':
	case 'r': opt.s.sender = value; break;
	case 'F': opt.s.full_name = value; break;
	case 'G': opt.s.remote = true; break;
	case 'i': opt.s.ignore_dots = true; break;
	case 'I': opt.mode = MODE_ALIASES; break;
	case 'N': opt.s.notify = parse_notify(value); break;
	case 'n': log_fatal("-n option not supported");
	case 'o': parse_o(value); break;
	case 'q': parse_q(value); break;
	case 'R': parse_ret(value); break;
	case 't': opt.s.extract = true; break;
	case 'v':
		if (opt.verbose_report)
			log_verbose++;
		opt.verbose_report = true;
		break;
	case 'V': parse_envelope_id(value); break;
	case 'X': parse_x(value); break;
	case '?': log_fatal("usage: %s [options]", "sendmail");
	default: break;				/* accepted and without meaning here */
	}
}

#define OPTIONS "+A:B:C:F:GIL:N:O:R:UV:X:b:ce:f:h:imno:p:r:tvxq:"

/* -C decides which main.cf is read, so it must be known before anything else. */
static void
find_config(int argc, char **argv)
{
	int letter;

	opterr = 0;
	while ((letter = getopt(argc, argv, OPTIONS)) != -1) {
		if (letter == '?' && optopt != 'q')	/* said twice, as the arguments are scanned twice */
			(void)fprintf(stderr, "%s: %s -- '%c'\n", argv[0],
			    strchr(OPTIONS, optopt) == NULL ? "invalid option" : "option requires an argument", optopt);
		if (letter != 'C')
			continue;
		struct span dir = span_str(optarg);

		if (span_ends(dir, SPAN("/main.cf")))
			dir.n -= strlen("/main.cf");
		char *name = span_strdup(dir);

		(void)setenv("MAIL_CONFIG", name, 1);
		free(name);
	}
	optind = 1;
}

static void
parse_options(int argc, char **argv)
{
	int letter;

	opterr = 1;
	while (optind < argc) {
		if (strcmp(argv[optind], "-q") == 0) {	/* alone it takes no value */
			opt.mode = MODE_FLUSH;
			optind++;
			continue;
		}
		letter = getopt(argc, argv, OPTIONS);
		if (letter == -1)
			break;
		one_option(letter, optarg);
	}
	opt.s.recipients = argv + optind;
}

static _Noreturn void
run(const char *program, char *const argv[])
{
	char path[1024];

	(void)snprintf(path, sizeof path, "%s/%s", conf.command_directory, program);
	(void)execv(path, argv);
	log_fatal("unable to execute %s: %s", path, strerror(errno));
}

static void
no_recipients(const char *what)
{
	if (opt.s.recipients[0] != NULL)
		log_fatal("%s requires no recipient", what);
}

static _Noreturn void
flush_queue(void)
{
	char *all[] = { "postqueue", "-f", NULL };
	char *site[] = { "postqueue", "-s", NULL, NULL };
	char *id[] = { "postqueue", "-i", NULL, NULL };

	if (opt.site != NULL) {
		no_recipients("flush site");
		site[2] = span_strdup(span_str(opt.site));
		run("postqueue", site);
	}
	if (opt.id != NULL) {
		no_recipients("flush queue_id");
		id[2] = span_strdup(span_str(opt.id));
		run("postqueue", id);
	}
	no_recipients("flush queue mode");
	run("postqueue", all);
}

static _Noreturn void
list_queue(void)
{
	char *argv[] = { "postqueue", "-p", NULL };

	no_recipients("display queue mode");
	run("postqueue", argv);
}

static _Noreturn void
rebuild_aliases(void)
{
	struct vec argv = VEC_INIT(char *);
	struct span list = span_str(opt.aliases != NULL ? opt.aliases : conf.alias_database), word;

	no_recipients("alias initialization mode");
	if (list.n == 0)
		exit(0);
	*(char **)vec_add(&argv) = "postalias";
	for (int i = 0; i < log_verbose; i++)
		*(char **)vec_add(&argv) = "-v";
	*(char **)vec_add(&argv) = "--";
	while (span_take_word(&list, ", \t\r\n", &word))
		*(char **)vec_add(&argv) = span_strdup(word);
	*(char **)vec_add(&argv) = NULL;
	run("postalias", argv.p);
}

static _Noreturn void
stand_alone(void)
{
	char path[1024];
	char *argv[] = { "smtpd", "-S", NULL };

	no_recipients("stand-alone mode");
	(void)snprintf(path, sizeof path, "%s/smtpd", conf.daemon_directory);
	(void)execv(path, argv);
	log_fatal("unable to execute %s: %s", path, strerror(errno));
}

static _Noreturn void
start_daemon(void)
{
	char *argv[] = { "postfix", "start", NULL };

	no_recipients("daemon mode");
	run("postfix", argv);
}

static void
check_probe(void)
{
	if (!opt.user_probe)
		return;
	if (opt.s.extract)
		log_fatal("-t option cannot be used with -bv");
	if (opt.s.notify != 0)
		log_fatal("-N option cannot be used with -bv");
	if (opt.s.ret_flags != 0)
		log_fatal("-R option cannot be used with -bv");
	if (opt.verbose_report)
		log_fatal("-v option cannot be used with -bv");
}

int
main(int argc, char **argv)
{
	char *name = base_name(argv[0]);
	struct err e = {0};
	char tag[64];

	(void)umask(022);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)snprintf(tag, sizeof tag, "postfix/%s", name);
	log_init(tag, LOG_TO_STDERR);
	log_set_fatal_status(EX_TEMPFAIL);
	argv[0] = name;
	opt.s.mem = arena_new();
	find_config(argc, argv);
	conf_set_program("sendmail");
	if (!conf_load(NULL, &e) || !conf_check(&e))
		log_fatal("%s", e.text);
	logging_configured(name);
	(void)setenv("MAIL_CONFIG", conf.config_directory, 1);
	opt.mode = strcmp(name, "mailq") == 0 ? MODE_QUEUE : strcmp(name, "newaliases") == 0 ? MODE_ALIASES :
	    strcmp(name, "smtpd") == 0 ? MODE_DAEMON : MODE_DELIVER;
	parse_options(argc, argv);
	if (opt.s.extract && opt.mode != MODE_DELIVER)
		log_fatal("-t can be used only in delivery mode");
	switch (opt.mode) {
	case MODE_QUEUE: list_queue();
	case MODE_FLUSH: flush_queue();
	case MODE_ALIASES: rebuild_aliases();
	case MODE_STAND_ALONE: stand_alone();
	case MODE_DAEMON: start_daemon();
	case MODE_NOTHING: return 0;
	default: break;
	}
	check_probe();
	opt.s.probe = opt.user_probe;
	opt.s.trace_flags = opt.user_probe ? DELIVERY_FLAG_USER_PROBE : opt.verbose_report ? DELIVERY_FLAG_RECORD : 0;
	submit(&opt.s);
	arena_free(&opt.s.mem);
	return 0;
}
