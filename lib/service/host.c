/*
 * host.c - the warm process of a service: forks workers when a client waits and none is idle, buries them, and
 * retires. It talks to nobody but master, and reads nothing from its workers but the shared slots.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "service/private.h"
#include "service/status.h"

#define FORK_RETRY_MS	1000
#define STORM_MS	5		/* from one fork to the next */
#define STORM_WORKERS	8		/* at a time */
#define WATCHDOG_MS	10000		/* how often it looks, or more often when the limit is short */
#define STRESS_MS	1000000		/* after the last time that the process limit was reached */

static struct {
	struct host *h;
	struct loop *loop;
	struct watch **listeners;	/* NULL while nobody needs to be forked */
	struct watch *master;
	struct timer *idle_timer, *stress_timer;
	size_t workers;
	bool retiring, bad_start;
	int exit_status;
} run;

static void
tell_master(enum status_kind kind, pid_t pid, int wait_status)
{
	struct status_msg m = { .kind = (uint32_t)kind, .pid = (int32_t)pid, .wait_status = wait_status };

	if (send(SERVICE_STATUS_FD, &m, sizeof m, MSG_NOSIGNAL) < 0)
		log_debug("status to master: %s", strerror(errno));
}

static bool
any_idle(const struct host *h)
{
	for (size_t i = 0; i < atomic_load(h->used_slots); i++)
		if (atomic_load(&h->slots[i].state) == SLOT_IDLE)
			return true;
	return false;
}

static void listen_ready(void *arg, unsigned events);

static void
set_listening(bool on)
{
	struct host *h = run.h;

	if (on == (run.listeners[0] != NULL))
		return;
	for (size_t i = 0; i < h->nlisten; i++) {
		if (on)
			run.listeners[i] = loop_watch(run.loop, h->listen_fds[i], LOOP_READ, listen_ready, NULL);
		else
			loop_unwatch(&run.listeners[i]);
	}
}

static void update_listening(void);

static void
fork_retry(void *arg, unsigned events)
{
	(void)arg;
	(void)events;
	update_listening();
}

static void
be_worker(struct slot *slot)
{
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	loop_free(&run.loop);
	(void)close(SERVICE_STATUS_FD);
	(void)close(run.h->retire_pipe[1]);
	worker_run(run.h, slot);
}

static struct slot *
free_slot(struct host *h)
{
	for (size_t i = 0; i < h->nslots; i++) {
		if (atomic_load(&h->slots[i].state) != SLOT_FREE)
			continue;
		if (i >= atomic_load(h->used_slots))
			atomic_store(h->used_slots, i + 1);
		return &h->slots[i];
	}
	return NULL;
}

static void
fork_worker(void)
{
	struct slot *slot = free_slot(run.h);

	if (slot == NULL)
		return;
	atomic_store(&slot->clients, 0u);
	atomic_store(&slot->state, SLOT_IDLE);
	pid_t pid = fork();

	if (pid == 0)
		be_worker(slot);
	if (pid < 0) {
		log_warning("fork: %s", strerror(errno));
		atomic_store(&slot->state, SLOT_FREE);
		set_listening(false);
		(void)loop_after(run.loop, FORK_RETRY_MS, fork_retry, NULL);
		return;
	}
	atomic_store(&slot->pid, pid);
	run.workers++;
	loop_cancel(&run.idle_timer);
}

/* Watch the listening sockets exactly while a new client would find nobody. */
static void
update_listening(void)
{
	set_listening(!run.retiring && !any_idle(run.h) && run.workers < run.h->nslots);
}

/*
 * One worker for one client. When clients come faster than that, more at a time: each alone would wait for the one before
 * it to start, to accept and to say that it is busy.
 */
static void
fork_workers(void)
{
	static int64_t last;
	static size_t streak;		/* forks since there was a pause */
	size_t batch;

	streak = clock_ms() - last > STORM_MS ? 0 : streak + 1;
	batch = streak / STORM_WORKERS < STORM_WORKERS ? 1 + streak / STORM_WORKERS : STORM_WORKERS;
	for (size_t i = 0; i < batch && run.workers < run.h->nslots; i++)
		fork_worker();
	last = clock_ms();
}

static void
listen_ready(void *arg, unsigned events)
{
	(void)arg;
	(void)events;
	if (!run.retiring && !any_idle(run.h))
		fork_workers();
	update_listening();
}

static void
stress_over(void *arg, unsigned events)
{
	(void)arg;
	(void)events;
	run.stress_timer = NULL;
	stress_set(false);
}

static void
limit_reached(void)
{
	tell_master(STATUS_LIMIT, 0, 0);
	stress_set(true);
	loop_cancel(&run.stress_timer);
	run.stress_timer = loop_after(run.loop, STRESS_MS, stress_over, NULL);
}

