/*
 * cmd_xclient.c - XCLIENT: an authorised client says for whom it speaks, and the session starts again as that client's.
 * XFORWARD: it says where the next message came from first, for the log and for filters.
 * Values are decoded and made printable before anything else sees them; who is not authorised learns nothing.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "conf/own_address.h"
#include "map/match.h"
#include "smtp/address.h"
#include "smtpd/smtpd.h"

#define VALUE_MAX	255
#define PROTOCOL_MAX	64

/* A value as its function sees it. */
struct value {
	const char *text;
	bool unavailable, temporary;	/* "[UNAVAILABLE]", "[TEMPUNAVAIL]" */
};

/* Stores a value; false: its syntax is bad. */
typedef bool (*attribute_fn)(struct smtpd *, const struct value *);

struct attribute {
	const char *name;
	attribute_fn fn;
};

static struct match *xclient_hosts, *xforward_hosts, *xverp_hosts;

void
smtpd_xclient_init(void)
{
	xclient_hosts = match_open(MATCH_HOST, "smtpd_authorized_xclient_hosts", conf.smtpd_authorized_xclient_hosts, NULL);
	xforward_hosts = match_open(MATCH_HOST, "smtpd_authorized_xforward_hosts", conf.smtpd_authorized_xforward_hosts, NULL);
	xverp_hosts = match_open(MATCH_HOST, "smtpd_authorized_verp_clients", conf.smtpd_authorized_verp_clients, NULL);
}

bool
smtpd_may_xclient(const struct smtpd *s)
{
	return match_host(xclient_hosts, span_str(s->client.name), span_str(s->client.address)) == MATCH_YES;
}

bool
smtpd_may_xforward(const struct smtpd *s)
{
	return match_host(xforward_hosts, span_str(s->client.name), span_str(s->client.address)) == MATCH_YES;
}

bool
smtpd_may_xverp(const struct smtpd *s)
{
	return match_host(xverp_hosts, span_str(s->client.name), span_str(s->client.address)) == MATCH_YES;
}

static bool
is_number(const char *text)
{
	return *text != '\0' && strspn(text, "0123456789") == strlen(text);
}

/* "192.0.2.1" or "IPV6:2001:db8::1" in its usual form, of a family that inet_protocols has. NULL: it is none. */
static const char *
take_address(struct smtpd *s, const struct value *v)
{
	struct span in = span_str(v->text);
	struct sock_addr addr;
	bool v4 = true, v6 = true, prefixed;

	if (v->unavailable)
		return "unknown";
	(void)inet_protocols_parse(conf.inet_protocols, &v4, &v6, NULL);
	prefixed = span_itake(&in, SPAN("IPV6:"));
	if (v->temporary || prefixed != span_has(in, ':') || (prefixed && !v6) || !sock_addr_parse(in, 0, &addr) || (!span_has(span_str(addr.host), ':') && !v4))
		return NULL;
	return span_cstr(span_str(addr.host), s->mem);
}

/* --- XCLIENT --- */

static bool
take_name(struct smtpd *s, const struct value *v, const char **name, enum dns_status *status)
{
	*status = v->temporary ? DNS_RETRY : v->unavailable ? DNS_NOT_FOUND : DNS_OK;
	if (*status != DNS_OK) {
		*name = "unknown";
		return true;
	}
	if (!address_hostname_ok(span_str(v->text)))
		return false;
	*name = span_cstr(span_str(v->text), s->mem);
	return true;
}

static bool
client_name(struct smtpd *s, const struct value *v)
{
	if (!take_name(s, v, &s->client.name, &s->client.name_status))
		return false;
	if (s->client.name_status == DNS_OK) {
		s->client.reverse_name = s->client.name;
		s->client.reverse_status = DNS_OK;
	}
	return true;
}

static bool
client_reverse_name(struct smtpd *s, const struct value *v)
{
	return take_name(s, v, &s->client.reverse_name, &s->client.reverse_status);
}

static bool
client_address(struct smtpd *s, const struct value *v)
{
	const char *address = take_address(s, v);

	if (address != NULL)
		s->client.address = address;
	return address != NULL;
}

static bool
take_port(struct smtpd *s, const struct value *v, const char **port)
{
	if (!v->unavailable && !is_number(v->text))
		return false;
	*port = v->unavailable ? "unknown" : span_cstr(span_str(v->text), s->mem);
	return true;
}

