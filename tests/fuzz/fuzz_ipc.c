/*
 * fuzz_ipc.c - any bytes as frames from a local peer: every kind is decoded, and what was decoded encodes again.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>

#include "ipc/ipc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span((const char *)data, size), payload;
	struct arena *mem = arena_new();
	enum ipc_kind kind;
	int64_t n;

	while ((n = ipc_frame(in, 65536, &kind, &payload)) > 0) {
		char msg[1024];
		struct buf again = {0};

		if (ipc_decode(payload, kind, msg, mem)) {
			ipc_encode(&again, kind, msg);
			if (!span_eq(buf_view(&again), span_to(in, (size_t)n)))
				abort();
		}
		buf_free(&again);
		in = span_from(in, (size_t)n);
	}
	arena_free(&mem);
	return 0;
}
