/*
 * main.c - postqueue(1): lists the mail queue and asks for deliveries now. Installed set-gid to reach public/; works for
 * whoever authorized_mailq_users and authorized_flush_users name. Every fatal error ends with status 69.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/conf.h"
#include "io/sock.h"
#include "mail/flush_client.h"
#include "mail/queue.h"
#include "mail/showq_wish.h"
#include "mail/trigger.h"
#include "mail/user_acl.h"
#include "postqueue/postqueue.h"
#include "service/setgid.h"
#include "smtp/address.h"

#define EX_UNAVAILABLE	69
#define CONNECT_MS	10000
#define NAMES_TRIED	100
#define SITE_SHOWN	100		/* bytes of a bad destination that go into the message */

static const char usage[] = "usage: postqueue -f | postqueue -i queueid | postqueue -j | postqueue -p | postqueue -s site";

enum { OPTION_SUSPEND = SELECT_END, OPTION_RESUME, OPTION_FOR, OPTION_NEXT_ATTEMPT, OPTION_SUSPENDED };

static int suspend_seconds = 3600;
static unsigned wishes;			/* of what showq(8) is to tell */
static struct selection selection = { .older = -1, .newer = -1, .larger = -1, .smaller = -1 };

static bool
is_owner(void)
{
	const struct passwd *owner = getpwnam(conf.mail_owner);

	return getuid() == 0 || (owner != NULL && getuid() == owner->pw_uid);
}

static void
check_user(const char *parameter, const char *list, const char *what)
{
	struct arena *mem = arena_new();
	const char *name = user_name(getuid(), mem);

	if (!is_owner() && !user_allowed(parameter, list, name))
		log_fatal("User %s(%u) is not allowed to %s the mail queue", name, getuid(), what);
	arena_free(&mem);
}

/* Any user can take a name for his socket; then we take the next one. */
static int
connect_showq(const char *path)
{
	char name[SOCK_NAME_MAX];
	int fd = -1;

	if (wishes == 0)
		return sock_connect_unix(path, CONNECT_MS, NULL);
	errno = EADDRINUSE;
	for (unsigned i = 0; i < NAMES_TRIED && fd < 0 && errno == EADDRINUSE; i++) {
		showq_wish_name(wishes, i, name);
		fd = sock_connect_unix_as(name, path, CONNECT_MS, NULL);
	}
	return fd;
}

/* Whoever may read the queue needs no running mail system to list it: showq(8) as a child, talking to *peer. */
static pid_t
run_showq(int *peer)
{
	char program[1024], name[SOCK_NAME_MAX];
	int pair[2];

	(void)snprintf(program, sizeof program, "%s/showq", conf.daemon_directory);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		log_fatal("socketpair: %s", strerror(errno));
	showq_wish_name(wishes, 0, name);
	if (wishes != 0 && !sock_set_name(pair[0], name))
		log_fatal("name of a socket: %s", strerror(errno));
	pid_t pid = fork();

	if (pid < 0)
		log_fatal("fork: %s", strerror(errno));
	if (pid == 0) {
		if (dup2(pair[1], STDIN_FILENO) >= 0 && dup2(pair[1], STDOUT_FILENO) >= 0)
			(void)execl(program, program, "-u", "-S", (char *)NULL);
		log_warning("execute %s: %s", program, strerror(errno));
		_exit(1);
	}
	(void)close(pair[1]);
	*peer = pair[0];
	return pid;
}

