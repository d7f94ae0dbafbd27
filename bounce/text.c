/*
 * text.c - the words of a notice.
 *
 * SPDX-License-Identifier: ISC
 */
#include "bounce/bounce.h"
#include "conf/conf.h"

#define WRAP_COLUMNS	79u
#define WRAP_INDENT	4u

void
text_wrap(struct buf *out, struct span text)
{
	struct span word;
	size_t column = 0;

	while (span_take_word(&text, " \t", &word)) {
		if (column > 0 && column + 1 + word.n > WRAP_COLUMNS) {
			buf_str(out, "\n    ");
			column = WRAP_INDENT;
		} else if (column > 0) {
			buf_byte(out, ' ');
			column++;
		}
		buf_span(out, word);
		column += word.n;
	}
	buf_byte(out, '\n');
}

static const char failure[] =
    "\nI'm sorry to have to inform you that your message could not\n"
    "be delivered to one or more recipients. It's attached below.\n"
    "\nFor further assistance, please send mail to postmaster.\n"
    "\nIf you do so, please include this problem report. You can\n"
    "delete your own text from the attached returned message.\n"
    "\n                   The mail system\n";

static const char delay_before[] =
    "\n####################################################################\n"
    "# THIS IS A WARNING ONLY.  YOU DO NOT NEED TO RESEND YOUR MESSAGE. #\n"
    "####################################################################\n\n";

static const char delay_after[] =
    "\nFor further assistance, please send mail to postmaster.\n"
    "\nIf you do so, please include this problem report. You can\n"
    "delete your own text from the attached returned message.\n"
    "\n                   The mail system\n";

static const char success[] =
    "\nYour message was successfully delivered to the destination(s)\n"
    "listed below. If the message was delivered to mailbox you will\n"
    "receive no further notifications. Otherwise you may still receive\n"
    "notifications of mail delivery errors from other systems.\n"
    "\n                   The mail system\n";

static const char verify[] =
    "\nEnclosed is the mail delivery report that you requested.\n"
    "\n                   The mail system\n";

void
text_template(struct buf *out, enum notice_kind kind)
{
	buf_printf(out, "This is the mail system at host %s.\n", conf.myhostname);
	switch (kind) {
	case NOTICE_FAILURE:
		buf_str(out, failure);
		break;
	case NOTICE_DELAY:
		buf_str(out, delay_before);
		buf_printf(out, "Your message could not be delivered for more than %d hour(s).\n", conf.delay_warning_time / 3600);
		buf_printf(out, "It will be retried until it is %d day(s) old.\n", conf.maximal_queue_lifetime / 86400);
		buf_str(out, delay_after);
		break;
	case NOTICE_SUCCESS:
		buf_str(out, success);
		break;
	default:
		buf_str(out, verify);
	}
}
