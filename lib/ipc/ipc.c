/*
 * ipc.c - one encoder and one decoder for all rows of messages.def; blocking exchange.
 * Trusts neither side of a connection.
 *
 * SPDX-License-Identifier: ISC
 */
#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "io/sock.h"
#include "ipc/ipc.h"

enum field_type { FIELD_U32, FIELD_I64, FIELD_SPAN, FIELD_LIST, FIELD_END };

struct field {
	enum field_type type;
	size_t offset;
	const struct field *sub;	/* FIELD_LIST: fields and size of an element */
	size_t sub_size;
};

/* What every "struct { type *p; size_t n; }" of a LIST looks like in memory. */
struct list {
	void *p;
	size_t n;
};

#define MESSAGE(m)		static const struct field fields_##m[] = {
#define FIELD(m, type, f)	{ FIELD_##type, offsetof(struct ipc_##m, f), NULL, 0 },
#define LIST(m, s, f)		{ FIELD_LIST, offsetof(struct ipc_##m, f), fields_##s, sizeof(struct ipc_##s) },
#define END(m)			{ FIELD_END, 0, NULL, 0 } };
#include "ipc/messages.def"
#undef MESSAGE
#undef FIELD
#undef LIST
#undef END

static const struct {
	const char *name;
	const struct field *fields;
	size_t size;
} kinds[] = {
	[IPC_NONE] = { "none", NULL, 0 },
#define MESSAGE(m)		[IPC_##m] = { #m, fields_##m, sizeof(struct ipc_##m) },
#define FIELD(m, type, f)
#define LIST(m, s, f)
#define END(m)
#include "ipc/messages.def"
#undef MESSAGE
#undef FIELD
#undef LIST
#undef END
};

struct header {
	uint32_t size;
	uint16_t kind, reserved;
};
_Static_assert(sizeof(struct header) == IPC_HEADER_SIZE, "frame header");

const char *
ipc_name(enum ipc_kind kind)
{
	return (unsigned)kind < IPC_KINDS ? kinds[kind].name : "unknown";
}

static void
put_u32(struct buf *out, size_t n)
{
	assert(n <= UINT32_MAX);
	uint32_t v = (uint32_t)n;

	buf_add(out, &v, sizeof v);
}

static void
encode_fields(struct buf *out, const struct field *f, const void *msg)
{
	for (; f->type != FIELD_END; f++) {
		const char *at = (const char *)msg + f->offset;
		struct span s;
		struct list l;

		switch (f->type) {
		case FIELD_U32:
			buf_add(out, at, sizeof(uint32_t));
			break;
		case FIELD_I64:
			buf_add(out, at, sizeof(int64_t));
			break;
		case FIELD_SPAN:
			memcpy(&s, at, sizeof s);
			put_u32(out, s.n);
			buf_span(out, s);
			break;
		default:
			memcpy(&l, at, sizeof l);
			put_u32(out, l.n);
			for (size_t i = 0; i < l.n; i++)
				encode_fields(out, f->sub, (const char *)l.p + i * f->sub_size);
		}
	}
}

void
ipc_encode(struct buf *out, enum ipc_kind kind, const void *msg)
{
	size_t start = out->n;
	struct header h = { .kind = (uint16_t)kind };

	assert(kind > IPC_NONE && kind < IPC_KINDS);
	buf_add(out, &h, sizeof h);
	encode_fields(out, kinds[kind].fields, msg);
	assert(out->n - start - sizeof h <= UINT32_MAX);
	h.size = (uint32_t)(out->n - start - sizeof h);
	memcpy(out->p + start, &h, sizeof h);
}

static bool
take_bytes(struct span *in, void *out, size_t n)
{
	if (in->n < n)
		return false;
	memcpy(out, in->p, n);
	*in = span_from(*in, n);
	return true;
}

static bool decode_fields(struct span *in, const struct field *f, void *msg, struct arena *mem);

static bool
decode_span(struct span *in, void *at)
{
	uint32_t n;

	if (!take_bytes(in, &n, sizeof n) || n > in->n)
		return false;
	struct span s = span_to(*in, n);

	memcpy(at, &s, sizeof s);
	*in = span_from(*in, n);
	return true;
}

