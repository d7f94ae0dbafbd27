/*
 * conf_default.c - defaults that depend on the machine: its name, its networks, this process.
 *
 * SPDX-License-Identifier: ISC
 */
#include <arpa/inet.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "conf/conf.h"
#include "conf/conf_internal.h"
#include "conf/own_address.h"

static const char *
default_hostname(void)
{
	char name[256];
	struct buf out = {0};
	const char *domain, *kept;

	if (gethostname(name, sizeof name) != 0)
		memcpy(name, "localhost", sizeof "localhost");
	name[sizeof name - 1] = '\0';
	buf_str(&out, name);
	if (strchr(name, '.') == NULL) {
		domain = conf_raw("mydomain") != NULL ? conf_value("mydomain") : NULL;
		buf_printf(&out, ".%s", domain != NULL ? domain : "localdomain");
	}
	kept = conf_keep(buf_cstr(&out));
	buf_free(&out);
	return kept;
}

static const char *
default_domain(void)
{
	static bool busy;	/* myhostname = host.$mydomain */
	const char *host, *dot;

	if (busy)
		return NULL;
	busy = true;
	host = conf_value("myhostname");
	busy = false;
	dot = host != NULL ? strchr(host, '.') : NULL;
	return dot != NULL ? dot + 1 : "localdomain";
}

static unsigned
class_prefix(const struct own_address *a)
{
	if (a->family != AF_INET)
		return a->prefix;
	return a->bytes[0] < 128 ? 8 : a->bytes[0] < 192 ? 16 : a->bytes[0] < 224 ? 24 : 32;
}

static void
add_network(struct buf *out, const struct own_address *a, unsigned prefix)
{
	unsigned char net[16];
	char text[INET6_ADDRSTRLEN];
	struct buf item = {0};

	memcpy(net, a->bytes, 16);
	for (unsigned bit = prefix; bit < (a->family == AF_INET ? 32u : 128u); bit++)
		net[bit / 8] &= (unsigned char)~(0x80u >> (bit % 8));
	(void)inet_ntop(a->family, net, text, sizeof text);
	buf_printf(&item, a->family == AF_INET ? "%s/%u" : "[%s]/%u", text, prefix);
	/* fe80::/64 of several interfaces is one network. */
	if (!span_lists(buf_view(out), buf_cstr(&item)))
		buf_printf(out, "%s%s", out->n > 0 ? " " : "", buf_cstr(&item));
	buf_free(&item);
}

/* First letter of the one word: class, host, subnet; NUL with an error. */
static char
networks_style(const char *style, struct err *e)
{
	struct span rest = span_str(style), word;
	char rule = '\0';
	size_t n = 0;

	for (; span_take_word(&rest, ", \t\r\n", &word); n++) {
		if (!span_is(word, "class") && !span_is(word, "host") && !span_is(word, "subnet")) {
			(void)err_perm(e, "unknown mynetworks mask style value \"%.*s\" in \"%s\"", SPAN_ARG(word), style);
			return '\0';
		}
		rule = *word.p;
	}
	if (n == 1)
		return rule;
	(void)err_perm(e, "bad mynetworks_style value: %s; specify exactly one value", style);
	return '\0';
}

static const char *
default_networks(void)
{
	const char *style = conf_value("mynetworks_style"), *kept;
	const char *interfaces = conf_value("inet_interfaces"), *protocols = conf_value("inet_protocols");
	const struct own_address *list = NULL;
	struct buf out = {0};
	struct err e = {0};
	size_t n = 0;
	char rule;

	if (style == NULL || interfaces == NULL || protocols == NULL)
		return NULL;
	if ((rule = networks_style(style, &e)) != '\0')
		(void)own_addresses(interfaces, protocols, &list, &n, &e);
	if (e.kind != ERR_NONE)
		conf_default_failed(&e);
	for (size_t i = 0; e.kind == ERR_NONE && i < n; i++) {
		if (rule == 'h')
			add_network(&out, &list[i], list[i].family == AF_INET ? 32 : 128);
		else
			add_network(&out, &list[i], rule == 'c' ? class_prefix(&list[i]) : list[i].prefix);
	}
	kept = conf_keep(buf_cstr(&out));
	buf_free(&out);
	return kept;
}

static const char *
default_process_id(void)
{
	struct buf out = {0};
	const char *kept;

	buf_printf(&out, "%ld", (long)getpid());
	kept = conf_keep(buf_cstr(&out));
	buf_free(&out);
	return kept;
}

const char *
conf_computed_default(const char *name)
{
	if (strcmp(name, "myhostname") == 0)
		return default_hostname();
	if (strcmp(name, "mydomain") == 0)
		return default_domain();
	if (strcmp(name, "mynetworks") == 0)
		return default_networks();
	if (strcmp(name, "process_id") == 0)
		return default_process_id();
	return conf_program();
}
