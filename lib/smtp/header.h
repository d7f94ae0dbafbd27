/*
 * header.h - what a line of a message header looks like (RFC 5322 2.2). No I/O; input may be any bytes.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef SMTP_HEADER_H
#define SMTP_HEADER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

/* Length of the name of a "Name: value" line, blanks before the colon not counted; 0 = not a header line. */
size_t	header_name_length(struct span line);
/* "From " behind any number of '>': the line that separates messages in an mbox. */
bool	header_is_mbox_line(struct span line);
/* The header holds addresses that may be rewritten: From, To, Resent-Sender ... */
bool	header_has_addresses(struct span name);
/* A line that goes on from the one before. */
bool	header_is_continuation(struct span line);

#endif
