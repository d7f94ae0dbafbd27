/*
 * stream.c - buffered blocking I/O with time limits. Trusts no peer; input is bounded by the buffer, which
 * stream_line() lets grow to its max and no further.
 *
 * SPDX-License-Identifier: ISC
 */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "io/stream.h"

#define STREAM_INPUT		8192u	/* initial input buffer */
#define STREAM_INPUT_MUCH	65536u
#define STREAM_OUTPUT_MAX	65536u	/* flush when more than this is pending */
#define STREAM_SLICE		30000	/* ms: a longer wait is made of such slices, so that changing between long limits costs no call */

struct stream {
	int fd, out_fd;			/* the same but for stream_set_output() */
	bool is_socket;
	bool expects_much;
	bool ending;			/* stream_finish(): the last bytes and the end go into one packet */
	enum stream_state state;
	int error;
	int64_t timeout, deadline;	/* ms */
	int64_t set_rcv, set_snd;	/* what the kernel was told last; -1 = nothing yet */
	char *in;
	size_t in_at, in_n, in_cap;	/* unread bytes are in[in_at .. in_at + in_n) */
	struct buf out;
	const struct stream_transport *transport;
	void *ctx;
};

struct stream *
stream_new(int fd)
{
	struct stream *s = calloc(1, sizeof *s);
	int type;
	socklen_t len = sizeof type;

	if (s == NULL)
		log_out_of_memory();
	s->fd = s->out_fd = fd;
	s->is_socket = getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0;
	s->set_rcv = s->set_snd = s->is_socket ? 0 : -1;
	return s;
}

static int
detach(struct stream **sp)
{
	struct stream *s = *sp;
	int fd = s->fd;

	if (s->transport != NULL && s->transport->close != NULL)
		s->transport->close(s->ctx);
	free(s->in);
	buf_free(&s->out);
	free(s);
	*sp = NULL;
	return fd;
}

void
stream_free(struct stream **sp)
{
	if (*sp != NULL)
		(void)close(detach(sp));
}

int stream_release_fd(struct stream **sp) { return detach(sp); }
int stream_fd(const struct stream *s) { return s->fd; }
void stream_expect_much(struct stream *s) { s->expects_much = true; }
void stream_set_output(struct stream *s, int fd) { s->out_fd = fd; }
void stream_set_timeout(struct stream *s, int64_t ms) { s->timeout = ms; }
void stream_set_deadline(struct stream *s, int64_t at) { s->deadline = at; }
enum stream_state stream_state(const struct stream *s) { return s->state; }
int stream_errno(const struct stream *s) { return s->error; }
size_t stream_pending(const struct stream *s) { return s->out.n; }

void
stream_set_transport(struct stream *s, const struct stream_transport *t, void *ctx)
{
	s->transport = t;
	s->ctx = ctx;
}

const char *
stream_reason(const struct stream *s)
{
	switch (s->state) {
	case STREAM_OK:
		return "no error";
	case STREAM_EOF:
		return "lost connection";
	case STREAM_TIMEOUT:
		return "timeout";
	default:
		return strerror(s->error);
	}
}

void
stream_clear_timeout(struct stream *s)
{
	if (s->state == STREAM_TIMEOUT)
		s->state = STREAM_OK;
}

/* Milliseconds that the next wait may take; 0 = no limit, -1 = none left. */
static int64_t
time_left(const struct stream *s)
{
	int64_t left = s->timeout;

	if (s->deadline != 0) {
		int64_t until = s->deadline - clock_ms();

		if (until <= 0)
			return -1;
		if (left == 0 || until < left)
			left = until;
	}
	return left;
}

/* Tell the kernel the limit when it differs from what it knows by more than a second or a tenth. */
static void
set_kernel_timeout(struct stream *s, int option, int64_t *known, int64_t left)
{
	int64_t slack = left / 10 < 1000 ? left / 10 : 1000;

	if (*known == left || (*known > left && *known - left <= slack && left != 0 && *known != 0))
		return;
	struct timeval tv = { left / 1000, (left % 1000) * 1000 };

	if (setsockopt(s->fd, SOL_SOCKET, option, &tv, sizeof tv) == 0)
		*known = left;
}

