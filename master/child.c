/*
 * child.c - hosts: started when the first client comes, watched through their status sockets, throttled when they
 * cannot start, woken up by the clock.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "master/master.h"
#include "service/status.h"

#define HIGH_FD			200	/* above all descriptors that a service gets */
#define LIMIT_LOG_SECONDS	1000

static struct host_process *hosts;

const char *
child_program(const struct svc *s, char *out, size_t size)
{
	if (s->def->command[0] == '/')
		(void)snprintf(out, size, "%s", s->def->command);
	else
		(void)snprintf(out, size, "%s/%s", conf.daemon_directory, s->def->command);
	return out;
}

static const char *
base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

static void
arg(struct vec *v, const char *text)
{
	*(const char **)vec_add(v) = text;
}

static const char *
number_text(size_t n)
{
	char text[32];

	(void)snprintf(text, sizeof text, "%zu", n);
	return strdup(text);
}

/* Can strangers reach it? Then it may have to defend itself against overload. */
static bool
is_public(const struct svc *s)
{
	if (s->def->type != MASTER_INET)
		return s->def->type == MASTER_PASS;
	for (size_t i = 0; i < s->endpoints.n; i++) {
		struct span key = span_str((*VEC_AT(&s->endpoints, struct endpoint *, i))->key);

		if (!span_starts(key, SPAN("127.")) && !span_starts(key, SPAN("[::1]")))
			return true;
	}
	return false;
}

/* The command line (in the child; nothing is freed). */
static char **
build_argv(const struct svc *s)
{
	static const char *const types[] = { [MASTER_INET] = "inet", [MASTER_UNIX] = "unix", [MASTER_FIFO] = "fifo",
	    [MASTER_UNIX_DGRAM] = "unix-dgram", [MASTER_PASS] = "pass" };
	const struct master_service *d = s->def;
	struct vec v = VEC_INIT(const char *);
	int limit = d->maxproc == MASTER_MAXPROC_DEFAULT ? conf.default_process_limit : d->maxproc;

	arg(&v, base_name(d->command));
	if (limit == 1)
		arg(&v, "-l");
	if (limit == 0) {
		arg(&v, "-z");
	} else {
		arg(&v, "-L");
		arg(&v, number_text((size_t)limit));
	}
	if (strcmp(base_name(d->command), d->name) != 0) {
		arg(&v, "-n");
		arg(&v, d->name);
	}
	arg(&v, "-t");
	arg(&v, types[d->type]);
	if (master_stay_attached)
		arg(&v, "-d");
	for (int i = 0; i < master_verbose; i++)
		arg(&v, "-v");
	if (d->unprivileged)
		arg(&v, "-u");
	if (d->chroot)
		arg(&v, "-c");
	if (is_public(s) && limit != 1) {
		arg(&v, "-o");
		arg(&v, "stress=");		/* the host itself knows when it is under stress */
	}
	if (s->endpoints.n > 1) {
		arg(&v, "-s");
		arg(&v, number_text(s->endpoints.n));
	}
	for (size_t i = 0; i < d->argc; i++)
		arg(&v, d->argv[i]);
	arg(&v, NULL);
	return v.p;
}

static int
lifted(int fd)
{
	return fcntl(fd, F_DUPFD, HIGH_FD);
}

