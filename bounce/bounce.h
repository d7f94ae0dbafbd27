/*
 * bounce.h - private to bounce(8).
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef BOUNCE_BOUNCE_H
#define BOUNCE_BOUNCE_H

#include <stdbool.h>
#include <sys/time.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/span.h"
#include "base/vec.h"
#include "ipc/ipc.h"
#include "mail/bounce_client.h"
#include "mail/bounce_log.h"

/* --- log.c: writes bounce/ID, defer/ID, trace/ID; mail/bounce_log.h reads them --- */
bool	log_append(const char *queue, const struct ipc_bounce_append *, struct arena *mem);
void	log_remove(const char *queue, const char *id);
/* What became of the recipients, one after the other: from a log of any length, or given with the request. */
struct fates {
	struct log_reader *log;		/* NULL: given, or there is no log */
	const struct vec *given;	/* of struct log_entry; NULL: none */
	size_t at;
};
void	fates_rewind(struct fates *);
bool	fates_next(struct fates *, struct log_entry *);		/* texts live until the next call */
/* The entries that came with the request itself. */
void	log_from_request(const struct ipc_bounce_send *, struct arena *mem, struct vec *entries);

/* --- notice.c: the report as a message --- */
enum notice_kind { NOTICE_FAILURE, NOTICE_DELAY, NOTICE_SUCCESS, NOTICE_VERIFY };

struct notice {
	enum notice_kind kind;
	const struct ipc_bounce_send *request;
	const char *queue_id, *queue_name;
	struct span to;			/* internal form */
	struct span from;		/* envelope sender of the notice: empty, or the double-bounce address */
	bool postmaster;		/* copy for the postmaster: other subject, no text */
	bool full;			/* return the whole message, not just its header */
	struct fates *fates;
	size_t most;			/* recipients that are listed; 0 = all */
	struct arena *mem;
};
/* One that is larger than message_size_limit names as many recipients as it can. False: it could not be queued (logged). */
bool	notice_send(const struct notice *);

/* --- original.c: the message that is reported on --- */
struct original {
	int fd;				/* -1: the queue file is gone */
	int64_t data_offset, data_size, cont_length;
	struct timeval arrival;
	unsigned trace_flags;
	struct span message_id;		/* original_message_id() */
};
void	original_open(struct original *, const char *queue, const char *id);
void	original_close(struct original *);
/* Finds the Message-ID in the header. */
void	original_message_id(struct original *, struct arena *mem);
/* Text of the message, or of its header only, handed out line by line in pieces. */
bool	original_copy(const struct original *, bool header_only, bool (*put)(void *arg, struct span text), void *arg);

/* --- template.c: bounce(5) --- */
struct template {
	const char *class;		/* "failure" ... */
	const char *origin;		/* file, or "[built-in]", for warnings */
	struct span charset, from, subject, copy_subject;	/* from may be empty: template_from() */
	struct span text;		/* before $name is expanded */
};
void	template_init(void);		/* reads bounce_template_file; mistakes are logged */
const struct template *template_of(enum notice_kind);
struct span template_from(const struct template *);
void	template_expand(const struct template *, struct buf *out, struct arena *);	/* ends the process on a bad $name */
void	template_show(bool expanded, struct buf *out);	/* all of them, as postconf -b or -t prints them */

/* --- text.c --- */
/* Words of text wrapped at 79 columns, continuation lines indented by 4 blanks; a newline at the end. */
void	text_wrap(struct buf *out, struct span text);

#endif
