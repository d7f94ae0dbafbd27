/*
 * extract.c - recipients from the header (-t): To, Cc, Bcc, or their Resent- forms when there is any.
 *
 * SPDX-License-Identifier: ISC
 */
#include "conf/conf.h"
#include "mail/rec.h"
#include "sendmail/sendmail.h"
#include "smtp/address.h"
#include "smtp/header.h"

static const struct {
	const char *name;
	bool resent;
} wanted[] = {
	{ "To", false }, { "Cc", false }, { "Bcc", false },
	{ "Resent-To", true }, { "Resent-Cc", true }, { "Resent-Bcc", true },
};

static void
add_all(struct buf *out, struct span value, struct arena *mem)
{
	struct address_list list = address_list_parse(value, (size_t)conf.header_address_token_limit, mem);

	for (size_t i = 0; i < list.n; i++) {
		struct span address = address_unquote(list.p[i].address, mem);

		if (list.p[i].kind == ADDRESS_MAILBOX && address.n > 0)
			rec_put(out, REC_RCPT, address);
	}
}

static void
take_header(struct extractor *x, struct arena *mem)
{
	struct span value = buf_view(&x->header), name;

	if (span_take_until(&value, ':', &name)) {
		name = span_rtrim(name);
		for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
			if (!span_iis(name, wanted[i].name))
				continue;
			x->have_resent = x->have_resent || wanted[i].resent;
			add_all(wanted[i].resent ? &x->resent : &x->plain, value, mem);
		}
	}
	buf_reset(&x->header);
}

void
extract_line(struct extractor *x, struct span line, struct arena *mem)
{
	if (x->done)
		return;
	if (x->header.n > 0 && header_is_continuation(line)) {
		buf_byte(&x->header, '\n');
		buf_span(&x->header, line);
		x->too_long = x->too_long || x->header.n > (size_t)conf.header_size_limit;
		return;
	}
	take_header(x, mem);
	if (header_name_length(line) > 0)
		buf_span(&x->header, line);
	else
		x->done = true;
}

void
extract_end(struct extractor *x, struct arena *mem)
{
	take_header(x, mem);
	x->done = true;
}

struct span
extract_recipients(const struct extractor *x)
{
	return buf_view(x->have_resent ? &x->resent : &x->plain);
}

void
extract_free(struct extractor *x)
{
	buf_free(&x->header);
	buf_free(&x->plain);
	buf_free(&x->resent);
}