static bool
wait_ready(struct stream *s, short events, int64_t left)
{
	struct pollfd pfd = { .fd = events == POLLOUT ? s->out_fd : s->fd, .events = events };
	int n;

	do {
		n = poll(&pfd, 1, left == 0 ? -1 : (int)left);
	} while (n < 0 && errno == EINTR);
	if (n == 0)
		errno = EAGAIN;
	return n > 0;
}

/* One wait of at most left ms (0 = for ever). */
static bool
prepare(struct stream *s, bool reading, int64_t left)
{
	int64_t slice = left == 0 || left > STREAM_SLICE ? STREAM_SLICE : left;

	if (left < 0) {
		errno = EAGAIN;
		return false;
	}
	if (!s->is_socket || (!reading && s->out_fd != s->fd))
		return left == 0 || wait_ready(s, reading ? POLLIN : POLLOUT, left);
	if (left == 0 && (reading ? s->set_rcv : s->set_snd) == 0)
		return true;		/* never was limited: the kernel waits for ever by itself */
	if (reading)
		set_kernel_timeout(s, SO_RCVTIMEO, &s->set_rcv, slice);
	else
		set_kernel_timeout(s, SO_SNDTIMEO, &s->set_snd, slice);
	return true;
}

/* The call ended without success: may it be made again, and with how much time? Each wait that ended empty was a slice. */
static bool
again(const struct stream *s, int64_t *left)
{
	const bool interrupted = errno == EINTR;

	if (!interrupted && (!s->is_socket || (errno != EAGAIN && errno != EWOULDBLOCK)))
		return false;
	if (s->deadline != 0)
		*left = time_left(s);
	else if (*left > 0 && !interrupted)
		*left = *left > STREAM_SLICE ? *left - STREAM_SLICE : -1;
	return interrupted || *left >= 0;
}

static void
fail(struct stream *s)
{
	if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ETIMEDOUT)
		s->state = STREAM_TIMEOUT;
	else if (errno == EPIPE || errno == ECONNRESET)
		s->state = STREAM_EOF;
	else
		s->state = STREAM_ERROR;
	s->error = errno;
}

static ssize_t
raw_read(struct stream *s, void *p, size_t n)
{
	ssize_t got;
	int64_t left = time_left(s);

	do {
		if (!prepare(s, true, left))
			return -1;
		if (s->transport != NULL)
			got = s->transport->read(s->ctx, p, n);
		else if (s->is_socket)
			got = recv(s->fd, p, n, 0);
		else
			got = read(s->fd, p, n);
	} while (got < 0 && again(s, &left));
	return got;
}

static ssize_t
raw_write(struct stream *s, const void *p, size_t n)
{
	ssize_t put;
	int64_t left = time_left(s);

	do {
		if (!prepare(s, false, left))
			return -1;
		if (s->transport != NULL)
			put = s->transport->write(s->ctx, p, n);
		else if (s->is_socket && s->out_fd == s->fd)
			put = send(s->fd, p, n, MSG_NOSIGNAL | (s->ending ? MSG_MORE : 0));
		else
			put = write(s->out_fd, p, n);
	} while (put < 0 && again(s, &left));
	return put;
}

struct span
stream_buffered(const struct stream *s)
{
	return s->in == NULL ? SPAN_NULL : span(s->in + s->in_at, s->in_n);
}

void
stream_consume(struct stream *s, size_t n)
{
	assert(n <= s->in_n);
	s->in_at += n;
	s->in_n -= n;
}

void stream_discard_input(struct stream *s) { s->in_at = s->in_n = 0; }

