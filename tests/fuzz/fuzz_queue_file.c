/*
 * fuzz_queue_file.c - any bytes as a queue file: the record reader ends, whatever pointers and lengths say.
 *
 * SPDX-License-Identifier: ISC
 */
#include <sys/mman.h>
#include <unistd.h>

#include "mail/rec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	struct rec_reader in;
	struct rec_size sizes;
	struct span name, value;
	struct rec r;
	size_t records = 0;

	if (fd < 0)
		fd = memfd_create("queue file", 0);	/* of the fuzzer only; no service uses one */
	if (ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
		return 0;
	rec_reader_init(&in, fd, 0);
	/* Each jump backwards is counted by the reader, and between two of them a file has at most size records. */
	while (rec_next(&in, &r, NULL) && records++ < 200000) {
		if (r.type == REC_SIZE)
			(void)rec_parse_size(r.payload, &sizes);
		else if (r.type == REC_ATTR)
			(void)rec_parse_attr(r.payload, &name, &value);
	}
	rec_reader_free(&in);
	return 0;
}