static bool client_port(struct smtpd *s, const struct value *v) { return take_port(s, v, &s->client.port); }
static bool server_port(struct smtpd *s, const struct value *v) { return take_port(s, v, &s->server_port); }

static bool
server_address(struct smtpd *s, const struct value *v)
{
	const char *address = take_address(s, v);

	if (address != NULL)
		s->server_address = address;
	return address != NULL;
}

static bool
client_protocol(struct smtpd *s, const struct value *v)
{
	if (span_iis(span_str(v->text), "SMTP"))
		s->protocol = "SMTP";
	else if (span_iis(span_str(v->text), "ESMTP"))
		s->protocol = "ESMTP";
	else
		return false;
	return true;
}

static bool
client_helo(struct smtpd *s, const struct value *v)
{
	s->helo = v->unavailable ? NULL : smtpd_neutral(span_str(v->text), s->mem);
	return true;
}

static bool
client_login(struct smtpd *s, const struct value *v)
{
	s->sasl_method = v->unavailable ? NULL : "XCLIENT";
	s->sasl_username = v->unavailable ? NULL : span_cstr(span_str(v->text), s->mem);
	return true;
}

/* In the order of the announcement. */
static const struct attribute xclient[] = {
	{ "NAME", client_name }, { "ADDR", client_address }, { "PROTO", client_protocol }, { "HELO", client_helo },
	{ "REVERSE_NAME", client_reverse_name }, { "PORT", client_port }, { "LOGIN", client_login }, { "DESTADDR", server_address },
	{ "DESTPORT", server_port },
};

/* --- XFORWARD --- */

static bool
origin_name(struct smtpd *s, const struct value *v)
{
	if (!v->unavailable && !address_hostname_ok(span_str(v->text)))
		return false;
	s->origin.name = v->unavailable ? "unknown" : v->text;
	return true;
}

static bool
origin_address(struct smtpd *s, const struct value *v)
{
	const char *address = take_address(s, v);

	if (address != NULL)
		s->origin.address = address;
	return address != NULL;
}

static bool
origin_port(struct smtpd *s, const struct value *v)
{
	if (!v->unavailable && !is_number(v->text))
		return false;
	s->origin.port = v->unavailable ? "unknown" : v->text;
	return true;
}

static bool
origin_protocol(struct smtpd *s, const struct value *v)
{
	if (strlen(v->text) > PROTOCOL_MAX)
		return false;
	s->origin.protocol = v->unavailable ? "unknown" : smtpd_neutral(span_str(v->text), s->tmem);
	return true;
}

static bool
origin_helo(struct smtpd *s, const struct value *v)
{
	s->origin.helo = v->unavailable ? NULL : smtpd_neutral(span_str(v->text), s->tmem);
	return true;
}

static bool
origin_ident(struct smtpd *s, const struct value *v)
{
	s->origin.ident = v->unavailable ? NULL : smtpd_neutral(span_str(v->text), s->tmem);
	return true;
}

static bool
origin_source(struct smtpd *s, const struct value *v)
{
	if (v->unavailable)
		s->origin.rewrite_context = NULL;
	else if (span_iis(span_str(v->text), "REMOTE"))
		s->origin.rewrite_context = "remote";
	else if (span_iis(span_str(v->text), "LOCAL"))
		s->origin.rewrite_context = "local";
	else
		return false;
	return true;
}

static const struct attribute xforward[] = {
	{ "NAME", origin_name }, { "ADDR", origin_address }, { "PROTO", origin_protocol }, { "HELO", origin_helo },
	{ "SOURCE", origin_source }, { "PORT", origin_port }, { "IDENT", origin_ident },
};

/* --- both --- */

#define COUNT(table)	(sizeof (table) / sizeof (table)[0])

static bool
refuse(struct smtpd *s, const char *reply)
{
	smtp_server_reply(&s->server, "%s", reply);
	return false;
}

