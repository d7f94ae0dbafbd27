/*
 * main.c - postsuper(1): the administrator's hand in the queue. Started by the superuser, works as the mail owner;
 * rootless, by the owner himself.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/vec.h"
#include "conf/conf.h"
#include "postsuper/postsuper.h"
#include "service/logging.h"

static const char usage[] = "usage: postsuper [-c config_dir] [-d queue_id (delete)] [-e queue_id (expire)] "
    "[-f queue_id (expire and/or un-hold)] [-h queue_id (hold)] [-H queue_id (un-hold)] [-p (purge temporary files)] "
    "[-r queue_id (requeue)] [-s (structure fix)] [-S (redundant structure fix)][-v (verbose)] [queue...]";

volatile sig_atomic_t interrupted;
struct selection selection = { .older = -1, .newer = -1, .larger = -1, .smaller = -1 };
bool dry_run;

struct order {
	int letter;
	const char *id;			/* queue ID, "ALL", or "-" */
};

static void note_signal(int sig) { interrupted = sig; }

static void
catch_signals(void)
{
	static const int signals[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };
	struct sigaction action = { .sa_handler = note_signal };

	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		(void)sigaction(signals[i], &action, NULL);
}

bool
queues_have(const struct queues *q, const char *name)
{
	for (size_t i = 0; i < q->n; i++)
		if (strcmp(q->name[i], name) == 0)
			return true;
	return false;
}

static void
choose_queues(struct queues *q, char **names)
{
	static const struct queues all = { { "defer", "bounce", "maildrop", "incoming", "active", "deferred", "hold", "flush" }, 8 };
	static const struct queues known = { { "maildrop", "incoming", "active", "deferred", "hold", "trace", "defer", "bounce",
	    "flush" }, 9 };

	*q = all;
	if (*names == NULL)
		return;
	q->n = 0;
	for (; *names != NULL; names++) {
		if (!queues_have(&known, *names))
			log_fatal("invalid directory name: %s", *names);
		if (!queues_have(q, *names))
			q->name[q->n++] = *names;
	}
}

static void
check_caller(void)
{
	struct stat st;

	if (getuid() != 0 && (stat(conf.queue_directory, &st) != 0 || st.st_uid != getuid()))
		log_fatal("use of this command is reserved for the superuser");
}

static void
become_owner(void)
{
	if (geteuid() != 0)
		return;
	const struct passwd *pw = getpwnam(conf.mail_owner);

	if (pw == NULL)
		log_fatal("unknown user name value: %s", conf.mail_owner);
	if (setgroups(0, NULL) != 0 || setgid(pw->pw_gid) != 0 || setuid(pw->pw_uid) != 0)
		log_fatal("set user ID %s: %s", conf.mail_owner, strerror(errno));
}

static void
carry_out_stdin(int letter, const struct queues *queues)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;

	while (interrupted == 0 && (n = getline(&line, &cap, stdin)) > 0) {
		struct span id = span(line, (size_t)n - (line[n - 1] == '\n'));

		line[id.n] = '\0';
		if (queue_id_valid(id))
			action_on_id(letter, line, queues);
		else
			log_warning("invalid mail queue id: %s", line);
	}
	free(line);
}

static void
carry_out(const struct order *o, const struct queues *queues)
{
	if (strcmp(o->id, "-") == 0)
		carry_out_stdin(o->letter, queues);
	else if (strcmp(o->id, "ALL") == 0)
		action_on_all(o->letter, queues);
	else if (queue_id_valid(span_str(o->id)))
		action_on_id(o->letter, o->id, queues);
	else
		log_warning("invalid mail queue id: %s", o->id);
}

