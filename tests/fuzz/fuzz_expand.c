/*
 * fuzz_expand.c - any text in the expansion language, with names that refer to each other.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdint.h>

#include "base/log.h"
#include "conf/conf.h"
#include "conf/expand.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *
look_up(const char *name, enum expand_mode mode, void *arg)
{
	(void)mode;
	(void)arg;
	switch (*name) {
	case 'a':
		return "A";
	case 'b':
		return "$a ${c?{$a}:{$d}}";
	case 'c':
		return "";
	case 'l':
		return "$l";
	default:
		return NULL;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct span text = { (const char *)data, size };
	struct buf out = {0};

	log_init("fuzz", 0);
	(void)expand(text, EXPAND_RECURSE, look_up, NULL, &out);
	buf_reset(&out);
	(void)expand(text, EXPAND_SCAN, look_up, NULL, &out);
	buf_reset(&out);
	(void)expand(text, EXPAND_KEEP_UNDEFINED, look_up, NULL, &out);
	buf_free(&out);
	return 0;
}
