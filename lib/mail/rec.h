/*
 * rec.h - queue file records: one type byte, length in base 128 (least significant first, at most 4 bytes), payload.
 * Writers append to a buf; readers take from a span or from a file through a window.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAIL_REC_H
#define MAIL_REC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

enum rec_type {
	REC_SIZE = 'C', REC_TIME = 'T', REC_CREATE_TIME = 'c', REC_FULL_NAME = 'F', REC_INSPECT = 'I', REC_FILTER = 'L',
	REC_FROM = 'S', REC_DONE = 'D', REC_RCPT = 'R', REC_ORIG_RCPT = 'O', REC_CANCELED = '/', REC_WARN = 'W',
	REC_ATTR = 'A', REC_KILLED = 'K', REC_REDIRECT = '>', REC_FLAGS = 'f', REC_DELAY = 'd', REC_MILT_COUNT = 'm',
	REC_MESSAGE = 'M', REC_CONT = 'L', REC_NORM = 'N', REC_PAD = 'w', REC_EXTRACT = 'X', REC_RETURN_RECEIPT = 'r',
	REC_ERRORS_TO = 'e', REC_PRIORITY = 'P', REC_POINTER = 'p', REC_VERP = 'V', REC_DSN_RET = '<', REC_DSN_ENVID = 'i',
	REC_DSN_ORCPT = 'o', REC_DSN_NOTIFY = 'n', REC_END = 'E',
};

/* Which types may stand in a segment. */
extern const char rec_types_envelope[], rec_types_content[], rec_types_extracted[];

#define REC_MAX_PAYLOAD	((size_t)1 << 28)
#define REC_SIZE_LENGTH	95u		/* payload of a C record */
#define REC_POINTER_LENGTH 15u
#define REC_OFFSET_MAX	((int64_t)1 << 60)	/* two of them can be added */
#define REC_LINE_MAX	2048u		/* longest text record we write; longer lines go on in L records */

void	rec_put(struct buf *, enum rec_type, struct span payload);
void	rec_putf(struct buf *, enum rec_type, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void	rec_put_attr(struct buf *, const char *name, struct span value);	/* A name=value; nothing if value is empty */

struct rec {
	enum rec_type type;
	struct span payload;
	int64_t offset;			/* of the type byte in the file */
};

/* Consume one record. False: incomplete, over-long length, or empty input; *in is untouched. */
bool	rec_take(struct span *in, struct rec *out);

enum {				/* rec_size.sendopts: who needs SMTPUTF8, and why (RFC 6531) */
	SENDOPT_SMTPUTF8 = 1, SENDOPT_HEADER_UTF8 = 2, SENDOPT_SENDER_UTF8 = 4, SENDOPT_RCPT_UTF8 = 8,
	SENDOPT_ANY_UTF8 = 2 | 4 | 8,
	SENDOPT_TLS_NOT_REQUIRED = 16,		/* RFC 8689: header "TLS-Required: no" */
	SENDOPT_REQUIRETLS = 32,		/* RFC 8689: asked for by the client */
};

/* Fields of a C record; six decimals (older files: three or more). */
struct rec_size {
	int64_t data_size, data_offset, rcpt_count, qmgr_flags, cont_length, sendopts;
};
enum { REC_QMGR_MIXED = 1 };			/* recipients are mixed with other records */
void	rec_put_size(struct buf *, const struct rec_size *);
bool	rec_parse_size(struct span payload, struct rec_size *);

/* type is one of the characters of set. */
bool	rec_type_in(enum rec_type type, const char *set);

/* "name=value" of an A record, white space around both trimmed. */
bool	rec_parse_attr(struct span payload, struct span *name, struct span *value);

/*
 * Reading a queue file in its logical order: pointer records are followed, padding is skipped.
 * The reader reads the file in pieces of up to 64 kB and keeps one piece.
 */
struct rec_reader {
	int fd;				/* not owned */
	int64_t at;			/* file offset of the next record */
	int64_t window_at;		/* file offset of window.p[0] */
	struct buf window;
	unsigned back_jumps;
};

void	rec_reader_init(struct rec_reader *, int fd, int64_t offset);
void	rec_reader_again(struct rec_reader *, int fd, int64_t offset);	/* another file, in the memory of the last one */
void	rec_reader_free(struct rec_reader *);
void	rec_reader_seek(struct rec_reader *, int64_t offset);
/* Next record; payload is valid until the next call. False: end of file, I/O error or damage (*e says which). */
bool	rec_next(struct rec_reader *, struct rec *out, struct err *e);
/* The same without following pointers or skipping padding (postcat). */
bool	rec_next_raw(struct rec_reader *, struct rec *out, struct err *e);

/* Overwrite the type byte of the record at offset. */
bool	rec_mark(int fd, int64_t offset, enum rec_type);

#endif