static void
fix_structure(const struct queues *queues, unsigned flags, bool ids_given)
{
	unsigned long renamed = structure_check(queues, flags);

	if (renamed == 0)
		return;
	if (!ids_given)
		log_info("Renamed to match inode number: %lu message%s", renamed, renamed == 1 ? "" : "s");
	if (ids_given) {
		log_warning("OPERATION INCOMPLETE -- RERUN COMMAND TO FIX THE QUEUE FIRST");
		log_error("QUEUE FILE NAMES WERE CHANGED TO MATCH INODE NUMBERS");
		log_fatal("CHECK YOUR QUEUE IDS AND RE-ISSUE THE COMMAND");
	}
	log_warning("QUEUE FILE NAMES WERE CHANGED TO MATCH INODE NUMBERS");
}

static void
parse_options(int argc, char **argv, struct vec *orders, unsigned *flags)
{
	int letter;

	static const struct option options[] = { { "dry-run", no_argument, NULL, SELECT_END }, SELECTION_OPTIONS,
	    { NULL, 0, NULL, 0 } };
	struct err e = {0};

	while ((letter = getopt_long(argc, argv, "+c:d:e:f:h:H:pr:sSv", options, NULL)) != -1) {
		if (letter >= SELECT_SENDER && letter < SELECT_END) {
			if (!selection_take(&selection, letter, optarg, &e))
				log_fatal("%s", e.text);
			continue;
		}
		switch (letter) {
		case SELECT_END: dry_run = true; break;
		case 'c':
			if (optarg[0] != '/')
				log_fatal("-c requires absolute pathname");
			(void)setenv("MAIL_CONFIG", optarg, 1);
			break;
		case 'p': *flags |= STRUCTURE_PURGE; break;
		case 's': *flags |= STRUCTURE_FIX; break;
		case 'S': *flags |= STRUCTURE_FIX | STRUCTURE_FIX_LONG; break;
		case 'v': log_verbose++; break;
		default:
			if (!action_known(letter))
				log_fatal("%s", usage);
			*(struct order *)vec_add(orders) = (struct order){ letter, optarg };
		}
	}
	if ((dry_run || !selection_is_empty(&selection)) && (orders->n == 0 || *flags != 0))
		log_fatal("a selection and --dry-run go with -d, -e, -f, -h, -H or -r");
	if (orders->n == 0 && *flags == 0)
		*flags = STRUCTURE_FIX | STRUCTURE_PURGE;
}

static bool
ids_given(const struct vec *orders)
{
	for (size_t i = 0; i < orders->n; i++)
		if (strcmp(VEC_AT(orders, struct order, i)->id, "ALL") != 0)
			return true;
	return false;
}

int
main(int argc, char **argv)
{
	static char name[] = "postsuper";
	struct vec orders = VEC_INIT(struct order);
	struct queues queues;
	unsigned flags = 0;
	struct err e = {0};

	argv[0] = name;			/* for messages of getopt */
	(void)umask(022);
	log_init("postfix/postsuper", LOG_TO_STDERR);
	parse_options(argc, argv, &orders, &flags);
	conf_set_program("postsuper");
	if (!conf_load(NULL, &e) || !conf_check(&e))
		log_fatal("%s", e.text);
	logging_configured("postsuper");
	log_set_postlog_fallback(conf.maillog_file);
	check_caller();
	if (chdir(conf.queue_directory) != 0)
		log_fatal("chdir %s: %s", conf.queue_directory, strerror(errno));
	choose_queues(&queues, argv + optind);
	if (orders.n > 0 && !dry_run)
		record_open();
	become_owner();
	if (selection_needs_transport(&selection) && !selection_can_tell_transports(&e))
		log_fatal("%s", e.text);
	catch_signals();
	if (flags != 0)
		fix_structure(&queues, flags, ids_given(&orders));
	for (size_t i = 0; i < orders.n && interrupted == 0; i++) {
		action_use(VEC_AT(&orders, struct order, i)->letter);
		carry_out(VEC_AT(&orders, struct order, i), &queues);
	}
	logs_finish();
	record_close();
	action_summary();
	vec_free(&orders);
	return interrupted != 0;
}
