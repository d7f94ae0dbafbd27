/*
 * worker.c - accepts clients and serves them, one at a time or on a loop. Ends itself; never forks.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "service/private.h"
#include "service/status.h"

#define CROWD	64		/* workers */

static struct {
	struct host *h;
	struct slot *slot;
	struct loop *loop;
	struct watch **listeners;	/* NULL each while this one is busy and there are many */
	size_t clients_open;		/* SERVICE_EVENT */
	int64_t last_use;
	struct client accepted;		/* SERVICE_SINGLE: what the loop has accepted */
	bool triggered, stop;
	bool held;			/* service_hold() */
	bool retired;
} w;

int service_retire_fd(void) { return w.h == NULL ? -1 : w.h->retire_pipe[0]; }

bool
service_retiring(void)
{
	if (w.h == NULL || w.retired)
		return w.retired;
	struct pollfd pfd = { .fd = w.h->retire_pipe[0], .events = POLLIN };

	w.retired = poll(&pfd, 1, 0) > 0;
	return w.retired;
}

void
service_progress(void)
{
	if (w.slot != NULL)
		atomic_store(&w.slot->working_since, clock_ms_coarse());
}

bool
service_wait_request(struct stream *s, int ms)
{
	struct pollfd pfd[2] = { { .fd = stream_fd(s), .events = POLLIN },
				 { .fd = service_retire_fd(), .events = POLLIN } };
	int n;

	service_progress();
	if (stream_buffered(s).n > 0)
		return true;
	if (w.slot != NULL)
		atomic_store(&w.slot->working_since, 0);
	do {
		n = poll(pfd, 2, ms);
	} while (n < 0 && errno == EINTR);
	service_progress();
	return n > 0 && (pfd[0].revents & (POLLIN | POLLHUP)) != 0;
}

static bool
any_idle(void)
{
	for (size_t i = 0, used = atomic_load(w.h->used_slots); i < used; i++)
		if (atomic_load(&w.h->slots[i].state) == SLOT_IDLE)
			return true;
	return false;
}

static void
become_busy(void)
{
	uint64_t one = 1;

	atomic_fetch_add(&w.slot->clients, 1u);
	if (w.h->nslots <= 1)
		return;
	atomic_store(&w.slot->state, SLOT_BUSY);
	if (!any_idle())
		(void)!write(w.h->wake_fd, &one, sizeof one);
}

static _Noreturn void
end(int status)
{
	if (status == 0 && w.h->svc->ending != NULL)
		w.h->svc->ending();
	/* No atexit handlers: they belong to the host that this process was forked from. */
	_exit(status);
}

static bool
is_stream_service(void)
{
	return strcmp(service_env.transport, "inet") == 0 || strcmp(service_env.transport, "unix") == 0 ||
	    strcmp(service_env.transport, "pass") == 0;
}

static void
check_tables(void)
{
	if (w.h->svc->tables_changed != NULL && w.h->svc->tables_changed())
		end(SERVICE_EXIT_RESTART);
}


static void
drain_fifo(int fd)
{
	char trash[1024];

	while (read(fd, trash, sizeof trash) > 0)
		continue;
}

/* SERVICE_SINGLE: the loop only waits; the client is served after it has returned. */
static void
single_ready(void *arg, unsigned events)
{
	int fd = *(int *)arg;

	(void)events;
	if (w.accepted.fd >= 0 || w.triggered)
		return;
	check_tables();
	if (is_stream_service()) {
		w.accepted.fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	} else {
		drain_fifo(fd);
		w.triggered = true;
	}
}

/* Clients wait, and the loop would ask again at once: give others the time to go. */
static void
descriptors_are_out(void)
{
	static int64_t told;

	if (told == 0 || clock_ms() - told > 60000)
		log_warning("accept connection: %s", strerror(errno));
	told = clock_ms();
	(void)poll(NULL, 0, 100);
}

static void
event_ready(void *arg, unsigned events)
{
	int fd = *(int *)arg;

	(void)events;
	w.last_use = clock_ms();
	if (strcmp(service_env.transport, "unix-dgram") == 0) {
		w.h->svc->datagram(w.loop, fd);
		return;
	}
	check_tables();
	if (!is_stream_service()) {
		char bytes[1024];
		ssize_t n = read(fd, bytes, sizeof bytes);

		if (n > 0 && w.h->svc->trigger != NULL)
			w.h->svc->trigger(w.loop, span(bytes, (size_t)n));
		return;
	}
	int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

	if (client < 0) {
		if (errno == EMFILE || errno == ENFILE)
			descriptors_are_out();
		return;
	}
	if (w.clients_open++ == 0)
		atomic_fetch_add(&w.slot->clients, 1u);
	w.h->svc->accepted(w.loop, client);
}

