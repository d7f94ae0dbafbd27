/*
 * header.c - header lines.
 *
 * SPDX-License-Identifier: ISC
 */
#include "smtp/header.h"

size_t
header_name_length(struct span line)
{
	size_t name = 0, i;

	while (name < line.n && line.p[name] > 32 && line.p[name] < 127 && line.p[name] != ':')
		name++;
	for (i = name; i < line.n && (line.p[i] == ' ' || line.p[i] == '\t'); i++)
		continue;
	return i < line.n && line.p[i] == ':' ? name : 0;
}

bool
header_is_mbox_line(struct span line)
{
	while (span_take_byte(&line, '>'))
		continue;
	return span_starts(line, SPAN("From "));
}

bool
header_is_continuation(struct span line)
{
	return line.n > 0 && (line.p[0] == ' ' || line.p[0] == '\t');
}

bool
header_has_addresses(struct span name)
{
	static const char *const names[] = { "Apparently-To", "Bcc", "Cc", "Disposition-Notification-To", "Errors-To", "From",
	    "Mail-Followup-To", "Reply-To", "Resent-Bcc", "Resent-Cc", "Resent-From", "Resent-Reply-To", "Resent-Sender", "Resent-To",
	    "Return-Path", "Return-Receipt-To", "Sender", "To" };

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (span_iis(name, names[i]))
			return true;
	return false;
}
