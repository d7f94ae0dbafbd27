/*
 * dovecot_line.h - lines of Dovecot's protocol for login clients, version 1: "VERB TAB field TAB field ...". No I/O; the server is a stranger.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef NET_DOVECOT_LINE_H
#define NET_DOVECOT_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

enum dovecot_verb {
	DOVECOT_OTHER,		/* of no interest */
	DOVECOT_VERSION, DOVECOT_MECH, DOVECOT_SPID, DOVECOT_DONE,	/* of the greeting */
	DOVECOT_OK, DOVECOT_CONT, DOVECOT_FAIL,				/* of an exchange */
};

struct dovecot_line {
	enum dovecot_verb verb;
	uint64_t number;		/* VERSION: the major one; OK, CONT, FAIL: of the request */
	struct span word;		/* MECH: its name; CONT: the challenge, base64 */
	unsigned properties;		/* MECH: the AUTH_ bits of auth.h that it would break or has */
	bool has_user;
	struct span user, reason;	/* OK, FAIL */
};

/* line has no line end. Spans of *out point into it. False: a NUL byte, or a verb without the fields that it must have. */
bool	dovecot_line_parse(struct span line, struct dovecot_line *out);
/* Only letters, digits and "+/=": what passes for base64 on its way through. */
bool	dovecot_base64_ok(struct span text);

#endif
