/*
 * restrict_policy.c - check_policy_service: the attributes of a request, and the answer as a result of access(5).
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "conf/conf.h"
#include "smtpd/policy.h"
#include "smtpd/restrict.h"

/* A value holds no byte that could end its line. */
static void
put(struct smtpd *s, struct buf *b, const char *name, struct span value)
{
	buf_printf(b, "%s=", name);
	buf_span(b, span_printable(value, s->work));
	buf_byte(b, '\n');
}

static void
put_str(struct smtpd *s, struct buf *b, const char *name, const char *value)
{
	put(s, b, name, span_str(value));
}

static const char *
protocol_state(const struct check *c)
{
	if (strcmp(c->name != NULL ? c->name : "", "END-OF-MESSAGE") == 0)
		return c->name;
	return strcmp(c->s->server.where, "BDAT") == 0 ? "DATA" : c->s->server.where;
}

static void
put_session(struct check *c, struct buf *b)
{
	struct smtpd *s = c->s;

	put_str(s, b, "request", "smtpd_access_policy");
	put_str(s, b, "protocol_state", protocol_state(c));
	put_str(s, b, "protocol_name", s->protocol);
	put_str(s, b, "client_address", s->client.address);
	put_str(s, b, "client_name", s->client.name);
	put_str(s, b, "client_port", s->client.port);
	put_str(s, b, "reverse_client_name", s->client.reverse_name);
	put_str(s, b, "server_address", s->server_address);
	put_str(s, b, "server_port", s->server_port);
	put_str(s, b, "helo_name", s->helo);
}

static void
put_message(struct check *c, struct buf *b)
{
	struct smtpd *s = c->s;
	const char *state = protocol_state(c);
	const bool at_end = strcmp(state, "END-OF-MESSAGE") == 0, counted = at_end || strcmp(state, "DATA") == 0;
	const int64_t size = at_end ? s->size : s->announced_size;

	put(s, b, "sender", s->in_mail ? s->sender : SPAN_NULL);
	put_str(s, b, "recipient", s->recipient);
	buf_printf(b, "recipient_count=%zu\n", counted ? s->nrcpt : 0);
	put_str(s, b, "queue_id", s->cleanup != NULL ? smtpd_queue_id(s) : "");
	put_str(s, b, "instance", s->instance);
	buf_printf(b, "size=%lld\n", (long long)size);
	put_str(s, b, "etrn_domain", s->etrn);
	put_str(s, b, "stress", conf.stress);
	put_str(s, b, "sasl_method", s->sasl_method);
	put_str(s, b, "sasl_username", s->sasl_username);
	put_str(s, b, "sasl_sender", s->sasl_sender);
}

/* Without TLS: the names are there all the same. */
static void
put_tls(struct buf *b)
{
	static const char *const names[] = {
		"ccert_subject", "ccert_issuer", "ccert_fingerprint", "ccert_pubkey_fingerprint", "encryption_protocol", "encryption_cipher",
	};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		buf_printf(b, "%s=\n", names[i]);
	buf_str(b, "encryption_keysize=0\n");
}

enum verdict
restrict_policy(struct check *c, const struct rule *r)
{
	struct smtpd *s = c->s;
	struct buf b = {0};
	struct span action;

	put_session(c, &b);
	put_message(c, &b);
	put_tls(&b);
	put_str(s, &b, "policy_context", policy_context(r->policy));
	put_str(s, &b, "compatibility_level", conf.compatibility_level);
	put_str(s, &b, "mail_version", conf.mail_version);
	policy_ask(r->policy, buf_view(&b), s->work, &action);
	buf_free(&b);
	return access_result(c, r->arg, SPAN("policy query"), action, c->name, c->class);
}
