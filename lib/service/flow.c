/*
 * flow.c - tokens in a pipe.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "service/flow.h"
#include "service/status.h"

#define TOKENS_MAX	4096u		/* written at once */

bool
flow_take(void)
{
	char token;
	ssize_t n;

	do {
		n = read(SERVICE_FLOW_READ_FD, &token, 1);
	} while (n < 0 && errno == EINTR);
	return n == 1 || (n < 0 && errno != EAGAIN);
}

void
flow_give(size_t n)
{
	static const char tokens[TOKENS_MAX];

	(void)!write(SERVICE_FLOW_WRITE_FD, tokens, n < TOKENS_MAX ? n : TOKENS_MAX);	/* full is enough */
}

void
flow_fill(size_t limit)
{
	int have = 0;

	if (ioctl(SERVICE_FLOW_READ_FD, FIONREAD, &have) == 0 && (size_t)have < limit)
		flow_give(limit - (size_t)have);
}
