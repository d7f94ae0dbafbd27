/*
 * idn.h - domain names between UTF-8 and ASCII (IDNA2008, UTS 46). Without libidn2 in the build only
 * names that need no change convert.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef CONF_IDN_H
#define CONF_IDN_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/span.h"

/* Append the converted name. False (and a logged warning) when it cannot be converted. */
bool	idn_to_ascii(struct span domain, struct buf *out);
bool	idn_to_utf8(struct span domain, struct buf *out);

#endif
