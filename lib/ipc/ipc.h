/*
 * ipc.h - messages between our own processes: framed, typed, bounded. Both ends distrust each other: a frame that
 * is too large, of another kind than the state allows, or malformed ends the connection and is logged once.
 *
 * Frame: u32 length of what follows the header, u16 kind, u16 reserved (0), in host order; then the fields of
 * messages.def: U32 4 bytes, I64 8 bytes, SPAN u32 length and bytes, LIST u32 count and the elements.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef IPC_IPC_H
#define IPC_IPC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/span.h"
#include "io/stream.h"

enum ipc_kind {
	IPC_NONE,
#define MESSAGE(m)		IPC_##m,
#define FIELD(m, type, field)
#define LIST(m, sub, field)
#define END(m)
#include "ipc/messages.def"
#undef MESSAGE
#undef FIELD
#undef LIST
#undef END
	IPC_KINDS
};

#define IPC_C_U32	uint32_t
#define IPC_C_I64	int64_t
#define IPC_C_SPAN	struct span
#define MESSAGE(m)		struct ipc_##m { uint8_t ipc_unused;
#define FIELD(m, type, field)	IPC_C_##type field;
#define LIST(m, sub, field)	struct { struct ipc_##sub *p; size_t n; } field;
#define END(m)			};
#include "ipc/messages.def"
#undef MESSAGE
#undef FIELD
#undef LIST
#undef END

#define IPC_HEADER_SIZE	8u
#define IPC_MAX		(1u << 20)	/* default limit of one frame, header not counted */
#define IPC_MAX_BULK	(16u << 20)	/* delivery requests with very many recipients */

const char *ipc_name(enum ipc_kind);

/* Append one whole frame. msg points to the struct of that kind. */
void	ipc_encode(struct buf *out, enum ipc_kind, const void *msg);
/* Parse the fields of a frame; spans in *msg point into payload, lists live in mem. All of payload must be used. */
bool	ipc_decode(struct span payload, enum ipc_kind, void *msg, struct arena *mem);
/* Look at a frame's header at the start of in: 0 = more bytes are needed, -1 = not a legal frame or longer than max,
 * else the whole size with header; *kind and *payload are set when all of it is in. */
int64_t	ipc_frame(struct span in, size_t max, enum ipc_kind *kind, struct span *payload);

/* --- blocking --- */
bool	ipc_send(struct stream *, enum ipc_kind, const void *msg);		/* and flush */
/* Next frame; its payload is copied to mem. IPC_NONE: end of stream, failure or illegal frame (that is logged). */
enum ipc_kind ipc_receive(struct stream *, size_t max, struct arena *mem, struct span *payload);
/* Receive exactly that kind into *msg. */
bool	ipc_expect(struct stream *, enum ipc_kind, size_t max, struct arena *mem, void *msg);

/*
 * A client's standing connection to a service such as "private/rewrite". Connected on first use, kept open, opened
 * anew once when the service has closed it meanwhile. {.path = "private/rewrite"} to start.
 */
struct ipc_client {
	const char *path;
	struct stream *stream;
	int64_t timeout_ms;	/* 0: IPC_TIMEOUT_MS */
	int64_t last_used;	/* clock_ms() */
};

#define IPC_TIMEOUT_MS	3600000

/* One request, one answer (idempotent requests only: it may be sent twice). False: service unavailable, logged. */
bool	ipc_call(struct ipc_client *, enum ipc_kind request, const void *msg, enum ipc_kind answer, struct arena *mem,
	    void *out);
/* The connection itself, made when needed; NULL when that fails (logged). */
struct stream *ipc_client_stream(struct ipc_client *);
void	ipc_client_close(struct ipc_client *);

#endif
