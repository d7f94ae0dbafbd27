/*
 * auth.c - the kinds of login service, and what they have in common.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "net/auth_type.h"

struct auth {
	void *x;
};

static const struct auth_type *const types[] = { &auth_cyrus, &auth_dovecot };
static const struct auth_type *type;		/* of this process */
static struct auth_settings settings;

static const struct {
	const char *word;
	unsigned bit;
} security_words[] = {
	{ "noplaintext", AUTH_NO_PLAINTEXT }, { "noactive", AUTH_NO_ACTIVE }, { "nodictionary", AUTH_NO_DICTIONARY },
	{ "noanonymous", AUTH_NO_ANONYMOUS }, { "forward_secrecy", AUTH_FORWARD_SECRECY }, { "mutual_auth", AUTH_MUTUAL },
};

#define COUNT(table)	(sizeof (table) / sizeof (table)[0])

bool
auth_security_parse(const char *type_name, const char *text, unsigned *bits, struct err *e)
{
	struct span in = span_str(text), word;

	*bits = 0;
	while (span_take_word(&in, ", \t\r\n", &word)) {
		unsigned bit = 0;

		for (size_t i = 0; i < COUNT(security_words); i++)
			if (span_iis(word, security_words[i].word))
				bit = security_words[i].bit;
		if (bit == 0)
			return err_perm(e, "unknown %s value \"%.*s\" in \"%s\"", strcmp(type_name, "cyrus") == 0 ? "SASL security options" :
			    "xsasl_dovecot_server_create", SPAN_ARG(word), text);
		*bits |= bit;
	}
	return true;
}

bool
auth_prepare(const struct auth_settings *s, struct err *e)
{
	settings = *s;
	type = NULL;
	for (size_t i = 0; i < COUNT(types); i++)
		if (strcmp(types[i]->name, s->type) == 0)
			type = types[i];
	if (type == NULL)
		return err_perm(e, "unsupported SASL server implementation: %s", s->type);
	return type->prepare(&settings, e);
}

struct auth *
auth_new(unsigned security, struct err *e)
{
	struct auth *a;
	void *x = type->start(&settings, security, e);

	if (x == NULL)
		return NULL;
	a = calloc(1, sizeof *a);
	if (a == NULL)
		log_out_of_memory();
	a->x = x;
	return a;
}

void
auth_free(struct auth **ap)
{
	if (*ap == NULL)
		return;
	type->end((*ap)->x);
	free(*ap);
	*ap = NULL;
}

const char *
auth_mechanisms(const struct auth *a)
{
	return type->mechanisms(a->x);
}

void
auth_first(struct auth *a, const struct auth_client *client, struct span mechanism, struct span initial, struct arena *mem,
    struct auth_reply *reply)
{
	*reply = (struct auth_reply){ .status = AUTH_TEMPORARY };
	type->first(a->x, client, mechanism, initial, mem, reply);
}

void
auth_next(struct auth *a, struct span response, struct arena *mem, struct auth_reply *reply)
{
	*reply = (struct auth_reply){ .status = AUTH_TEMPORARY };
	type->next(a->x, response, mem, reply);
}

void
auth_say(struct auth_reply *reply, enum auth_status status, const char *text, const char *user)
{
	*reply = (struct auth_reply){ .status = status, .text = text, .user = user };
}

const char *
auth_user(struct span name, struct arena *mem)
{
	return span_cstr(span_printable(name, mem), mem);
}