static void
woken(void *arg, unsigned events)
{
	uint64_t count;

	(void)arg;
	(void)events;
	if (read(run.h->wake_fd, &count, sizeof count) > 0 && run.workers >= run.h->nslots && run.h->nslots > 1)
		limit_reached();
	update_listening();
}

static void
retire(void)
{
	if (run.retiring)
		return;
	run.retiring = true;
	set_listening(false);
	tell_master(STATUS_RETIRING, 0, 0);
	(void)close(run.h->retire_pipe[1]);
	run.h->retire_pipe[1] = -1;
	if (run.workers == 0)
		loop_stop(run.loop);
}

static void
master_gone(void *arg, unsigned events)
{
	char byte;

	(void)arg;
	(void)events;
	if (recv(SERVICE_STATUS_FD, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN)
		return;
	loop_unwatch(&run.master);
	retire();
}

static void
idle_too_long(void *arg, unsigned events)
{
	(void)arg;
	(void)events;
	run.idle_timer = NULL;
	retire();
}

static void
worker_ended(struct slot *slot, pid_t pid, int status)
{
	bool served = atomic_load(&slot->clients) > 0;

	atomic_store(&slot->state, SLOT_FREE);
	atomic_store(&slot->pid, 0);
	atomic_store(&slot->working_since, 0);
	run.workers--;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return;
	if (WIFEXITED(status) && WEXITSTATUS(status) == SERVICE_EXIT_RESTART) {
		retire();
		return;
	}
	tell_master(STATUS_WORKER_DIED, pid, status);
	if (!served)
		run.exit_status = 1;	/* it cannot even start: master waits before it tries again */
	retire();			/* a fresh exec takes over: another address-space layout */
}

static void
child_signal(void *arg, unsigned events)
{
	struct signalfd_siginfo info;
	int fd = *(int *)arg, status;
	pid_t pid;

	(void)events;
	while (read(fd, &info, sizeof info) == (ssize_t)sizeof info)
		continue;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (size_t i = 0; i < atomic_load(run.h->used_slots); i++)
			if (atomic_load(&run.h->slots[i].pid) == pid)
				worker_ended(&run.h->slots[i], pid, status);
	if (run.retiring && run.workers == 0)
		loop_stop(run.loop);
	if (!run.retiring && run.workers == 0 && run.idle_timer == NULL)
		run.idle_timer = loop_after(run.loop, (int64_t)conf.max_idle * 1000, idle_too_long, NULL);
	update_listening();
}

/* Seconds that a worker may work without a sign of life. */
static int
work_limit(void)
{
	return strcmp(run.h->svc->name, "qmgr") == 0 ? conf.qmgr_daemon_timeout : conf.daemon_timeout;
}

/* One that hangs is killed: its clients get an error, and a fresh host takes over. */
static void
watchdog(void *arg, unsigned events)
{
	int64_t limit = (int64_t)work_limit() * 1000, now = clock_ms();

	(void)arg;
	(void)events;
	for (size_t i = 0; i < atomic_load(run.h->used_slots); i++) {
		struct slot *slot = &run.h->slots[i];
		int64_t since = atomic_load(&slot->working_since);
		pid_t pid = atomic_load(&slot->pid);

		if (since == 0 || pid == 0 || now - since <= limit)
			continue;
		log_warning("watchdog timeout: process %d has given no sign of life for %d seconds", (int)pid, work_limit());
		(void)kill(pid, SIGKILL);
	}
	(void)loop_after(run.loop, limit / 2 < WATCHDOG_MS ? limit / 2 : WATCHDOG_MS, watchdog, NULL);
}

static int
child_fd(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void
allocate(struct host *h)
{
	/* One slot more, for the number of those in use. */
	h->slots = mmap(NULL, (h->nslots + 1) * sizeof *h->slots, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	h->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (h->slots == MAP_FAILED || h->wake_fd < 0 || pipe2(h->retire_pipe, O_CLOEXEC) != 0)
		log_fatal("cannot set the service up: %s", strerror(errno));
	h->used_slots = (void *)h->slots;
	h->slots++;
}

_Noreturn void
host_run(struct host *h)
{
	static int sigchld;

	allocate(h);
	run.h = h;
	run.loop = loop_new();
	run.listeners = calloc(h->nlisten, sizeof(struct watch *));
	if (run.listeners == NULL)
		log_out_of_memory();
	sigchld = child_fd();
	(void)loop_watch(run.loop, sigchld, LOOP_READ, child_signal, &sigchld);
	(void)loop_watch(run.loop, h->wake_fd, LOOP_READ, woken, NULL);
	run.master = loop_watch(run.loop, SERVICE_STATUS_FD, LOOP_READ, master_gone, NULL);
	tell_master(STATUS_READY, 0, 0);
	watchdog(NULL, 0);
	update_listening();
	loop_run(run.loop);
	exit(run.exit_status);
}
