/*
 * command.h - pieces of SMTP command lines: words, paths of MAIL and RCPT, xtext. No I/O, no allocation but the arena.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef SMTP_COMMAND_H
#define SMTP_COMMAND_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/span.h"

/*
 * Consume the next word: up to white space that is neither inside "..." nor inside <...>. False at the end.
 */
bool	smtp_take_word(struct span *in, struct span *word);

/* "FROM:<path> params": consume keyword (without colon, any case), ':' and the path word. False: not this shape, or
 * nothing behind the colon; *in is untouched. */
bool	smtp_take_path(struct span *in, const char *keyword, struct span *path);

/* Quotes and <> of a path word are closed: else it is no path, and nothing to warn of. */
bool	smtp_path_whole(struct span word);

struct smtp_path {
	struct span internal;	/* unquoted; "" is the null address */
	struct span external;	/* quoted where needed, no <> */
	struct span given;	/* as the client wrote it, without <> */
	bool bracketed;
};

enum smtp_path_flags {
	SMTP_PATH_STRICT = 1,	/* strict_rfc821_envelopes: <> required, no comments */
	SMTP_PATH_NULL = 2,	/* <> is allowed */
	SMTP_PATH_UTF8 = 4,	/* a domain may have bytes above 127 */
	SMTP_PATH_ANY_DOMAIN = 16,	/* whatever stands for a domain */
	SMTP_PATH_RESOLVED = 8,	/* the address is resolved anyway: that decides on no domain and on a bare IP address */
};

/*
 * The address of a path word (RFC 5321 4.1.2, with the liberties that real clients take): a source route is dropped,
 * comments and a name before '<' too; the domain, when there is one, must be a host name or an address literal.
 */
bool	smtp_path_parse(struct span word, unsigned flags, struct arena *mem, struct smtp_path *out);

/* RFC 3461 4: xtext. Decode fails on a '+' without two hexadecimal digits, and on bytes outside 33..126 and '='. */
bool	smtp_xtext_decode(struct span, struct arena *mem, struct span *out);
struct span smtp_xtext_encode(struct span, struct arena *mem);

#endif
