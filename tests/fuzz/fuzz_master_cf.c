/*
 * fuzz_master_cf.c - any bytes as a line of master.cf.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/log.h"
#include "conf/lines.h"
#include "conf/master_cf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *mem = arena_new();
	struct lines in;
	struct span line;

	log_init("fuzz", 0);
	lines_open_text(&in, span((const char *)data, size), "master.cf");
	while (lines_next(&in, &line)) {
		struct master_service service = {0};
		struct err e = {0};

		(void)master_cf_parse(line, "master.cf", in.first, false, mem, &service, &e);
	}
	if (!lines_close(&in))
		abort();
	arena_free(&mem);
	return 0;
}