static void
finish_child(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (status != 0)
		log_warning("command %s/showq: %s %d", conf.daemon_directory, WIFEXITED(status) ? "exit status" : "killed by signal",
		    WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

static void
show(bool json)
{
	char path[256];
	pid_t child = 0;

	check_user("authorized_mailq_users", conf.authorized_mailq_users, "view");
	(void)snprintf(path, sizeof path, "public/%s", conf.showq_service_name);
	int fd = connect_showq(path), why = errno;

	if (fd < 0 && why == EACCES)
		log_fatal("Connect to the Postfix %s service: %s", conf.showq_service_name, strerror(why));
	if (fd < 0 && !is_owner())
		log_fatal("Queue report unavailable - mail system is down (Connect to the Postfix %s service: %s)",
		    conf.showq_service_name, strerror(why));
	if (fd < 0) {
		log_warning("Mail system is down -- accessing queue directly (Connect to the Postfix %s service: %s)",
		    conf.showq_service_name, strerror(why));
		if (selection_needs_transport(&selection))
			log_fatal("--transport: the mail system must be running");
		child = run_showq(&fd);
	}
	struct stream *in = stream_new(fd);

	stream_expect_much(in);
	bool ok = (wishes & WISH_SUSPENDED) != 0 ? show_suspended(in, json) :
	    show_list(in, json ? &format_json : &format_text, &selection);

	stream_free(&in);
	if (child != 0)
		finish_child(child);
	if (!ok)
		log_fatal("malformed %s server response", conf.showq_service_name);
}

static _Noreturn void
system_is_down(void)
{
	log_fatal("Cannot flush mail queue - mail system is down");
}

static void
wake(const char *service, const char *bytes)
{
	if (trigger_send("public", service, bytes))
		return;
	if (errno == ENOENT)
		log_warning("unable to look up public/%s: %s", service, strerror(errno));
	system_is_down();
}

static void
flush_all(void)
{
	check_user("authorized_flush_users", conf.authorized_flush_users, "flush");
	wake(conf.queue_service_name, "FADI");
	wake(conf.pickup_service_name, "W");
}

static void
flush_destination(const char *site)
{
	struct span host;
	size_t n = strlen(site);

	check_user("authorized_flush_users", conf.authorized_flush_users, "flush");
	if (!(site[0] == '[' ? address_literal_take(span_str(site), &host) : address_hostname_ok(span_str(site))))
		log_fatal("Cannot flush mail queue - invalid destination: \"%.*s%s\"", SITE_SHOWN, site,
		    n > SITE_SHOWN ? "..." : "");
	flush_prepare();
	switch (flush_site(span_str(site))) {
	case FLUSH_OK: break;
	case FLUSH_BAD: log_fatal("Invalid request: \"%s\"", site);
	case FLUSH_DENIED: log_fatal("Flush service is not configured for destination \"%s\"", site);
	default: system_is_down();
	}
}

static void
flush_file(const char *id)
{
	check_user("authorized_flush_users", conf.authorized_flush_users, "flush");
	if (!queue_id_valid(span_str(id)))
		log_fatal("Cannot flush queue ID - invalid name: \"%s\"", id);
	if (trigger_retry_message(id))
		return;
	/* The words of Postfix, where this way leads through flush(8). */
	log_warning("connect to public/%s: %s", conf.flush_service_name, strerror(errno));
	system_is_down();
}

/* For a domain of recipients or a next hop, or transport:NAME. */
static void
suspend(const char *destination, bool on)
{
	check_user("authorized_flush_users", conf.authorized_flush_users, "flush");
	if (destination[0] == '\0' || strpbrk(destination, " \t\r\n") != NULL)
		log_fatal("bad destination: \"%s\": need a domain, [host]:port, or transport:name", destination);
	if (on ? trigger_suspend(destination, suspend_seconds) : trigger_resume(destination))
		return;
	log_warning("connect to public/%s: %s", conf.queue_service_name, strerror(errno));
	system_is_down();
}

/* --suspended goes alone or with -j. */
static void
suspended_alone(int *action)
{
	if ((*action != 0 && *action != 'j') || wishes != WISH_SUSPENDED || !selection_is_empty(&selection))
		log_fatal("--suspended goes alone or with -j");
	if (*action == 0)
		*action = OPTION_SUSPENDED;
}

static void
act(int action, const char *value)
{
	switch (action) {
	case 'p':
	case OPTION_SUSPENDED: show(false); break;
	case 'j': show(true); break;
	case 'f': flush_all(); break;
	case 's': flush_destination(value); break;
	case 'i': flush_file(value); break;
	case OPTION_SUSPEND:
	case OPTION_RESUME: suspend(value, action == OPTION_SUSPEND); break;
	default: log_fatal("%s", usage);
	}
}

int
main(int argc, char **argv)
{
	static char name[] = "postqueue";
	const char *config = getenv("MAIL_CONFIG"), *value = NULL;
	static const struct option options[] = { { "suspend", required_argument, NULL, OPTION_SUSPEND },
	    { "resume", required_argument, NULL, OPTION_RESUME }, { "for", required_argument, NULL, OPTION_FOR },
	    { "next-attempt", no_argument, NULL, OPTION_NEXT_ATTEMPT }, { "suspended", no_argument, NULL, OPTION_SUSPENDED }, SELECTION_OPTIONS, { NULL, 0, NULL, 0 } };
	int action = 0, letter;
	struct err e = {0};

	argv[0] = name;			/* for messages of getopt */
	(void)umask(022);
	(void)signal(SIGPIPE, SIG_DFL);		/* "postqueue -p | head" ends quietly */
	log_init("postfix/postqueue", LOG_TO_STDERR);
	log_set_fatal_status(EX_UNAVAILABLE);
	while ((letter = getopt_long(argc, argv, "+c:fi:jps:v", options, NULL)) != -1) {
		if (letter == OPTION_FOR) {
			if (!conf_parse_time(span_str(optarg), 'h', &suspend_seconds))
				log_fatal("--for: bad time value: %s (a number and s, m, h, d or w)", optarg);
		} else if (letter == OPTION_NEXT_ATTEMPT) {
			wishes |= WISH_NEXT_ATTEMPT;
		} else if (letter == OPTION_SUSPENDED) {
			wishes |= WISH_SUSPENDED;
		} else if (letter >= SELECT_SENDER && letter < SELECT_END) {
			if (!selection_take(&selection, letter, optarg, &e))
				log_fatal("%s", e.text);
		} else if (letter == 'c') {
			config = optarg;
		} else if (letter == 'v') {
			log_verbose += getuid() == 0;
		} else {
			if (letter == '?' || action != 0)
				log_fatal("%s", usage);
			action = letter;
			value = optarg;
		}
	}
	if ((wishes & WISH_SUSPENDED) != 0)
		suspended_alone(&action);
	if (action == 0 || optind < argc)
		log_fatal("%s", usage);
	if (!selection_is_empty(&selection) && action != 'p' && action != 'j')
		log_fatal("a selection goes with -p or -j (postsuper changes what is selected)");
	if ((wishes & WISH_NEXT_ATTEMPT) != 0 && action != 'j')
		log_fatal("--next-attempt goes with -j");
	if (selection_needs_transport(&selection))
		wishes |= WISH_TRANSPORT;
	setgid_start("postqueue", config);
	act(action, value);
	return 0;
}
