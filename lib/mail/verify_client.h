/*
 * verify_client.h - the clients of verify(8): smtpd(8) asks whether mail for an address would be accepted, delivery
 * agents tell what became of a probe. And the address that probes come from.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAIL_VERIFY_CLIENT_H
#define MAIL_VERIFY_CLIENT_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/span.h"

enum verify_status {
	VERIFY_OK,
	VERIFY_DEFERRED,
	VERIFY_UNDELIVERABLE,
	VERIFY_PENDING,		/* a probe is under way */
};

/* False: the service is not available (logged). address: internal form. *reason lives in mem. */
bool	verify_query(struct span address, struct arena *mem, enum verify_status *, struct span *reason);
bool	verify_update(struct span address, enum verify_status, struct span reason);

/* Sender of probes: address_verify_sender, which changes its local part every address_verify_sender_ttl; "" for the null
 * sender. Internal form, complete. */
struct span verify_sender(struct arena *mem);
/* The same without the part that changes. */
struct span verify_stable_sender(struct arena *mem);
/* Is it, or was it a moment ago, the sender of our probes? Then mail to and from it is let through. */
bool	verify_is_sender(struct span address);

#endif
