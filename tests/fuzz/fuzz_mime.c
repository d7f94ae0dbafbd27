/*
 * fuzz_mime.c - structure of a hostile message: depth and boundaries stay bounded.
 *
 * SPDX-License-Identifier: ISC
 */
#include <assert.h>
#include <stdint.h>

#include "conf/conf.h"
#include "mail/mime.h"
#include "smtp/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span((const char *)data, size), line;
	struct mime m;

	conf.mime_nesting_limit = 5;
	conf.mime_boundary_length_limit = 30;
	mime_init(&m);
	while (span_take_line(&in, &line)) {
		size_t n = header_name_length(line);

		assert(m.levels.n <= 5 + 2);	/* mime.c counts as the reference does */
		if (m.state != MIME_PRIMARY && mime_boundary(&m, line))
			continue;
		if (m.state == MIME_BODY)
			continue;
		if (n > 0)
			mime_header(&m, span_to(line, n), span_from(line, span_find(line, ':') + 1));
		else
			mime_header_end(&m);
	}
	mime_free(&m);
	return 0;
}