static void
make_room(struct stream *s)
{
	if (s->in_n == 0)
		s->in_at = 0;
	if (s->in_at + s->in_n < s->in_cap)
		return;
	if (s->in_at > 0) {
		memmove(s->in, s->in + s->in_at, s->in_n);
		s->in_at = 0;
		return;
	}
	size_t cap = s->in_cap > 0 ? s->in_cap * 2 : s->expects_much ? STREAM_INPUT_MUCH : STREAM_INPUT;
	char *p = realloc(s->in, cap);

	if (p == NULL)
		log_out_of_memory();
	s->in = p;
	s->in_cap = cap;
}

bool
stream_fill(struct stream *s)
{
	if (s->state != STREAM_OK)
		return false;
	make_room(s);
	ssize_t got = raw_read(s, s->in + s->in_at + s->in_n, s->in_cap - s->in_at - s->in_n);

	if (got > 0) {
		s->in_n += (size_t)got;
		return true;
	}
	if (got == 0)
		s->state = STREAM_EOF;
	else
		fail(s);
	return false;
}

bool
stream_read(struct stream *s, void *out, size_t n)
{
	char *to = out;

	while (n > 0) {
		if (s->in_n == 0 && !stream_fill(s))
			return false;
		size_t piece = n < s->in_n ? n : s->in_n;

		memcpy(to, s->in + s->in_at, piece);
		stream_consume(s, piece);
		to += piece;
		n -= piece;
	}
	return true;
}

bool
stream_line(struct stream *s, size_t max, struct span *line)
{
	size_t scanned = 0;

	assert(max > 0);
	for (;;) {
		struct span have = stream_buffered(s);
		size_t lf = scanned + span_find(span_from(have, scanned), '\n');
		size_t n = lf < have.n ? lf + 1 : have.n;

		if (n > max)
			n = max;
		if (lf < have.n || n == max) {
			*line = span_to(have, n);
			stream_consume(s, n);
			return true;
		}
		scanned = have.n;
		if (!stream_fill(s)) {
			if (s->state != STREAM_EOF || s->in_n == 0)
				return false;
			*line = stream_buffered(s);
			stream_consume(s, line->n);
			return true;
		}
	}
}

bool
stream_input_ready(struct stream *s, int wait_ms)
{
	struct pollfd pfd = { .fd = s->fd, .events = POLLIN };

	return s->in_n > 0 || s->state != STREAM_OK || poll(&pfd, 1, wait_ms) > 0;
}

bool
stream_flush(struct stream *s)
{
	size_t at = 0;

	while (at < s->out.n && s->state == STREAM_OK) {
		ssize_t put = raw_write(s, s->out.p + at, s->out.n - at);

		if (put < 0)
			fail(s);
		else
			at += (size_t)put;
	}
	buf_reset(&s->out);
	return s->state == STREAM_OK;
}

bool
stream_finish(struct stream *s)
{
	bool ok;

	s->ending = s->is_socket && s->transport == NULL && s->out_fd == s->fd;
	ok = stream_flush(s);
	if (s->ending)
		(void)shutdown(s->fd, SHUT_WR);
	return ok;
}

void
stream_write(struct stream *s, const void *p, size_t n)
{
	buf_add(&s->out, p, n);
	if (s->out.n > STREAM_OUTPUT_MAX)
		(void)stream_flush(s);
}

char *
stream_add(struct stream *s, size_t n)
{
	if (s->out.n > STREAM_OUTPUT_MAX - 1)
		(void)stream_flush(s);
	buf_reserve(&s->out, n);
	s->out.n += n;
	s->out.p[s->out.n] = '\0';
	return s->out.p + s->out.n - n;
}

void stream_put(struct stream *s, struct span x) { stream_write(s, x.p, x.n); }
void stream_puts(struct stream *s, const char *x) { stream_write(s, x, strlen(x)); }

void
stream_printf(struct stream *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&s->out, fmt, ap);
	va_end(ap);
	if (s->out.n > STREAM_OUTPUT_MAX)
		(void)stream_flush(s);
}
