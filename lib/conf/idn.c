/*
 * idn.c - domain names between UTF-8 and ASCII, by libidn2.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>

#include "base/log.h"
#include "conf/idn.h"
#include "config.h"

#ifdef HAVE_IDN2
#include <idn2.h>

static bool
convert(struct span domain, struct buf *out, bool to_ascii)
{
	char *from = span_strdup(domain), *to = NULL;
	const int flags = IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL;
	const int rc = to_ascii ? idn2_to_ascii_8z(from, &to, flags) : idn2_to_unicode_8z8z(from, &to, 0);

	if (rc == IDN2_OK)
		buf_str(out, to);
	else
		log_warning("Problem translating domain \"%s\" to %s form: %s", from, to_ascii ? "ASCII" : "UTF-8",
		    idn2_strerror(rc));
	idn2_free(to);
	free(from);
	return rc == IDN2_OK;
}
#else
static bool
convert(struct span domain, struct buf *out, bool to_ascii)
{
	if (!span_is_ascii(domain)) {
		log_warning("Problem translating domain \"%.*s\" to %s form: no libidn2 in this build", SPAN_ARG(domain),
		    to_ascii ? "ASCII" : "UTF-8");
		return false;
	}
	buf_span(out, domain);
	return true;
}
#endif

bool
idn_to_ascii(struct span domain, struct buf *out)
{
	/* Most names need no work: letters, digits, dots and hyphens stay as they are. */
	if (span_is_ascii(domain)) {
		buf_span(out, domain);
		return true;
	}
	return convert(domain, out, true);
}

bool
idn_to_utf8(struct span domain, struct buf *out)
{
	if (span_is_ascii(domain) && span_find_span(domain, SPAN("xn--")) == domain.n) {
		buf_span(out, domain);
		return true;
	}
	return convert(domain, out, false);
}
