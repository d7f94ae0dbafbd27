/*
 * stream.h - buffered bytes over a descriptor, blocking, every wait bounded in time.
 * On a socket the limit is the kernel's own (SO_RCVTIMEO), so a read or write is one system call.
 * A stream never raises SIGPIPE. After a failure it stays failed; stream_state() tells why.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef IO_STREAM_H
#define IO_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/span.h"

enum stream_state { STREAM_OK, STREAM_EOF, STREAM_TIMEOUT, STREAM_ERROR };

struct stream;

/* How bytes really move; TLS replaces it. read/write return like read(2)/write(2) with errno, EAGAIN = time is up. */
struct stream_transport {
	ssize_t (*read)(void *ctx, void *buf, size_t n);
	ssize_t (*write)(void *ctx, const void *buf, size_t n);
	void (*close)(void *ctx);		/* before the descriptor is closed; may be NULL */
};

struct stream *stream_new(int fd);		/* takes the descriptor over */
void	stream_free(struct stream **);		/* flushes nothing; closes; NULL is fine */
int	stream_fd(const struct stream *);
void	stream_expect_much(struct stream *);		/* before the first read: fewer reads for more memory */
void	stream_set_output(struct stream *, int fd);	/* write there instead (standard input and output); not owned */
int	stream_release_fd(struct stream **);	/* free the stream, return its descriptor still open */
void	stream_set_transport(struct stream *, const struct stream_transport *, void *ctx);

/* Limit of each single wait, in milliseconds; 0 = wait for ever. Default: 0. */
void	stream_set_timeout(struct stream *, int64_t ms);
/* Besides: all waits together end at this clock_ms() time; 0 = none. For a limit per request. */
void	stream_set_deadline(struct stream *, int64_t at_ms);

enum stream_state stream_state(const struct stream *);
int	stream_errno(const struct stream *);		/* of STREAM_ERROR */
const char *stream_reason(const struct stream *);	/* "lost connection", "timeout", strerror text */
void	stream_clear_timeout(struct stream *);		/* a timed-out stream may be used once more (to say 421) */

/* --- input --- */
struct span stream_buffered(const struct stream *);	/* read but not consumed yet; valid until the next read */
void	stream_consume(struct stream *, size_t n);	/* n <= buffered */
void	stream_discard_input(struct stream *);		/* forget what is buffered (STARTTLS) */
/* Wait for at least one more byte than is buffered. False: EOF, timeout or error. */
bool	stream_fill(struct stream *);
/* Exactly n bytes at out. */
bool	stream_read(struct stream *, void *out, size_t n);
/*
 * One line with its LF, as a view into the buffer that is valid until the next read; it is consumed.
 * A line longer than max bytes comes in pieces without LF. False: end of input (a last line without LF is
 * given first), timeout or error.
 */
bool	stream_line(struct stream *, size_t max, struct span *line);
bool	stream_input_ready(struct stream *, int wait_ms);	/* buffered, or readable within wait_ms; EOF counts */

/* --- output --- */
void	stream_write(struct stream *, const void *p, size_t n);	/* buffered; a large one is written at once */
char	*stream_add(struct stream *, size_t n);		/* n more bytes of output, which the caller fills at once */
void	stream_put(struct stream *, struct span s);
void	stream_puts(struct stream *, const char *cstr);
void	stream_printf(struct stream *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool	stream_flush(struct stream *);
bool	stream_finish(struct stream *);	/* flush, and tell a socket's peer in the same packet that nothing follows */
size_t	stream_pending(const struct stream *);		/* bytes not flushed */

#endif