void
service_client_done(void)
{
	w.clients_open--;
	w.last_use = clock_ms();
}

void
service_hold(bool on)
{
	if (w.held && !on)
		w.last_use = clock_ms();
	w.held = on;
}

void
service_check_tables(void)
{
	static int64_t checked;

	if (clock_ms() - checked < 1000)
		return;
	checked = clock_ms();
	check_tables();
}

static void
retired(void *arg, unsigned events)
{
	(void)arg;
	(void)events;
	w.retired = w.stop = true;
}

/*
 * A connection walks over all that watch the listening socket until it finds one that waits. Where there are many workers,
 * the busy ones must not stand in its way: with 10000 of them it takes longer than a fork.
 */
static void
watch_listeners(bool on)
{
	for (size_t i = 0; i < w.h->nlisten; i++) {
		if (on && w.listeners[i] == NULL)
			w.listeners[i] = loop_watch(w.loop, w.h->listen_fds[i], LOOP_READ | (w.h->nslots > 1 ? LOOP_EXCLUSIVE : 0u),
			    w.h->svc->kind == SERVICE_SINGLE ? single_ready : event_ready, &w.h->listen_fds[i]);
		else if (!on)
			loop_unwatch(&w.listeners[i]);
	}
}

static bool
is_crowd(void)
{
	return atomic_load(w.h->used_slots) > CROWD;
}

static int
max_use(void)
{
	return service_options.max_use > 0 ? service_options.max_use : conf.max_use;
}

static int64_t
max_idle_ms(void)
{
	return 1000 * (int64_t)(service_options.max_idle > 0 ? service_options.max_idle : conf.max_idle);
}

static _Noreturn void
single_loop(void)
{
	bool retires = (w.h->svc->flags & SERVICE_NO_RETIRE) == 0;

	for (int uses = 0; !w.stop && !(retires && uses >= max_use()); uses++) {
		w.accepted = (struct client){ .fd = -1, .via = -1 };
		w.triggered = false;
		watch_listeners(true);
		while (w.accepted.fd < 0 && !w.triggered && !w.stop) {
			if (retires && clock_ms() - w.last_use >= max_idle_ms())
				end(0);
			loop_once(w.loop, retires ? max_idle_ms() : -1);
		}
		if (w.accepted.fd < 0 && !w.triggered)
			break;
		if (is_crowd())
			watch_listeners(false);
		become_busy();
		service_progress();
		if (w.triggered)
			w.accepted.fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		else if (strcmp(service_env.transport, "pass") == 0)
			client_receive(w.accepted.fd, &w.accepted);
		session_serve(w.h->svc, &w.accepted);
		atomic_store(&w.slot->working_since, 0);
		atomic_store(&w.slot->state, SLOT_IDLE);
		w.last_use = clock_ms();
	}
	end(0);
}

static _Noreturn void
event_loop(void)
{
	bool retires = (w.h->svc->flags & SERVICE_NO_RETIRE) == 0;

	while (!w.stop) {
		loop_once(w.loop, retires ? max_idle_ms() : -1);
		if (retires && w.clients_open == 0 && !w.held && clock_ms() - w.last_use >= max_idle_ms())
			break;
	}
	end(0);
}

/*
 * Throughput before latency: a worker that wakes up lets whoever works come to a pause (sched(7)). Programs that a delivery
 * starts run as they would anywhere. Where this is not allowed everything works all the same.
 */
static void
give_way(void)
{
	const struct sched_param none = {0};

	(void)sched_setscheduler(0, SCHED_BATCH | SCHED_RESET_ON_FORK, &none);
}

_Noreturn void
worker_run(struct host *h, struct slot *slot)
{
	bool single = h->svc->kind == SERVICE_SINGLE;

	w.h = h;
	w.slot = slot;
	atomic_store(&slot->pid, getpid());
	w.loop = loop_new();
	w.last_use = clock_ms();
	give_way();
	if (h->svc->worker_init != NULL)
		h->svc->worker_init();
	if ((w.listeners = calloc(h->nlisten, sizeof(struct watch *))) == NULL)
		log_out_of_memory();
	watch_listeners(true);
	(void)loop_watch(w.loop, h->retire_pipe[0], LOOP_READ, retired, NULL);
	if (single)
		single_loop();
	loop_show_work(w.loop, &slot->working_since);
	if (h->svc->start != NULL)
		h->svc->start(w.loop);
	event_loop();
}