/* The pipe of service/flow.h; a master that cannot make it goes without. */
static const int *
flow_pipe(void)
{
	static int ends[2] = { -1, -1 };
	static bool made;

	if (!made && pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
		log_warning("pipe: %s", strerror(errno));
	made = true;
	return ends;
}

/* Descriptors as the service expects them: 0-2, flow, status, listening sockets; nothing else. */
static void
place_descriptors(const struct svc *s, int status_fd)
{
	int status = lifted(status_fd), null = open("/dev/null", O_RDWR);
	int flow[2] = { lifted(flow_pipe()[0]), lifted(flow_pipe()[1]) };
	size_t n = s->endpoints.n;
	int *listening = calloc(n + 1, sizeof *listening);

	if (listening == NULL)
		_exit(1);
	for (size_t i = 0; i < n; i++)
		listening[i] = lifted((*VEC_AT(&s->endpoints, struct endpoint *, i))->fd);
	for (int fd = 0; fd < 3; fd++)
		if (null >= 0 && null != fd && !(fd == 2 && master_stay_attached))
			(void)dup2(null, fd);
	(void)dup2(status, SERVICE_STATUS_FD);
	for (size_t i = 0; i < n; i++)
		(void)dup2(listening[i], SERVICE_LISTEN_FD + (int)i);
	free(listening);
	(void)close_range(3, SERVICE_STATUS_FD - 1, 0);
	if (flow[0] >= 0 && flow[1] >= 0) {
		(void)dup2(flow[0], SERVICE_FLOW_READ_FD);
		(void)dup2(flow[1], SERVICE_FLOW_WRITE_FD);
	}
	(void)close_range((unsigned)SERVICE_LISTEN_FD + (unsigned)n, ~0u, 0);
}

static _Noreturn void
run_child(struct svc *s, int status_fd)
{
	char path[1024];
	sigset_t none;
	char **argv = build_argv(s);

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	place_descriptors(s, status_fd);
	(void)execv(child_program(s, path, sizeof path), argv);
	log_fatal("%s: exec %s: %s", s->key, path, strerror(errno));
}

static void
throttle_over(void *p, unsigned events)
{
	struct svc *s = p;

	(void)events;
	s->throttle = NULL;
	child_listen(s, true);
}

static void
throttle(struct svc *s)
{
	child_listen(s, false);
	if (s->throttle == NULL)
		s->throttle = loop_after(master_loop, (int64_t)conf.service_throttle_time * 1000, throttle_over, s);
}

static void
log_death(const char *path, pid_t pid, int status)
{
	if (WIFSIGNALED(status))
		log_warning("process %s pid %d killed by signal %d", path, (int)pid, WTERMSIG(status));
	else if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
		log_warning("process %s pid %d exit status %d", path, (int)pid, WEXITSTATUS(status));
}

static void
limit_reached(struct svc *s)
{
	static int64_t last = -1;
	int64_t now = clock_ms();
	const struct endpoint *ep = *VEC_AT(&s->endpoints, struct endpoint *, 0);
	const char *port = strrchr(ep->key, ':');

	if (s->def->type != MASTER_INET || (last >= 0 && now - last < LIMIT_LOG_SECONDS * 1000))
		return;
	last = now;
	log_warning("service \"%s\" (%s) has reached its process limit \"%d\": new clients may experience noticeable delays",
	    s->def->name, port == NULL ? ep->key : port + 1,
	    s->def->maxproc == MASTER_MAXPROC_DEFAULT ? conf.default_process_limit : s->def->maxproc);
	log_warning("to avoid this condition, increase the process count in master.cf or reduce the service time per client");
	log_warning("see https://www.postfix.org/STRESS_README.html for examples of stress-adapting configuration settings");
}

static void
successor_wanted(struct host_process *h)
{
	struct svc *s = h->svc;

	h->retiring = true;
	h->svc = NULL;
	if (s == NULL)
		return;
	s->host = NULL;
	if (s->throttle == NULL)
		child_listen(s, true);
}

static void
status_message(struct host_process *h, const struct status_msg *m)
{
	switch (m->kind) {
	case STATUS_READY:
		h->ready = true;
		break;
	case STATUS_RETIRING:
		successor_wanted(h);
		break;
	case STATUS_WORKER_DIED:
		log_death(h->path, (pid_t)m->pid, m->wait_status);
		break;
	case STATUS_LIMIT:
		if (h->svc != NULL)
			limit_reached(h->svc);
		break;
	default:
		break;
	}
}

static void
status_ready(void *p, unsigned events)
{
	struct host_process *h = p;
	struct status_msg m;
	ssize_t n;

	(void)events;
	while ((n = recv(h->status_fd, &m, sizeof m, MSG_DONTWAIT)) == (ssize_t)sizeof m)
		status_message(h, &m);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		loop_unwatch(&h->watch);	/* the exit status follows */
}

static void
start_host(struct svc *s)
{
	int pair[2];
	char path[1024];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
		log_warning("socketpair: %s", strerror(errno));
		throttle(s);
		return;
	}
	(void)flow_pipe();		/* one for all, so before the first fork */
	pid_t pid = fork();

	if (pid == 0)
		run_child(s, pair[1]);
	(void)close(pair[1]);
	if (pid < 0) {
		log_warning("fork: %s -- throttling", strerror(errno));
		(void)close(pair[0]);
		throttle(s);
		return;
	}
	struct host_process *h = calloc(1, sizeof *h);

	if (h == NULL)
		log_out_of_memory();
	*h = (struct host_process){ .pid = pid, .status_fd = pair[0], .svc = s, .next = hosts };
	h->path = strdup(child_program(s, path, sizeof path));
	h->key = strdup(s->key);
	h->watch = loop_watch(master_loop, pair[0], LOOP_READ, status_ready, h);
	hosts = h;
	s->host = h;
	child_listen(s, false);
}

