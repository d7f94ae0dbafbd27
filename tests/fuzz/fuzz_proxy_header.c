/*
 * fuzz_proxy_header.c - headers that anybody can send to a port behind a load balancer: nothing is read behind the input,
 * what is good has a length within it, and it is good however much follows.
 *
 * SPDX-License-Identifier: ISC
 */
#include <assert.h>
#include <stdint.h>

#include "net/proxy_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxy_header h, again;
	const struct span in = span((const char *)data, size);

	if (proxy_header_parse(in, true, true, &h) != PROXY_HEADER_OK) {
		assert(h.error != NULL);
		return 0;
	}
	assert(h.length > 0 && h.length <= size && h.length <= PROXY_HEADER_MAX);
	assert(h.local || (h.client.len > 0 && h.server.len > 0));
	assert(proxy_header_parse(span_to(in, h.length), true, true, &again) == PROXY_HEADER_OK && again.length == h.length);
	assert(proxy_header_parse(span_to(in, h.length - 1), true, true, &again) != PROXY_HEADER_OK);
	return 0;
}
