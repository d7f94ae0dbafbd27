/*
 * bounce_log.c - reads the log files of a message. Trusts nothing in them: every value is made one printable line.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "io/file.h"
#include "mail/bounce_log.h"
#include "mail/queue.h"

#define PIECE		65536u	/* read at a time; a longer line is cut there */
#define ENTRY_LINES	100	/* that are looked at; we write a dozen */

struct log_reader {
	int fd;
	struct buf window;
	size_t at;			/* of the next line in it */
	bool ended;			/* the file */
	bool brief;
	struct arena *mem;		/* of the present entry */
};

#define NAME(literal)	{ (literal), sizeof(literal) - 1 }

static const struct {
	struct span name;
	size_t offset;
	bool brief;			/* what a list shows */
} text_fields[] = {
	{ NAME("recipient"), offsetof(struct log_entry, recipient), true },
	{ NAME("original_recipient"), offsetof(struct log_entry, original), true },
	{ NAME("dsn_orig_rcpt"), offsetof(struct log_entry, dsn_orcpt), false },
	{ NAME("status"), offsetof(struct log_entry, status), false },
	{ NAME("action"), offsetof(struct log_entry, action), false },
	{ NAME("diag_type"), offsetof(struct log_entry, diag_type), false },
	{ NAME("diag_text"), offsetof(struct log_entry, diag_text), false },
	{ NAME("mta_type"), offsetof(struct log_entry, mta_type), false },
	{ NAME("mta_mname"), offsetof(struct log_entry, mta_name), false },
	{ NAME("reason"), offsetof(struct log_entry, reason), true },
};

static void
take_field(struct log_entry *e, struct span line, struct arena *mem, bool brief)
{
	struct span value = line, name;
	uint64_t n;

	if (line.p[0] == '<' || !span_take_until(&value, '=', &name))
		return;			/* the old form; all of it stands in the other lines too */
	for (size_t i = 0; i < sizeof text_fields / sizeof *text_fields; i++)
		if (name.n == text_fields[i].name.n && span_eq(name, text_fields[i].name)) {
			if (brief && !text_fields[i].brief)
				return;
			value = span_printable(value, mem);
			memcpy((char *)e + text_fields[i].offset, &value, sizeof value);
			return;
		}
	if (span_is(name, "offset") && span_to_u64(value, &n))
		e->offset = (int64_t)n;
	else if (span_is(name, "notify_flags") && span_to_u64(value, &n))
		e->notify = (unsigned)n;
}

static struct log_reader *
reader_new(void)
{
	struct log_reader *r = calloc(1, sizeof *r);

	if (r == NULL)
		log_out_of_memory();
	r->fd = -1;
	r->mem = arena_new();
	return r;
}

int
log_reader_done(struct log_reader *r)
{
	const int fd = r->fd;

	r->fd = -1;
	return fd;
}

static void
release(struct log_reader *r)
{
	const int fd = log_reader_done(r);

	if (fd >= 0)
		(void)close(fd);
}

bool
log_reader_again(struct log_reader **rp, int dir, const char *path)
{
	const int fd = file_open_look(dir, path);

	if (fd < 0)
		return false;
	if (*rp == NULL)
		*rp = reader_new();
	release(*rp);
	buf_reset(&(*rp)->window);
	(*rp)->fd = fd;
	(*rp)->at = 0;
	(*rp)->ended = false;
	(*rp)->brief = true;
	return true;
}

struct log_reader *
log_reader_open(const char *queue, const char *id)
{
	struct log_reader *r = NULL;
	char path[QUEUE_PATH_MAX];

	queue_path(path, queue, id);
	if (log_reader_again(&r, AT_FDCWD, path))
		r->brief = false;
	return r;
}

void
log_reader_close(struct log_reader **rp)
{
	struct log_reader *r = *rp;

	if (r == NULL)
		return;
	release(r);
	buf_free(&r->window);
	arena_free(&r->mem);
	free(r);
	*rp = NULL;
}

void
log_reader_rewind(struct log_reader *r)
{
	buf_reset(&r->window);
	r->at = 0;
	r->ended = lseek(r->fd, 0, SEEK_SET) != 0;
}

static void
more(struct log_reader *r)
{
	ssize_t n;

	buf_drop(&r->window, r->at);
	r->at = 0;
	buf_reserve(&r->window, PIECE);
	while ((n = read(r->fd, r->window.p + r->window.n, PIECE)) < 0 && errno == EINTR)
		continue;
	if (n > 0)
		r->window.n += (size_t)n;
	r->ended = n < (ssize_t)PIECE;		/* such a read ends where the file ends */
}

static bool
next_line(struct log_reader *r, struct span *line)
{
	for (;;) {
		struct span rest = span_from(buf_view(&r->window), r->at);
		const size_t end = span_find(rest, '\n');

		if (end < rest.n || rest.n >= PIECE || (r->ended && rest.n > 0)) {
			*line = span_to(rest, end);
			r->at += end < rest.n ? end + 1 : end;
			return true;
		}
		if (r->ended)
			return false;
		more(r);
	}
}

bool
log_reader_next(struct log_reader *r, struct log_entry *e)
{
	struct span line;
	int lines = 0;

	*e = (struct log_entry){0};
	arena_reset(r->mem);
	while (next_line(r, &line)) {
		if (line.n == 0 && lines > 0)
			return true;
		if (line.n > 0 && lines++ < ENTRY_LINES)
			take_field(e, line, r->mem, r->brief);
	}
	return lines > 0;
}
