/*
 * file.c - the queue file of a message: creation, buffered writing, commit. The order of operations is the promise:
 * everything written, mode 0700, fsync, and only then anybody hears of it.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "cleanup/cleanup.h"
#include "conf/conf.h"
#include "io/file.h"

void
message_trouble(struct message *m, unsigned status, const char *reason)
{
	m->status |= status;
	if (reason != NULL && m->reason.n == 0)
		m->reason = span_copy(span_str(reason), m->mem);
}

bool
message_wanted(const struct message *m)
{
	const unsigned told = CLEANUP_STAT_CONT | CLEANUP_STAT_HOPS;

	if (m->discard)
		return false;
	return m->status == 0 || ((m->flags & CLEANUP_FLAG_BOUNCE) != 0 && (m->status & ~told) == 0);
}

bool
message_create(struct message *m)
{
	struct err e = {0};

	m->fd = queue_create(m->queue, 0600, &m->created, m->id, &e);
	if (m->fd < 0) {
		log_warning("%s", e.text);
		return false;
	}
	/* The lock tells qmgr(8), which removes incomplete files, that this one has a living writer. */
	(void)file_lock(m->fd, FILE_LOCK_EXCLUSIVE, false);
	rec_put_size(&m->out, &m->size);
	return true;
}

int64_t message_offset(const struct message *m) { return m->out_at + (int64_t)m->out.n; }

static void
check_size(struct message *m)
{
	if (conf.message_size_limit > 0 && message_offset(m) > conf.message_size_limit && (m->status & CLEANUP_STAT_SIZE) == 0) {
		log_warning("%s: queue file size limit exceeded", m->id);
		message_trouble(m, CLEANUP_STAT_SIZE, NULL);
	}
}

void
message_flush(struct message *m, size_t limit)
{
	check_size(m);
	if (m->out.n <= limit)
		return;
	if (message_wanted(m) && !file_write_all(m->fd, m->out.p, m->out.n)) {
		log_warning("%s: write queue file: %s", m->id, strerror(errno));
		message_trouble(m, CLEANUP_STAT_WRITE, NULL);
	}
	m->out_at += (int64_t)m->out.n;
	buf_reset(&m->out);
}

/* The C record with its final numbers, where the zeros stand. */
static bool
write_sizes(struct message *m)
{
	struct buf head = {0};
	bool ok = true;

	rec_put_size(&head, &m->size);
	if (m->out_at == 0)
		memcpy(m->out.p, head.p, head.n);
	else
		ok = pwrite(m->fd, head.p, head.n, 0) == (ssize_t)head.n;
	buf_free(&head);
	return ok;
}

static bool
to_hold(struct message *m)
{
	if ((m->flags & CLEANUP_FLAG_HOLD) == 0)
		return true;
	if (!queue_rename(m->id, m->queue, "hold"))
		return false;
	m->queue = "hold";
	return true;
}

bool
message_finish_file(struct message *m)
{
	rec_put(&m->out, REC_END, SPAN_NULL);
	bool ok = write_sizes(m);

	message_flush(m, 0);
	return ok;
}

void
message_commit(struct message *m)
{
	bool ok = message_finish_file(m);

	if (m->status != 0)
		return;
	ok = ok && to_hold(m) && fchmod(m->fd, QUEUE_MODE_READY) == 0 && fsync(m->fd) == 0;
	int saved = errno;

	if (close(m->fd) != 0 && ok) {
		saved = errno;
		ok = false;
	}
	m->fd = -1;
	if (!ok) {
		log_warning("%s: write queue file: %s", m->id, strerror(saved));
		message_trouble(m, CLEANUP_STAT_WRITE, NULL);
	}
}

void
message_remove(struct message *m, const char *why)
{
	if (m->id[0] == '\0')
		return;
	if (queue_unlink(m->queue, m->id) || errno == ENOENT) {
		log_info("%s: removed (%s)", m->id, why);
		return;
	}
	/* Whatever became of it: the client is told that the message was not taken, so nobody may deliver it. */
	char path[QUEUE_PATH_MAX];

	log_warning("%s: cannot remove queue file: %s", m->id, strerror(errno));
	queue_path(path, m->queue, m->id);
	if (chmod(path, 0600) != 0)
		log_warning("%s: cannot make the queue file incomplete: %s", m->id, strerror(errno));
}
