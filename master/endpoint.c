/*
 * endpoint.c - listening sockets and FIFOs of master.cf, opened once and kept across reloads.
 *
 * SPDX-License-Identifier: ISC
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/log.h"
#include "conf/conf.h"
#include "conf/own_address.h"
#include "conf/tcp_port.h"
#include "io/sock.h"
#include "master/master.h"

#define BACKLOG 4096		/* the kernel has its own limit, net.core.somaxconn; what does not fit costs a client a second */

static struct hash *by_key;

static void
owner_of_mail(const char *path)
{
	const struct passwd *pw = geteuid() == 0 ? getpwnam(conf.mail_owner) : NULL;

	if (pw != NULL && lchown(path, pw->pw_uid, pw->pw_gid) != 0)
		log_warning("change owner of %s: %s", path, strerror(errno));
}

static int
open_fifo(const char *path, struct err *e)
{
	struct stat st;

	if (lstat(path, &st) == 0 && !S_ISFIFO(st.st_mode))
		(void)unlink(path);
	if (mkfifo(path, 0622) != 0 && errno != EEXIST) {
		(void)err_perm(e, "create fifo %s: %s", path, strerror(errno));
		return -1;
	}
	(void)chmod(path, 0622);
	/* Read-write, so that it never reports end of file while no writer has it open. */
	int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		(void)err_perm(e, "open fifo %s: %s", path, strerror(errno));
	return fd;
}

static bool
add(struct svc *s, const char *key, int fd)
{
	struct endpoint *ep = calloc(1, sizeof *ep);

	if (ep == NULL)
		log_out_of_memory();
	*ep = (struct endpoint){ .key = strdup(key), .fd = fd, .svc = s, .keep = true };
	if (by_key == NULL)
		by_key = hash_new();
	(void)hash_put(by_key, span_str(key), ep);
	*(struct endpoint **)vec_add(&s->endpoints) = ep;
	return true;
}

/* Already open from before the reload, or from a duplicate entry? Then it is this service's now. */
static bool
take_over(struct svc *s, const char *key)
{
	struct endpoint *ep = by_key == NULL ? NULL : hash_get(by_key, span_str(key));

	if (ep == NULL)
		return false;
	loop_unwatch(&ep->watch);
	ep->svc = s;
	ep->keep = true;
	*(struct endpoint **)vec_add(&s->endpoints) = ep;
	return true;
}

static bool
open_local(struct svc *s, struct err *e)
{
	const struct master_service *d = s->def;
	char path[256];
	int fd;

	(void)snprintf(path, sizeof path, "%s/%s", d->private ? "private" : "public", d->name);
	if (take_over(s, path))
		return true;
	if (d->type == MASTER_FIFO)
		fd = open_fifo(path, e);
	else
		fd = sock_listen_unix(path, d->type == MASTER_UNIX_DGRAM ? SOCK_DGRAM : SOCK_STREAM, BACKLOG, e);
	if (fd < 0)
		return false;
	owner_of_mail(path);
	return add(s, path, fd);
}

static bool
open_address(struct svc *s, const struct sock_addr *a, struct err *e)
{
	char key[128];

	(void)snprintf(key, sizeof key, a->sa.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", a->host, a->port);
	if (take_over(s, key))
		return true;
	int fd = sock_listen_inet(a, BACKLOG, e);

	return fd >= 0 && add(s, key, fd);
}

/* "host:port", "[host]:port", ":port" or "port" apart. */
static bool
split_name(const char *name, char *host, size_t size, const char **port, struct err *e)
{
	const char *colon = strrchr(name, ':');

	host[0] = '\0';
	*port = colon == NULL ? name : colon + 1;
	if (name[0] == '[') {
		const char *close = strchr(name, ']');

		if (close == NULL)
			return err_perm(e, "missing \"]\" in \"%s\"", name);
		(void)snprintf(host, size, "%.*s", (int)(close - name - 1), name + 1);
	} else if (colon != NULL) {
		(void)snprintf(host, size, "%.*s", (int)(colon - name), name);
	}
	return true;
}

static bool
port_number(const char *port, struct err *e, uint16_t *out)
{
	*out = tcp_port(span_str(port));
	return *out != 0 || err_perm(e, "%s: Servname not supported for ai_socktype", port);
}

static bool
open_named_host(struct svc *s, const char *host, uint16_t port, struct err *e)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE }, *list = NULL;
	bool ok = true;

	if (getaddrinfo(host, NULL, &hints, &list) != 0)
		return err_perm(e, "%s/master.cf: line %u: bad hostname or network address: %s", conf.config_directory,
		    s->def->line, s->def->name);
	for (const struct addrinfo *ai = list; ai != NULL && ok; ai = ai->ai_next) {
		struct sock_addr a;

		sock_addr_set(&a, ai->ai_addr, ai->ai_addrlen);
		ok = sock_addr_parse(span_str(a.host), port, &a) && open_address(s, &a, e);
	}
	freeaddrinfo(list);
	return ok;
}

