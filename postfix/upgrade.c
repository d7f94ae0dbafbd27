/*
 * upgrade.c - "postfix upgrade-configuration": services that master.cf of an older release does not have, columns
 * that have changed since, two parameters of main.cf. Every other byte stays; master.cf is replaced at once.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/log.h"
#include "conf/conf.h"
#include "conf/master_cf.h"
#include "io/replace.h"
#include "postfix/postfix.h"

/* A line that must be there: a service of that name or, with comment, a commented line with both words. */
struct missing {
	const char *name, *what;
	const char *comment;	/* second word of a line that may be a comment; NULL: a service */
	const char *line;
};

/* Tabs and blanks of these lines are those that other tools have looked for since. */
static const struct missing first[] = {
	{ "relay", "relay service", NULL, "relay\t  unix\t-\t-\tn\t-\t-\tsmtp" },
	{ "flush", "flush service", NULL, "flush     unix  -       -       n       1000?   0       flush" },
	{ "trace", "trace service", NULL, "trace\t  unix\t-\t-\tn\t-\t0\tbounce" },
	{ "verify", "verify service", NULL, "verify\t  unix\t-\t-\tn\t-\t1\tverify" },
}, second[] = {
	{ "proxymap", "proxymap service", NULL, "proxymap  unix\t-\t-\tn\t-\t-\tproxymap" },
	{ "anvil", "anvil service", NULL, "anvil\t  unix\t-\t-\tn\t-\t1\tanvil" },
	{ "scache", "scache service", NULL, "scache\t  unix\t-\t-\tn\t-\t1\tscache" },
	{ "discard", "discard service", NULL, "discard\t  unix\t-\t-\tn\t-\t-\tdiscard" },
	{ "tlsmgr", "tlsmgr service", NULL, "tlsmgr    unix  -       -       n       1000?   1       tlsmgr" },
}, third[] = {
	{ "retry", "retry service", NULL, "retry     unix  -       -       n       -       -       error" },
	{ "proxywrite", "proxywrite service", NULL, "proxywrite unix -       -       n       -       1       proxymap" },
}, fourth[] = {
	{ "smtp", "postscreen TCP service", "postscreen", "#smtp      inet  n       -       n       -       1       postscreen" },
	{ "smtpd", "smtpd unix-domain service", "smtpd", "#smtpd     pass  -       -       n       -       -       smtpd" },
	{ "dnsblog", "dnsblog unix-domain service", "dnsblog",
	    "#dnsblog   unix  -       -       n       -       0       dnsblog" },
	{ "tlsproxy", "tlsproxy unix-domain service", "tlsproxy",
	    "#tlsproxy  unix  -       -       n       -       0       tlsproxy" },
}, last[] = {
	{ "postlog", "postlog unix-domain datagram service", NULL,
	    "postlog   unix-dgram n  -       n       -       1       postlogd" },
};

/* A column of a service's first line that has another value now. */
struct change {
	const char *name, *type;	/* type NULL: any */
	unsigned field;
	const char *from;		/* NULL: anything but to */
	const char *to;
	const char *what;
};

static const struct change early_changes[] = {
	{ "verify", NULL, MASTER_FIELD_MAXPROC, "0", "1", "setting verify process limit to 1" },
	{ "pickup", "fifo", MASTER_FIELD_UNPRIV, "n", "-", "making the pickup service unprivileged" },
	{ "cleanup", "unix", MASTER_FIELD_PRIVATE, NULL, "n", "making the cleanup service public" },
	{ "flush", "unix", MASTER_FIELD_PRIVATE, NULL, "n", "making the flush service public" },
}, tlsmgr_change = { "tlsmgr", "fifo", MASTER_FIELD_TYPE, "fifo", "unix", "updating the tlsmgr from fifo to unix service" },
proxywrite_change = { "proxywrite", NULL, MASTER_FIELD_MAXPROC, "-", "1", "setting proxywrite process limit to 1" };