static bool
decode_list(struct span *in, const struct field *f, void *at, struct arena *mem)
{
	struct list l = {0};
	uint32_t n;

	/* An element is at least one field of 4 bytes, so n is bounded by the frame, which is bounded by its reader. */
	if (!take_bytes(in, &n, sizeof n) || n > in->n / 4)
		return false;
	l.n = n;
	l.p = arena_alloc(mem, l.n * f->sub_size);
	for (size_t i = 0; i < l.n; i++)
		if (!decode_fields(in, f->sub, (char *)l.p + i * f->sub_size, mem))
			return false;
	memcpy(at, &l, sizeof l);
	return true;
}

static bool
decode_fields(struct span *in, const struct field *f, void *msg, struct arena *mem)
{
	for (; f->type != FIELD_END; f++) {
		char *at = (char *)msg + f->offset;
		bool ok = f->type == FIELD_U32 ? take_bytes(in, at, sizeof(uint32_t)) :
		    f->type == FIELD_I64 ? take_bytes(in, at, sizeof(int64_t)) :
		    f->type == FIELD_SPAN ? decode_span(in, at) : decode_list(in, f, at, mem);

		if (!ok)
			return false;
	}
	return true;
}

bool
ipc_decode(struct span payload, enum ipc_kind kind, void *msg, struct arena *mem)
{
	assert(kind > IPC_NONE && kind < IPC_KINDS);
	memset(msg, 0, kinds[kind].size);
	return decode_fields(&payload, kinds[kind].fields, msg, mem) && payload.n == 0;
}

int64_t
ipc_frame(struct span in, size_t max, enum ipc_kind *kind, struct span *payload)
{
	struct header h;

	if (in.n < sizeof h)
		return 0;
	memcpy(&h, in.p, sizeof h);
	if (h.size > max || h.kind == IPC_NONE || h.kind >= IPC_KINDS || h.reserved != 0)
		return -1;
	if (in.n - sizeof h < h.size)
		return 0;
	*kind = (enum ipc_kind)h.kind;
	*payload = span(in.p + sizeof h, h.size);
	return (int64_t)(sizeof h + h.size);
}

bool
ipc_send(struct stream *s, enum ipc_kind kind, const void *msg)
{
	struct buf out = {0};

	ipc_encode(&out, kind, msg);
	stream_put(s, buf_view(&out));
	buf_free(&out);
	return stream_flush(s);
}

enum ipc_kind
ipc_receive(struct stream *s, size_t max, struct arena *mem, struct span *payload)
{
	for (;;) {
		enum ipc_kind kind;
		int64_t n = ipc_frame(stream_buffered(s), max, &kind, payload);

		if (n > 0) {
			*payload = span_copy(*payload, mem);
			stream_consume(s, (size_t)n);
			return kind;
		}
		if (n < 0) {
			log_warning("illegal or oversized frame from a local peer; closing its connection");
			return IPC_NONE;
		}
		if (!stream_fill(s))
			return IPC_NONE;
	}
}

bool
ipc_expect(struct stream *s, enum ipc_kind want, size_t max, struct arena *mem, void *msg)
{
	struct span payload;
	enum ipc_kind kind = ipc_receive(s, max, mem, &payload);

	if (kind == IPC_NONE)
		return false;
	if (kind == want && ipc_decode(payload, kind, msg, mem))
		return true;
	log_warning("unexpected or malformed message \"%s\" from a local peer, wanted \"%s\"", ipc_name(kind), ipc_name(want));
	return false;
}

struct stream *
ipc_client_stream(struct ipc_client *c)
{
	struct err e = {0};

	if (c->stream != NULL)
		return c->stream;
	int fd = sock_connect_unix(c->path, c->timeout_ms, &e);

	if (fd < 0) {
		log_warning("%s", e.text);
		return NULL;
	}
	c->stream = stream_new(fd);
	stream_set_timeout(c->stream, c->timeout_ms != 0 ? c->timeout_ms : IPC_TIMEOUT_MS);
	return c->stream;
}

void ipc_client_close(struct ipc_client *c) { stream_free(&c->stream); }

bool
ipc_call(struct ipc_client *c, enum ipc_kind request, const void *msg, enum ipc_kind answer, struct arena *mem, void *out)
{
	for (int try = 0; try < 2; try++) {
		bool fresh = c->stream == NULL;
		struct stream *s = ipc_client_stream(c);

		if (s == NULL)
			return false;
		if (ipc_send(s, request, msg) && ipc_expect(s, answer, IPC_MAX, mem, out)) {
			c->last_used = clock_ms();
			return true;
		}
		if (fresh && stream_state(s) != STREAM_OK)
			log_warning("%s: %s", c->path, stream_reason(s));
		ipc_client_close(c);
		if (fresh)
			break;
	}
	return false;
}