static void wakeup(void *p, unsigned events);

static void
arm_wakeup(struct svc *s)
{
	if (s->wakeup == NULL)
		s->wakeup = loop_after(master_loop, (int64_t)s->def->wakeup * 1000, wakeup, s);
}

static void
wakeup(void *p, unsigned events)
{
	struct svc *s = p;

	(void)events;
	s->wakeup = NULL;
	if (s->throttle == NULL)
		endpoint_wake(s);
	arm_wakeup(s);
}

static bool
is_woken_up(const struct svc *s)
{
	return s->def->wakeup > 0 && (!s->def->wakeup_if_used || s->used);
}

void
child_start_wakeups(struct svc *s)
{
	if (s->wakeup != NULL || !is_woken_up(s))
		return;
	wakeup(s, 0);
}

void
child_restart_wakeups(struct svc *s)
{
	if (!is_woken_up(s))
		return;
	loop_cancel(&s->wakeup);
	if (s->host == NULL && s->throttle == NULL)
		start_host(s);
	wakeup(s, 0);
}

/* A host that was to end may have taken the connection that should have woken up its successor. */
static const char *ended;

static void
wake_successor(struct svc *s)
{
	if (strcmp(s->key, ended) == 0 && is_woken_up(s) && s->throttle == NULL)
		endpoint_wake(s);
}

static void
first_client(void *p, unsigned events)
{
	struct endpoint *ep = p;
	struct svc *s = ep->svc;

	(void)events;
	if (!s->used) {
		s->used = true;
		if (s->def->wakeup > 0 && s->def->wakeup_if_used)
			arm_wakeup(s);
	}
	if (s->host == NULL)
		start_host(s);
}

void
child_listen(struct svc *s, bool on)
{
	for (size_t i = 0; i < s->endpoints.n; i++) {
		struct endpoint *ep = *VEC_AT(&s->endpoints, struct endpoint *, i);

		if (!on)
			loop_unwatch(&ep->watch);
		else if (ep->watch == NULL && s->host == NULL && s->throttle == NULL)
			ep->watch = loop_watch(master_loop, ep->fd, LOOP_READ, first_client, ep);
	}
}

void
child_retire(struct svc *s)
{
	struct host_process *h = s->host;

	if (h == NULL)
		return;
	/* End of input at the host's side means: retire. It can still tell us of its workers. */
	(void)shutdown(h->status_fd, SHUT_WR);
	successor_wanted(h);
}

void
child_forget(struct svc *s)
{
	child_retire(s);
	loop_cancel(&s->throttle);
	loop_cancel(&s->wakeup);
}

static void
buried(struct host_process *h, int status)
{
	struct svc *s = h->svc;
	bool bad = !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	bool bad_start = bad && (!h->ready || (WIFEXITED(status) && WEXITSTATUS(status) != 0));

	log_death(h->path, h->pid, status);
	if (s != NULL)
		s->host = NULL;
	if (s == NULL)
		return;
	if (bad_start) {
		log_warning("%s: bad command startup -- throttling", h->path);
		throttle(s);
	} else {
		child_listen(s, true);
	}
}

static void
reap_one(pid_t pid, int status)
{
	for (struct host_process **p = &hosts; *p != NULL; p = &(*p)->next) {
		struct host_process *h = *p;

		if (h->pid != pid)
			continue;
		if (h->watch != NULL)
			status_ready(h, 0);	/* what it said last */
		*p = h->next;
		ended = h->svc == NULL ? h->key : NULL;
		buried(h, status);
		if (ended != NULL)
			table_each(wake_successor);
		loop_unwatch(&h->watch);
		(void)close(h->status_fd);
		free(h->key);
		free(h->path);
		free(h);
		return;
	}
}

void
child_reap(void)
{
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		reap_one(pid, status);
}
