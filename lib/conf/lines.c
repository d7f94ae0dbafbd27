/*
 * lines.c - logical lines of a file, a descriptor or a text.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/lines.h"

#define READ_SIZE	65536

void
lines_open_fd(struct lines *l, int fd, const char *name)
{
	*l = (struct lines){ .name = name, .fd = fd };
}

void
lines_open_text(struct lines *l, struct span text, const char *name)
{
	*l = (struct lines){ .name = name, .fd = -1, .end = true };
	buf_span(&l->input, text);
}

bool
lines_open(struct lines *l, const char *name, struct err *e)
{
	const int fd = open(name, O_RDONLY | O_CLOEXEC);

	lines_open_fd(l, fd, name);
	if (fd >= 0)
		return true;
	l->end = true;
	return err_temp(e, "open %s: %s", name, strerror(errno));
}

bool
lines_close(struct lines *l)
{
	const bool ok = !l->failed;
	const int error = errno;

	if (l->fd >= 0)
		(void)close(l->fd);
	buf_free(&l->text);
	buf_free(&l->input);
	l->fd = -1;
	errno = error;
	return ok;
}

static void
read_more(struct lines *l)
{
	ssize_t n;

	buf_drop(&l->input, l->at);
	l->at = 0;
	buf_reserve(&l->input, READ_SIZE);
	do {
		n = read(l->fd, l->input.p + l->input.n, READ_SIZE);
	} while (n < 0 && errno == EINTR);
	if (n > 0)
		l->input.n += (size_t)n;
	else
		l->end = true;
	if (n < 0)
		l->failed = true;
}

/* The physical line at l->at, with its newline, is complete in memory; *line does not include the newline. */
static bool
peek_line(struct lines *l, struct span *line, size_t *used)
{
	size_t searched = 0;

	for (;;) {
		const struct span rest = l->input.n == 0 ? SPAN_NULL : span(l->input.p + l->at, l->input.n - l->at);
		const size_t n = searched + span_find(span_from(rest, searched), '\n');

		if (n < rest.n || (l->end && rest.n > 0)) {
			*line = span_to(rest, n);
			*used = n < rest.n ? n + 1 : n;
			return true;
		}
		if (l->end)
			return false;
		searched = rest.n;
		read_more(l);
	}
}

static bool
is_comment(struct span line)
{
	size_t i = 0;

	while (i < line.n && ascii_space(line.p[i]))
		i++;
	return i == line.n || line.p[i] == '#';
}

static void
cut_at_null(struct lines *l)
{
	if (!span_has(buf_view(&l->text), '\0'))
		return;
	buf_cut(&l->text, span_find(buf_view(&l->text), '\0'));
	if (l->first == l->last)
		log_warning("%s, line %u: text after null byte may be ignored", l->name, l->first);
	else
		log_warning("%s, line %u-%u: text after null byte may be ignored", l->name, l->first, l->last);
}

/* Comments between a line and its continuation do not end it. */
static void
add_continuations(struct lines *l)
{
	struct span line;
	size_t used;

	while (peek_line(l, &line, &used)) {
		const bool comment = is_comment(line);

		if (!comment && !ascii_space(*line.p))
			break;
		l->at += used;
		l->read++;
		if (comment)
			continue;
		buf_span(&l->text, line);
		l->last = l->read;
	}
}

bool
lines_next(struct lines *l, struct span *out)
{
	struct span line;
	size_t used;

	while (peek_line(l, &line, &used)) {
		const bool comment = is_comment(line);

		l->at += used;
		l->read++;
		if (comment)
			continue;
		buf_reset(&l->text);
		buf_span(&l->text, line);
		l->first = l->last = l->read;
		add_continuations(l);
		cut_at_null(l);
		if (ascii_space(l->text.p[0])) {
			const struct span shown = span_to(buf_view(&l->text), 30);

			log_warning("%s: logical line must not start with whitespace: \"%.*s%s\"", l->name, SPAN_ARG(shown),
			    l->text.n > 30 ? "..." : "");
			continue;
		}
		*out = buf_view(&l->text);
		return true;
	}
	return false;
}
