/*
 * dovecot_line.c - lines of Dovecot's protocol for login clients.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "net/auth.h"
#include "net/dovecot_line.h"

#define MECHANISM_MAX	20		/* RFC 4422 3.1 */

static const struct {
	const char *word;
	unsigned bit;
} properties[] = {
	{ "plaintext", AUTH_NO_PLAINTEXT }, { "active", AUTH_NO_ACTIVE }, { "dictionary", AUTH_NO_DICTIONARY },
	{ "anonymous", AUTH_NO_ANONYMOUS }, { "forward-secrecy", AUTH_FORWARD_SECRECY }, { "mutual-auth", AUTH_MUTUAL },
	{ "private", AUTH_PRIVATE },
};

/* The next field, which may be empty. False: there is none. */
static bool
take_field(struct span *in, struct span *field)
{
	if (in->p == NULL)
		return false;
	if (span_take_until(in, '\t', field))
		return true;
	*field = *in;
	*in = SPAN_NULL;
	return true;
}

static bool
parse_version(struct span in, struct dovecot_line *out)
{
	struct span major, minor;
	uint64_t ignored;

	return take_field(&in, &major) && take_field(&in, &minor) && span_to_u64(major, &out->number) && span_to_u64(minor, &ignored);
}

static bool
mechanism_ok(struct span name)
{
	for (size_t i = 0; i < name.n; i++)
		if (!ascii_alnum(name.p[i]) && name.p[i] != '-' && name.p[i] != '_')
			return false;
	return name.n > 0 && name.n <= MECHANISM_MAX;
}

/* A name that is none makes it a line of no interest. */
static bool
parse_mech(struct span in, struct dovecot_line *out)
{
	struct span field;

	if (!take_field(&in, &out->word) || !mechanism_ok(out->word)) {
		*out = (struct dovecot_line){ .verb = DOVECOT_OTHER };
		return true;
	}
	while (take_field(&in, &field))
		for (size_t i = 0; i < sizeof properties / sizeof properties[0]; i++)
			if (span_is(field, properties[i].word))
				out->properties |= properties[i].bit;
	return true;
}

static bool
parse_reply(struct span in, struct dovecot_line *out)
{
	struct span field;

	if (!take_field(&in, &field))
		return false;
	if (!span_to_u64(field, &out->number)) {
		*out = (struct dovecot_line){ .verb = DOVECOT_OTHER };	/* nobody asked that */
		return true;
	}
	if (out->verb == DOVECOT_CONT) {
		(void)take_field(&in, &out->word);
		return true;
	}
	while (take_field(&in, &field)) {
		if (span_take(&field, SPAN("user="))) {
			out->has_user = true;
			out->user = field;
		} else if (span_take(&field, SPAN("reason="))) {
			out->reason = field;
		}
	}
	return true;
}

static bool
parse_nothing(struct span in, struct dovecot_line *out)
{
	(void)in;
	(void)out;
	return true;
}

static const struct {
	const char *word;
	enum dovecot_verb verb;
	bool (*parse)(struct span, struct dovecot_line *);
} verbs[] = {
	{ "VERSION", DOVECOT_VERSION, parse_version }, { "MECH", DOVECOT_MECH, parse_mech }, { "SPID", DOVECOT_SPID, parse_nothing },
	{ "DONE", DOVECOT_DONE, parse_nothing }, { "OK", DOVECOT_OK, parse_reply }, { "CONT", DOVECOT_CONT, parse_reply },
	{ "FAIL", DOVECOT_FAIL, parse_reply },
};

bool
dovecot_line_parse(struct span line, struct dovecot_line *out)
{
	struct span in = line, verb;

	*out = (struct dovecot_line){0};
	if (span_has(line, '\0'))
		return false;
	if (line.n == 0 || !take_field(&in, &verb))
		return true;
	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
		if (!span_is(verb, verbs[i].word))
			continue;
		out->verb = verbs[i].verb;
		return verbs[i].parse(in, out);
	}
	return true;
}

bool
dovecot_base64_ok(struct span text)
{
	for (size_t i = 0; i < text.n; i++)
		if (!ascii_alnum(text.p[i]) && text.p[i] != '+' && text.p[i] != '/' && text.p[i] != '=')
			return false;
	return true;
}