struct upgrade {
	const char *path;
	struct buf text;	/* of master.cf, as it will be */
	bool changed;
};

static void
say(const struct upgrade *u, const char *what)
{
	(void)printf("Editing %s, %s\n", u->path, what);
}

static bool
is_comment(struct span line)
{
	return line.n == 0 || *line.p == '#' || ascii_space(*line.p);
}

/* The first line of an entry, with that name. */
static bool
names_service(struct span line, const char *name)
{
	struct span word;

	return !is_comment(line) && span_take_word(&line, " \t\r", &word) && span_is(word, name);
}

/* "smtp ... postscreen" with or without '#' in front. */
static bool
mentions(struct span line, const char *name, const char *word)
{
	while (span_take_byte(&line, '#'))
		continue;
	return span_take(&line, span_str(name)) && span_find_span(line, span_str(word)) < line.n;
}

static bool
is_present(const struct upgrade *u, const struct missing *m)
{
	struct span rest = buf_view(&u->text), line;

	while (span_take_line(&rest, &line))
		if (m->comment == NULL ? names_service(line, m->name) : mentions(line, m->name, m->comment))
			return true;
	return false;
}

static void
add_missing(struct upgrade *u, const struct missing *m, size_t n)
{
	for (; n > 0; n--, m++) {
		char what[100];

		if (is_present(u, m))
			continue;
		(void)snprintf(what, sizeof what, "adding missing entry for %s", m->what);
		say(u, what);
		if (u->text.n > 0 && u->text.p[u->text.n - 1] != '\n')
			buf_byte(&u->text, '\n');
		buf_str(&u->text, m->line);
		buf_byte(&u->text, '\n');
		u->changed = true;
	}
}

/* Offset and length of a field in a line; false when there are not so many. */
static bool
field_at(struct span line, unsigned field, struct span *out)
{
	for (unsigned i = 0; i <= field; i++)
		if (!span_take_word(&line, " \t\r", out))
			return false;
	return true;
}

static bool
is_number(struct span text)
{
	uint64_t value;

	return span_to_u64(text, &value);
}

static bool
wants_change(const struct change *c, struct span line)
{
	struct span type, value;

	if (!names_service(line, c->name) || !field_at(line, MASTER_FIELD_TYPE, &type) || !field_at(line, c->field, &value))
		return false;
	if (c->type != NULL && !span_is(type, c->type))
		return false;
	return c->from != NULL ? span_is(value, c->from) : !span_is(value, c->to);
}

static void
replace_bytes(struct buf *out, struct span line, struct span field, const char *to)
{
	buf_span(out, span(line.p, (size_t)(field.p - line.p)));
	buf_str(out, to);
	buf_span(out, span(field.p + field.n, (size_t)(line.p + line.n - field.p) - field.n));
}

static void
changed_line(const struct change *c, struct span line, struct buf *out)
{
	struct span field;

	(void)field_at(line, c->field, &field);
	replace_bytes(out, line, field, c->to);
	/* A wake-up that was for certain is now for those who use TLS. */
	if (c == &tlsmgr_change && field_at(buf_view(out), MASTER_FIELD_WAKEUP, &field) && is_number(field)) {
		struct buf again = {0};

		replace_bytes(&again, buf_view(out), span(field.p + field.n, 0), "?");
		buf_free(out);
		*out = again;
	}
}

/* The first line that asks for it. The output is an editor's: sizes of the file, the line before and after. */
static void
change(struct upgrade *u, const struct change *c)
{
	struct span rest = buf_view(&u->text), line;
	struct buf line_now = {0}, text_now = {0};

	while (span_take_line(&rest, &line)) {
		if (!wants_change(c, line))
			continue;
		const size_t before = (size_t)(line.p - u->text.p);

		changed_line(c, line, &line_now);
		buf_add(&text_now, u->text.p, before);
		buf_span(&text_now, buf_view(&line_now));
		buf_add(&text_now, u->text.p + before + line.n, u->text.n - before - line.n);
		say(u, c->what);
		(void)printf("%zu\n%.*s\n%s\n%zu\n", u->text.n, SPAN_ARG(line), buf_cstr(&line_now), text_now.n);
		buf_free(&u->text);
		u->text = text_now;
		u->changed = true;
		break;
	}
	buf_free(&line_now);
}

