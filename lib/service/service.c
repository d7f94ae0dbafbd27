/*
 * service.c - from main() to the host's loop.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/conf.h"
#include "io/file.h"
#include "ipc/attr.h"
#include "service/logging.h"
#include "service/private.h"
#include "service/status.h"

#define PASS_TIMEOUT_MS	5000

void
client_receive(int via, struct client *out)
{
	struct arena *mem = arena_new();
	struct span name, value, text[4] = {{0}};
	static const char *const names[] = { "client_address", "client_port", "server_address", "server_port" };
	uint64_t client_port, server_port;

	*out = (struct client){ .fd = sock_receive_fd(via), .via = via };
	if (out->fd < 0)
		log_warning("no descriptor was passed on a connection to service \"%s\"", service_env.name);
	struct stream *s = stream_new(dup(via));

	stream_set_timeout(s, PASS_TIMEOUT_MS);
	while (out->fd >= 0 && attr_take(s, mem, &name, &value) == ATTR_PAIR)
		for (size_t i = 0; i < 4; i++)
			if (span_is(name, names[i]))
				text[i] = value;
	if (span_to_u64(text[1], &client_port) && client_port < 65536)
		(void)sock_addr_parse(text[0], (uint16_t)client_port, &out->peer);
	if (span_to_u64(text[3], &server_port) && server_port < 65536)
		(void)sock_addr_parse(text[2], (uint16_t)server_port, &out->own);
	stream_free(&s);
	arena_free(&mem);
}

static bool
is_network_service(void)
{
	return service_env.transport != NULL &&
	    (strcmp(service_env.transport, "inet") == 0 || strcmp(service_env.transport, "pass") == 0);
}

void
session_serve(const struct service *svc, const struct client *c)
{
	int on = 1;
	struct sock_addr client = c->peer, server = c->own;
	struct session s = { .client = &client, .server = &server };

	if (c->fd >= 0) {
		if (is_network_service()) {
			(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
			if (client.len == 0)
				(void)sock_peer(c->fd, &client);
			if (server.len == 0)
				(void)sock_local(c->fd, &server);
		}
		s.peer = stream_new(c->fd);
		if (service_env.stand_alone)
			stream_set_output(s.peer, STDOUT_FILENO);
		s.mem = arena_new();
		svc->serve(&s);
		stream_free(&s.peer);
		arena_free(&s.mem);
	}
	if (c->via >= 0)
		(void)close(c->via);
}

/* -D: the command in debugger_command looks at this process; it puts itself into the background. */
static void
run_debugger(void)
{
	if (!service_options.debug)
		return;
	if (conf.debugger_command[0] == '\0')
		log_warning("-D: debugger_command is empty");
	else if (system(conf.debugger_command) != 0)
		log_warning("-D: debugger_command: exit status is not zero");
}

static void
check_flags(const struct service *svc)
{
	if ((svc->flags & SERVICE_PRIVILEGED) && service_options.unprivileged)
		log_fatal("service %s requires a privileged user: set the \"unprivileged\" column of master.cf to \"n\"",
		    service_env.name);
	if (service_env.stand_alone)
		return;			/* limits are master's */
	if ((svc->flags & SERVICE_ONE) && !service_env.single_process)
		log_fatal("service %s requires a process limit of 1", service_env.name);
	if ((svc->flags & SERVICE_NO_LIMIT) && !service_options.no_limit)
		log_fatal("service %s requires a process limit of 0", service_env.name);
}

static struct host *
make_host(const struct service *svc)
{
	static struct host h;

	h.svc = svc;
	h.nslots = svc->kind == SERVICE_EVENT ? 1 : service_options.limit;
	h.nlisten = service_options.nlisten;
	h.listen_fds = calloc(h.nlisten, sizeof *h.listen_fds);
	if (h.listen_fds == NULL)
		log_out_of_memory();
	for (size_t i = 0; i < h.nlisten; i++)
		h.listen_fds[i] = SERVICE_LISTEN_FD + (int)i;
	/* Commands that a service runs for a user get none of ours. */
	for (int fd = SERVICE_FLOW_READ_FD; fd < SERVICE_LISTEN_FD + (int)h.nlisten; fd++)
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	return &h;
}

static const char *
base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

int
service_main(const struct service *svc, int argc, char **argv)
{
	struct err e = {0};

	(void)signal(SIGPIPE, SIG_IGN);
	service_env.program = base_name(argv[0]);
	logging_early(service_env.program);
	options_parse(svc, argc, argv);
	conf_set_override("process_name", service_env.program);
	conf_set_override("service_name", service_env.name);
	if (!stress_load(&e))
		log_fatal("%s", e.text);
	if (chdir(conf.queue_directory) != 0)
		log_fatal("chdir %s: %s", conf.queue_directory, strerror(errno));
	logging_configured(service_env.program);
	log_set_console(log_tag());
	check_flags(svc);
	if (svc->kind == SERVICE_EVENT)		/* a client is a descriptor */
		file_raise_limit();
	run_debugger();
	if (svc->init != NULL)
		svc->init();
	jail_enter();
	if (service_env.stand_alone) {
		if (svc->worker_init != NULL)
			svc->worker_init();
		session_serve(svc, &(struct client){ .fd = STDIN_FILENO, .via = -1 });
		return 0;
	}
	host_run(make_host(svc));
}
