/*
 * postmaster.h - transcripts of SMTP sessions, and letters to the postmaster with one: notify_classes of postconf(5).
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAIL_POSTMASTER_H
#define MAIL_POSTMASTER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/span.h"

/* Kinds of trouble, a bit each, in the order of their words. */
enum {
	TROUBLE_PROTOCOL = 1, TROUBLE_POLICY = 2, TROUBLE_RESOURCE = 4, TROUBLE_SOFTWARE = 8, TROUBLE_DATA = 16, TROUBLE_BOUNCE = 32,
};

/* What was said, as it was. At most TRANSCRIPT_MAX bytes of it; the rest of a longer session is not kept. */
#define TRANSCRIPT_MAX	65536u

struct transcript {
	struct buf text;
	size_t lines;
	bool cut;
};

void	transcript_add(struct transcript *, const char *who, struct span line);	/* who: "In:  " or "Out: " */
void	transcript_reset(struct transcript *);
void	transcript_free(struct transcript *);

struct letter {
	unsigned trouble;		/* TROUBLE_* that the session had */
	const char *subject;		/* "SMTP server: errors from ..."; mail_name is put before it */
	const char *lead;		/* first line of the text; NULL: none */
	const char *reason;		/* of an abnormal end; NULL: none */
	const struct transcript *transcript;
};

/* Bits of notify_classes. */
unsigned postmaster_classes(void);
/* Send it, if notify_classes has one of its troubles and the queue has room for mail from the network; trouble is logged. */
void	postmaster_tell(const struct letter *);

#endif