/* "NAME=value" of one of the rows. False: replied. */
static bool
take_attribute(struct smtpd *s, const char *command, const struct attribute *rows, size_t n, struct span word)
{
	struct span name, raw = word, decoded;
	struct value v;

	if (!span_take_until(&raw, '=', &name) || raw.n == 0)
		return refuse(s, "501 5.5.4 Error: attribute=value expected");
	if (raw.n > VALUE_MAX)
		return refuse(s, "501 5.5.4 Error: attribute value too long");
	if (!smtp_xtext_decode(raw, s->work, &decoded))
		decoded = raw;			/* not xtext: as it is */
	v.text = span_cstr(span_printable(decoded, s->tmem), s->tmem);
	v.unavailable = span_iis(span_str(v.text), "[UNAVAILABLE]");
	v.temporary = span_iis(span_str(v.text), "[TEMPUNAVAIL]");
	for (size_t i = 0; i < n; i++) {
		if (!span_iis(name, rows[i].name))
			continue;
		if (rows[i].fn(s, &v))
			return true;
		smtp_server_reply(&s->server, "501 5.5.4 Bad %s syntax: %s", rows[i].name, v.text);
		return false;
	}
	smtp_server_reply(&s->server, "501 5.5.4 Bad %s attribute name: %s", command,
	    span_cstr(span_printable(name, s->work), s->work));
	return false;
}

/* May this command be given, and with these words? False: replied. */
static bool
permitted(struct smtpd *s, struct span args, const char *command, bool authorized)
{
	if (s->in_mail)
		return refuse(s, "503 5.5.1 Error: MAIL transaction in progress");
	if (args.n == 0) {
		smtp_server_reply(&s->server, "501 5.5.4 Syntax: %s attribute=value...", command);
		return false;
	}
	if (!authorized)
		smtpd_trouble(s, TROUBLE_POLICY);
	return authorized || refuse(s, "550 5.7.0 Error: insufficient authorization");
}

static bool
names(struct span args, const char *attribute)
{
	struct span word;

	while (smtp_take_word(&args, &word))
		if (span_iis(span_to(word, span_find(word, '=')), attribute))
			return true;
	return false;
}

bool
cmd_xclient(struct smtp_server *server, struct span args)
{
	struct smtpd *s = smtpd_of(server);
	struct span in = args, word;

	if (!permitted(s, args, "XCLIENT", s->may_xclient))
		return false;
	while (smtp_take_word(&in, &word))
		if (!take_attribute(s, "XCLIENT", xclient, COUNT(xclient), word))
			return false;
	if (!names(args, "HELO"))
		s->helo = NULL;
	if (!names(args, "PROTO"))
		s->protocol = "SMTP";
	if (!names(args, "LOGIN"))
		s->sasl_method = s->sasl_username = NULL;
	smtpd_restart(s);
	return true;
}

bool
cmd_xforward(struct smtp_server *server, struct span args)
{
	struct smtpd *s = smtpd_of(server);
	const struct smtpd_origin before = s->origin;
	struct span in = args, word;

	if (!permitted(s, args, "XFORWARD", s->may_xforward))
		return false;
	if (!s->origin.given)
		s->origin = (struct smtpd_origin){ .given = true, .name = "unknown", .address = "unknown", .port = "unknown",
		    .protocol = "unknown" };
	while (smtp_take_word(&in, &word))
		if (!take_attribute(s, "XFORWARD", xforward, COUNT(xforward), word)) {
			s->origin = before;
			return false;
		}
	s->origin.has_client = s->origin.has_client || names(args, "NAME") || names(args, "ADDR") || names(args, "PORT") ||
	    names(args, "PROTO") || names(args, "HELO");
	smtp_server_reply(server, "250 2.0.0 Ok");
	return true;
}

static void
announce(struct buf *b, const char *command, const struct attribute *rows, size_t n)
{
	buf_printf(b, "\r\n250 %s", command);
	for (size_t i = 0; i < n; i++)
		buf_printf(b, " %s", rows[i].name);
}

void
smtpd_xclient_announce(const struct smtpd *s, struct buf *b)
{
	if (s->may_xverp && (s->ehlo_hidden & EHLO_VERP) == 0)
		buf_str(b, "\r\n250 XVERP");
	if (s->may_xclient && (s->ehlo_hidden & EHLO_XCLIENT) == 0)
		announce(b, "XCLIENT", xclient, COUNT(xclient));
	if (s->may_xforward && (s->ehlo_hidden & EHLO_XFORWARD) == 0)
		announce(b, "XFORWARD", xforward, COUNT(xforward));
}