static bool
open_wildcards(struct svc *s, uint16_t port, struct err *e)
{
	bool v4, v6;
	struct sock_addr a;

	if (!inet_protocols_parse(conf.inet_protocols, &v4, &v6, e))
		return false;
	if (v4 && sock_addr_parse(SPAN("0.0.0.0"), port, &a) && !open_address(s, &a, e))
		return false;
	/* A kernel without IPv6 is no reason not to start. */
	if (v6 && sock_addr_parse(SPAN("::"), port, &a) && !open_address(s, &a, e))
		return errno == EAFNOSUPPORT && v4;
	return true;
}

static bool
open_interfaces(struct svc *s, uint16_t port, struct err *e)
{
	const struct own_address *list;
	size_t n;

	if (strcmp(conf.inet_interfaces, "all") == 0)
		return open_wildcards(s, port, e);
	if (!own_addresses(conf.inet_interfaces, conf.inet_protocols, &list, &n, e))
		return false;
	if (n == 0)
		return err_perm(e, "%s/master.cf: line %u: service definition requires valid host name or address, or non-empty "
		    "inet_interfaces setting", conf.config_directory, s->def->line);
	for (size_t i = 0; i < n; i++) {
		char text[INET6_ADDRSTRLEN];
		struct sock_addr a;

		(void)inet_ntop(list[i].family, list[i].bytes, text, sizeof text);
		if (sock_addr_parse(span_str(text), port, &a) && !open_address(s, &a, e))
			return false;
	}
	return true;
}

static bool
open_inet(struct svc *s, struct err *e)
{
	char host[256];
	const char *port;
	uint16_t number = 0;

	if (!split_name(s->def->name, host, sizeof host, &port, e) || !port_number(port, e, &number))
		return false;
	return host[0] != '\0' ? open_named_host(s, host, number, e) : open_interfaces(s, number, e);
}

bool
endpoints_open(struct svc *s, struct err *e)
{
	s->endpoints = VEC_INIT(struct endpoint *);
	return s->def->type == MASTER_INET ? open_inet(s, e) : open_local(s, e);
}

void
endpoints_begin_reload(void)
{
	size_t pos = 0;
	void *ep;

	while (by_key != NULL && hash_next(by_key, &pos, NULL, &ep))
		((struct endpoint *)ep)->keep = false;
}

void
endpoints_end_reload(void)
{
	size_t pos = 0;
	void *value;

	while (by_key != NULL && hash_next(by_key, &pos, NULL, &value)) {
		struct endpoint *ep = value;

		if (ep->keep)
			continue;
		loop_unwatch(&ep->watch);
		(void)close(ep->fd);
		if (strchr(ep->key, '/') != NULL)
			(void)unlink(ep->key);
		(void)hash_remove(by_key, span_str(ep->key));
		free(ep->key);
		free(ep);
	}
}

static int
connect_to(const struct endpoint *ep)
{
	struct sock_addr a;

	if (strchr(ep->key, '/') != NULL && ep->key[0] == 'p')
		return sock_connect_unix(ep->key, 1000, NULL);
	return sock_local(ep->fd, &a) ? sock_connect_inet(&a, NULL, 1000, NULL) : -1;
}

void
endpoint_wake(const struct svc *s)
{
	const struct endpoint *ep = *VEC_AT(&s->endpoints, struct endpoint *, 0);

	if (s->def->type == MASTER_FIFO) {
		(void)!write(ep->fd, "W", 1);
		return;
	}
	if (s->def->type == MASTER_UNIX_DGRAM)
		return;
	int fd = connect_to(ep);

	if (fd < 0) {
		log_debug("wake up service %s: %s", s->key, strerror(errno));
		return;
	}
	(void)send(fd, "W", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)close(fd);
}
