/*
 * server.h - the server side of an SMTP session (RFC 5321) without I/O: bytes in, replies out. What the commands mean
 * is the owner's business: smtpd(8), postscreen(8), fuzz targets.
 *
 *	while (more input) {
 *		smtp_server_step(s, &in);	one command, or a piece of content
 *		send s->out when in is used up;
 *	}
 *
 * Memory of a session is bounded by line_limit and by what the owner keeps.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef SMTP_SERVER_H
#define SMTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"
#include "smtp/dot.h"

struct smtp_server;

enum smtp_command_flags {
	SMTP_COMMAND_LAST = 1,		/* must end a group of pipelined commands */
	SMTP_COMMAND_JUNK = 2,		/* counted against junk_limit */
	SMTP_COMMAND_CONTENT = 4,	/* content follows: success is known only at its end */
};

/* Runs a command; args is what stands behind its name, trimmed. True: it succeeded. Must have replied. */
typedef bool (*smtp_command_fn)(struct smtp_server *, struct span args);

struct smtp_command {
	const char *name;		/* upper case */
	unsigned flags;
	smtp_command_fn fn;
};

enum { SMTP_COMMANDS_MAX = 24 };

struct smtp_server_ops {
	const struct smtp_command *commands;
	size_t ncommands;		/* at most SMTP_COMMANDS_MAX */
	/* A line before it is looked up; may replace *line (memory of the owner). False: dealt with, no command is run. */
	bool (*line)(struct smtp_server *, struct span *line);
	/* No such command (name is its first word, maybe empty). */
	void (*unknown)(struct smtp_server *, struct span name);
	/* Input behind a command that had to be the last of its group; input is not consumed. False: go on all the same. */
	bool (*pipelining)(struct smtp_server *, struct span input);
	/* Decoded content, lines end in LF, cut anywhere. raw: bytes it took on the wire. */
	void (*content)(struct smtp_server *, struct span text, size_t raw);
	/* Content is complete. True: accepted. Must have replied. */
	bool (*content_end)(struct smtp_server *);
	/* The line that answers what was asked with smtp_server_ask(); too_long: it was longer than the limit and is cut. May ask again; else true:
	 * the command succeeded. Must have replied. May be NULL when nothing is ever asked. */
	bool (*answer)(struct smtp_server *, struct span line, bool too_long);
	/* A reply is about to be queued; text ends in CRLF and may be edited. May be NULL. */
	void (*reply)(struct smtp_server *, struct buf *text);
};

enum smtp_server_mode {
	SMTP_SERVER_COMMAND,
	SMTP_SERVER_DATA,
	SMTP_SERVER_CHUNK,
	SMTP_SERVER_ANSWER,		/* the next line is no command */
	SMTP_SERVER_CLOSED,		/* after 421, 521, QUIT: send out, then close */
};

struct smtp_server {
	const struct smtp_server_ops *ops;
	void *owner;
	size_t line_limit;		/* of a command line; excess is skipped, up to as much again */
	bool esmtp;			/* EHLO was given: pipelining is allowed */
	unsigned soft_limit, junk_limit;

	enum smtp_server_mode mode;
	struct buf out;			/* replies to send; the owner resets it */
	struct buf line;		/* part of a command line */
	struct buf text;		/* decoded content on its way to ops->content */
	size_t skipped;			/* bytes of a too long line */
	size_t answer_limit;		/* of the line that is waited for */
	bool bare_lf;			/* the command line ended without CR */
	bool cut;			/* the command line was longer than line_limit */
	struct smtp_dot_in dot;
	uint64_t chunk_left;		/* bytes of the BDAT chunk still to come */
	struct span following;		/* what was received behind the command that runs */
	bool uncounted;			/* smtp_server_uncounted() */
	bool improper_pipelining;	/* seen at any time in the session */
	unsigned errors, junk;
	const struct smtp_command *command;	/* running, or the last one; NULL: none yet or unknown */
	const char *where;		/* for the log: "CONNECT", "RCPT", "UNKNOWN", "END-OF-MESSAGE" */
	unsigned ok[SMTP_COMMANDS_MAX], total[SMTP_COMMANDS_MAX];
	unsigned unknown;
};

void	smtp_server_init(struct smtp_server *, const struct smtp_server_ops *, void *owner);
void	smtp_server_free(struct smtp_server *);
/* Consume one command line or some content. True: progress was made; false: more input is needed, or closed. */
bool	smtp_server_step(struct smtp_server *, struct span *in);
/* Session counters reached soft_limit: the owner waits before each reply. */
bool	smtp_server_tarpit(const struct smtp_server *);

/* --- for the owner's functions --- */
/* One reply, printf'd; "\r\n" inside separates lines, every line but the last gets '-' as fourth byte. Codes 421 and
 * 521 close the session. */
void	smtp_server_reply(struct smtp_server *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Content follows the reply to this command. */
void	smtp_server_start_data(struct smtp_server *);
void	smtp_server_start_chunk(struct smtp_server *, uint64_t bytes);
void	smtp_server_close(struct smtp_server *);
/* The next line, of up to limit bytes with its end, goes to ops->answer; with that the command at hand ends. What is longer is skipped, up to
 * ten times as much; the session ends with more. */
void	smtp_server_ask(struct smtp_server *, size_t limit);
/* The command at hand is neither a success nor an error in the statistics. */
void	smtp_server_uncounted(struct smtp_server *);
/* " ehlo=1 mail=1 rcpt=0/1 commands=2/3" for the disconnect line. */
void	smtp_server_statistics(const struct smtp_server *, struct buf *out);

#endif