static bool
set_main(const char *setting)
{
	struct arena *mem = arena_new();
	char *argv[] = { "postconf", "-c", span_cstr(span_str(conf.config_directory), mem), "-e",
	    span_cstr(span_str(setting), mem), NULL };
	const bool ok = run_program(command_program_directory, argv) == 0;

	arena_free(&mem);
	return ok;
}

/* The queue manager needs these two hashed when there is much mail. */
static bool
fix_hash_queue_names(void)
{
	static const char *const needed[] = { "defer", "deferred" };
	const char *now = conf_value("hash_queue_names");
	struct buf missing = {0}, setting = {0};
	bool ok = true;

	if (now == NULL)
		now = "";
	for (size_t i = 0; i < 2; i++)
		if (strstr(now, needed[i]) == NULL)		/* "deferred" is good enough for "defer" */
			buf_printf(&missing, " %s", needed[i]);
	if (missing.n > 0) {
		(void)printf("fixing main.cf hash_queue_names for missing%s\n", buf_cstr(&missing));
		buf_printf(&setting, "hash_queue_names=%s%s", now, buf_cstr(&missing));
		ok = set_main(buf_cstr(&setting));
	}
	buf_free(&missing);
	buf_free(&setting);
	return ok;
}

static bool
fix_inet_protocols(void)
{
	if (conf_raw("inet_protocols") != NULL || strcmp(conf_default("inet_protocols"), "ipv4") == 0)
		return true;
	(void)printf("    COMPATIBILITY: editing %s/main.cf, setting\n"
	    "    inet_protocols=ipv4.  Specify inet_protocols explicitly if you want\n"
	    "    to enable IPv6.  In a future release IPv6 will be enabled by default.\n", conf.config_directory);
	return set_main("inet_protocols=ipv4");
}

static bool
upgrade(struct upgrade *u, const char *obsolete)
{
	add_missing(u, first, sizeof first / sizeof *first);
	for (size_t i = 0; i < sizeof early_changes / sizeof *early_changes; i++)
		change(u, &early_changes[i]);
	if (!fix_hash_queue_names())
		return false;
	add_missing(u, second, sizeof second / sizeof *second);
	change(u, &tlsmgr_change);
	add_missing(u, third, sizeof third / sizeof *third);
	change(u, &proxywrite_change);
	add_missing(u, fourth, sizeof fourth / sizeof *fourth);
	if (*obsolete != '\0')
		(void)printf("\n    Note: the following files or directories still exist but are no\n"
		    "    longer part of Postfix:\n\n    %s\n\n", obsolete);
	if (!fix_inet_protocols())
		return false;
	add_missing(u, last, sizeof last / sizeof *last);
	return true;
}

bool
upgrade_configuration(const char *obsolete)
{
	char path[1024];
	struct upgrade u = { .path = path };
	struct replace file;
	struct err e = {0};
	bool ok;

	(void)snprintf(path, sizeof path, "%s/master.cf", conf.config_directory);
	if (!replace_begin(&file, path, &u.text, &e)) {
		(void)fprintf(stderr, "%s\n", e.text);
		return false;
	}
	ok = upgrade(&u, obsolete);
	if (ok && u.changed && !replace_commit(&file, buf_view(&u.text), &e)) {
		(void)fprintf(stderr, "%s\n", e.text);
		ok = false;
	}
	replace_abandon(&file);
	buf_free(&u.text);
	return ok;
}
