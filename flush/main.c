/*
 * main.c - flush(8): remembers which deferred messages have mail for a destination (flush/SITE in the queue directory),
 * and has qmgr(8) try them when the destination asks for its mail.
 * Trusts no client: site names become file names of letters, digits and '_' only, queue IDs are checked on their way
 * in and out. Needs no network, no privilege.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/log.h"
#include "conf/conf.h"
#include "io/file.h"
#include "ipc/ipc.h"
#include "mail/flush_client.h"
#include "mail/queue.h"
#include "mail/trigger.h"
#include "service/service.h"

#define LOG_MAX		10000000u	/* bytes of one log that are looked at */

/* "Example.com" -> "example_com". NULL: nothing that could be a name. */
static const char *
log_name(struct span site, struct arena *mem)
{
	char *name = arena_alloc(mem, site.n + 1);

	for (size_t i = 0; i < site.n; i++)
		name[i] = ascii_alnum(site.p[i]) ? ascii_lower(site.p[i]) : '_';
	name[site.n] = '\0';
	return queue_id_valid(span(name, site.n)) ? name : NULL;
}

static enum flush_status
add(const struct ipc_flush_add *m, struct arena *mem)
{
	const char *name = log_name(m->site, mem);
	int fd;

	if (name == NULL || !queue_id_valid(m->queue_id))
		return FLUSH_BAD;
	fd = queue_open("flush", name, O_CREAT | O_APPEND | O_WRONLY, 0600);
	if (fd < 0) {
		log_warning("open fast flush log file flush/%s: %s", name, strerror(errno));
		return FLUSH_FAILED;
	}
	const char *line = arena_printf(mem, "%.*s\n", SPAN_ARG(m->queue_id));
	bool ok = file_lock(fd, FILE_LOCK_EXCLUSIVE, true) && file_write_all(fd, line, strlen(line));

	if (!ok)
		log_warning("write fast flush log file flush/%s: %s", name, strerror(errno));
	(void)close(fd);
	return ok ? FLUSH_OK : FLUSH_FAILED;
}

/* Each message once, in the order in which they were deferred. */
static void
retry_all(struct span ids)
{
	struct hash *seen = hash_new();
	struct span id;

	while (span_take_until(&ids, '\n', &id)) {
		if (!queue_id_valid(id) || hash_get(seen, id) != NULL)
			continue;
		struct arena *mem = arena_new();

		(void)hash_put(seen, id, seen);
		if (!trigger_retry_message(span_cstr(id, mem)))
			log_warning("%.*s: cannot reach the queue manager: %s", SPAN_ARG(id), strerror(errno));
		arena_free(&mem);
	}
	hash_free(&seen, NULL);
}

/* The log is empty afterwards: what is deferred again is added again. */
static enum flush_status
send_log(const char *name)
{
	struct buf ids = {0};
	enum flush_status status = FLUSH_FAILED;
	int fd = queue_open("flush", name, O_RDWR, 0);

	if (fd < 0 && errno == ENOENT)
		return FLUSH_OK;
	if (fd < 0) {
		log_warning("open fast flush log file flush/%s: %s", name, strerror(errno));
		return FLUSH_FAILED;
	}
	if (file_lock(fd, FILE_LOCK_EXCLUSIVE, true) && file_read_fd(fd, LOG_MAX, &ids) && ftruncate(fd, 0) == 0)
		status = FLUSH_OK;
	else
		log_warning("read fast flush log file flush/%s: %s", name, strerror(errno));
	(void)futimens(fd, NULL);
	(void)close(fd);
	retry_all(buf_view(&ids));
	buf_free(&ids);
	return status;
}

static enum flush_status
send_site(const struct ipc_flush_site *m, struct arena *mem)
{
	const char *name = log_name(m->site, mem);

	return name == NULL ? FLUSH_BAD : send_log(name);
}

/* Logs that nobody has asked for in a long time are tried, empty ones go. */
static void
refresh(void)
{
	struct queue_scan *scan = queue_scan_open("flush");
	const char *name;
	struct stat st;
	time_t now = time(NULL);
	char path[QUEUE_PATH_MAX];

	while (queue_scan_next(scan, &name)) {
		queue_path(path, "flush", name);
		if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode))
			continue;
		if (st.st_size > 0 && now - st.st_atime >= conf.fast_flush_refresh_time)
			(void)send_log(name);
		else if (st.st_size == 0 && now - st.st_mtime >= conf.fast_flush_purge_time && unlink(path) != 0)
			log_warning("remove fast flush log file %s: %s", path, strerror(errno));
	}
	queue_scan_close(&scan);
}

static bool
step(struct stream *peer, struct arena *mem)
{
	union {
		struct ipc_flush_add add;
		struct ipc_flush_site site;
	} u;
	struct ipc_status answer = {0};
	struct span payload;
	enum ipc_kind kind = ipc_receive(peer, IPC_MAX, mem, &payload);

	if (kind == IPC_flush_add && ipc_decode(payload, kind, &u, mem)) {
		answer.status = add(&u.add, mem);
	} else if (kind == IPC_flush_site && ipc_decode(payload, kind, &u, mem)) {
		answer.status = send_site(&u.site, mem);
	} else {
		if (kind != IPC_NONE)
			log_warning("unexpected message \"%s\" from a client", ipc_name(kind));
		return false;
	}
	return ipc_send(peer, IPC_status, &answer);
}

/* master(8) writes the byte 'W', and a NUL perhaps, and goes. */
static bool
is_wakeup(struct stream *peer)
{
	struct span in = stream_buffered(peer);

	return in.n <= 2 && in.n > 0 && in.p[0] == 'W';
}

static void
serve(struct session *s)
{
	stream_set_timeout(s->peer, (int64_t)conf.ipc_timeout * 1000);
	if (stream_fill(s->peer) && is_wakeup(s->peer)) {
		refresh();
		return;
	}
	while (service_wait_request(s->peer, (conf.ipc_idle + 1) * 1000) && step(s->peer, s->mem))
		arena_reset(s->mem);
}

static const struct service flush = {
	.name = "flush",
	.kind = SERVICE_SINGLE,
	.serve = serve,
};

int
main(int argc, char **argv)
{
	return service_main(&flush, argc, argv);
}
