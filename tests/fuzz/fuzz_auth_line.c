/*
 * fuzz_auth_line.c - lines of a login server: what is found lies within the line, and names and numbers are what they must be.
 *
 * SPDX-License-Identifier: ISC
 */
#include <assert.h>
#include <stdint.h>

#include "net/dovecot_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
within(struct span part, struct span whole)
{
	assert(part.p == NULL || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n));
	assert(!span_has(part, '\t') && !span_has(part, '\0'));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span((const char *)data, size), line;
	struct dovecot_line l;

	while (span_take_line(&in, &line)) {
		(void)dovecot_base64_ok(line);
		if (!dovecot_line_parse(line, &l))
			continue;
		assert(!span_has(line, '\0'));
		within(l.word, line);
		within(l.user, line);
		within(l.reason, line);
		assert(l.verb != DOVECOT_MECH || (l.word.n > 0 && !span_has(l.word, ' ')));
		assert(l.has_user == (l.user.p != NULL) && (!l.has_user || l.verb == DOVECOT_OK || l.verb == DOVECOT_FAIL));
		assert(l.verb != DOVECOT_OTHER || (l.number == 0 && l.properties == 0));
	}
	return 0;
}
