/*
 * template.c - the words of a notice: built-in templates, and those of bounce_template_file that replace them (bounce(5)).
 * The file is the administrator's: trusted, but a template with a mistake in it leaves the built-in one in force.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "bounce/bounce.h"
#include "conf/conf.h"
#include "conf/expand.h"
#include "conf/idn.h"
#include "io/file.h"
#include "smtp/header.h"

#define FILE_MAX	1000000u	/* bytes of bounce_template_file */
#define RESULT_MAX	999		/* of a time in units below days */

#define TEXT(literal)	{ (literal), sizeof(literal) - 1 }
#define CONTACT \
	"\nFor further assistance, please send mail to postmaster.\n" \
	"\nIf you do so, please include this problem report. You can\n" \
	"delete your own text from the attached returned message.\n"
#define GREETING	"This is the mail system at host $myhostname.\n\n"
#define SIGNATURE	"\n                   The mail system\n"

static struct template templates[] = {
	[NOTICE_FAILURE] = { .class = "failure", .origin = "[built-in]", .charset = TEXT("us-ascii"),
	    .subject = TEXT("Undelivered Mail Returned to Sender"), .copy_subject = TEXT("Postmaster Copy: Undelivered Mail"),
	    .text = TEXT(GREETING
		"I'm sorry to have to inform you that your message could not\n"
		"be delivered to one or more recipients. It's attached below.\n" CONTACT SIGNATURE) },
	[NOTICE_DELAY] = { .class = "delay", .origin = "[built-in]", .charset = TEXT("us-ascii"),
	    .subject = TEXT("Delayed Mail (still being retried)"), .copy_subject = TEXT("Postmaster Warning: Delayed Mail"),
	    .text = TEXT(GREETING
		"####################################################################\n"
		"# THIS IS A WARNING ONLY.  YOU DO NOT NEED TO RESEND YOUR MESSAGE. #\n"
		"####################################################################\n\n"
		"Your message could not be delivered for more than $delay_warning_time_hours hour(s).\n"
		"It will be retried until it is $maximal_queue_lifetime_days day(s) old.\n" CONTACT SIGNATURE) },
	[NOTICE_SUCCESS] = { .class = "success", .origin = "[built-in]", .charset = TEXT("us-ascii"),
	    .subject = TEXT("Successful Mail Delivery Report"),
	    .text = TEXT(GREETING
		"Your message was successfully delivered to the destination(s)\n"
		"listed below. If the message was delivered to mailbox you will\n"
		"receive no further notifications. Otherwise you may still receive\n"
		"notifications of mail delivery errors from other systems.\n" SIGNATURE) },
	[NOTICE_VERIFY] = { .class = "verify", .origin = "[built-in]", .charset = TEXT("us-ascii"),
	    .subject = TEXT("Mail Delivery Status Report"),
	    .text = TEXT(GREETING "Enclosed is the mail delivery report that you requested.\n" SIGNATURE) },
};
#define TEMPLATES	(sizeof templates / sizeof templates[0])

const struct template *template_of(enum notice_kind kind) { return &templates[kind]; }

struct span
template_from(const struct template *t)
{
	if (t->from.n > 0)
		return t->from;
	return strcmp(conf.header_from_format, "obsolete") == 0 ? SPAN("MAILER-DAEMON (Mail Delivery System)") :
	    SPAN("Mail Delivery System <MAILER-DAEMON>");
}

/* --- $name in the text --- */

static const struct {
	const char *suffix;
	int seconds;
} units[] = { { "seconds", 1 }, { "minutes", 60 }, { "hours", 3600 }, { "days", 86400 }, { "weeks", 604800 } };

struct expansion {
	const struct template *t;
	struct arena *mem;
};

static void
warn_result(const struct template *t, const char *what, int64_t result, const char *name, const char *unit)
{
	if (result == 0)
		log_warning("%s: zero result in %s template conversion of parameter \"%s\"", t->origin, t->class, name);
	else
		log_warning("%s: excessive result \"%lld\" in %s template conversion of parameter \"%s\"", t->origin,
		    (long long)result, t->class, name);
	log_warning("please %s time unit \"%s\" of \"%s\" in %s template", what, unit, name, t->class);
	log_warning("for instructions see the bounce(5) manual");
}

/* delay_warning_time_hours and the like; NULL: no such name. */
static const char *
time_value(const struct expansion *x, const char *name)
{
	const struct {
		const char *name;
		int seconds;
	} times[] = { { "delay_warning_time", conf.delay_warning_time }, { "maximal_queue_lifetime", conf.maximal_queue_lifetime } };

	for (size_t i = 0; i < 2; i++) {
		size_t n = strlen(times[i].name);

		if (strncmp(name, times[i].name, n) != 0 || name[n] != '_')
			continue;
		for (size_t k = 0; k < sizeof units / sizeof units[0]; k++) {
			if (strcmp(name + n + 1, units[k].suffix) != 0)
				continue;
			int result = times[i].seconds / units[k].seconds;

			if (result == 0 && times[i].seconds > 0)
				warn_result(x->t, "reduce", 0, name, units[k].suffix);
			else if (result > RESULT_MAX && units[k].seconds < 86400)
				warn_result(x->t, "increase", result, name, units[k].suffix);
			return arena_printf(x->mem, "%d", result);
		}
	}
	return NULL;
}

static const char *
lookup(const char *name, enum expand_mode mode, void *arg)
{
	const struct expansion *x = arg;
	const char *value = time_value(x, name);
	struct buf utf8 = {0};

	(void)mode;
	if (value != NULL)
		return value;
	value = conf_value(name);
	if (value == NULL || !conf.smtputf8_enable || (strcmp(name, "myhostname") != 0 && strcmp(name, "mydomain") != 0) ||
	    strstr(value, "xn--") == NULL)
		return value;
	if (idn_to_utf8(span_str(value), &utf8))
		value = span_cstr(buf_view(&utf8), x->mem);
	buf_free(&utf8);
	return value;
}

void
template_expand(const struct template *t, struct buf *out, struct arena *mem)
{
	struct expansion x = { .t = t, .mem = mem };
	struct span rest = t->text, line;

	while (rest.n > 0) {
		if (!span_take_until(&rest, '\n', &line)) {
			line = rest;
			rest = SPAN_NULL;
		}
		unsigned status = expand(line, 0, lookup, &x, out);

		if (status & EXPAND_ERROR)
			log_fatal("%s: bad $name syntax in %s template: %.*s", t->origin, t->class, SPAN_ARG(line));
		if (status & EXPAND_UNDEFINED)
			log_fatal("%s: undefined $name in %s template: %.*s", t->origin, t->class, SPAN_ARG(line));
		buf_byte(out, '\n');
	}
}

/* --- bounce_template_file --- */

/* Where the value of a label goes. False: no such label, or not in this template. */
static bool
header_field(struct template *t, struct span label, struct span **field, const char **why)
{
	*why = "unknown";
	*field = &t->copy_subject;
	if (span_iis(label, "Charset"))
		*field = &t->charset;
	else if (span_iis(label, "From"))
		*field = &t->from;
	else if (span_iis(label, "Subject"))
		*field = &t->subject;
	else if (!span_iis(label, "Postmaster-Subject"))
		return false;
	*why = "inapplicable";
	return *field != &t->copy_subject || t->copy_subject.n > 0;
}

/* One "Label: value". False: logged, the template cannot be used. */
static bool
take_header(struct template *t, struct span label, struct span value)
{
	const char *why;
	struct span *field;

	if (!header_field(t, label, &field, &why)) {
		log_warning("%s: %s \"%.*s\" header label in %s template -- ignoring this template", t->origin, why,
		    SPAN_ARG(label), t->class);
		return false;
	}
	if (value.n == 0 || !span_is_ascii(value)) {
		log_warning("%s: %s \"%.*s\" header value in %s template -- ignoring this template", t->origin,
		    value.n == 0 ? "empty" : "non-ASCII", SPAN_ARG(label), t->class);
		return false;
	}
	*field = value;
	return true;
}

/* Header lines, blank lines, text. */
static bool
take_template(struct template *t, struct span value)
{
	struct span ahead = value, line;

	while (span_take_until(&ahead, '\n', &line)) {
		size_t label = header_name_length(line);

		if (label == 0)
			break;
		if (!take_header(t, span_to(line, label), span_trim(span_from(line, span_find(line, ':') + 1))))
			return false;
		value = ahead;
	}
	for (ahead = value; span_take_until(&ahead, '\n', &line) && span_trim(line).n == 0; )
		value = ahead;
	t->text = value;
	if (value.n == 0) {
		log_warning("%s: missing message text in %s template -- ignoring this template", t->origin, t->class);
		return false;
	}
	if (span_is_ascii(value) || !span_iis(t->charset, "us-ascii"))
		return true;
	log_warning("%s: 8-bit message text in %s template", t->origin, t->class);
	log_warning("please specify a charset value other than us-ascii");
	log_warning("-- ignoring this template for now");
	return false;
}

static void
define(const char *path, int line, struct span name, struct span value)
{
	for (size_t i = 0; i < TEMPLATES; i++) {
		size_t n = strlen(templates[i].class);
		struct template t = templates[i];

		if (!span_starts(name, span_str(t.class)) || !span_is(span_from(name, n), "_template"))
			continue;
		t.origin = path;
		if (take_template(&t, value))
			templates[i] = t;
		return;
	}
	log_warning("%s, line %d: unknown template name: %.*s -- ignoring this template", path, line, SPAN_ARG(name));
}

/* The lines up to the one that is the mark; what is behind it stays in *in. */
static struct span
here_document(const char *path, struct span *in, int *line_number, struct span mark)
{
	const char *start = in->p;
	struct span line;

	if (mark.n == 0)
		log_fatal("%s, line %d: missing end marker after <<", path, *line_number + 1);
	if (!ascii_alnum(mark.p[0]))
		log_fatal("%s, line %d: malformed end marker after <<", path, *line_number + 1);
	while (span_take_until(in, '\n', &line)) {
		(*line_number)++;
		if (span_eq(line, mark))
			return span(start, (size_t)(line.p - start));
	}
	log_warning("%s, line %d: missing \"%.*s\" end marker", path, *line_number + 1, SPAN_ARG(mark));
	struct span all = span(start, (size_t)(in->p - start) + in->n);

	*in = SPAN_NULL;
	return all;
}

static void
parse_file(const char *path, struct span in)
{
	struct span line, name;
	int number = 0;

	while (span_take_until(&in, '\n', &line)) {
		number++;
		struct span rest = span_trim(line);

		if (rest.n == 0 || rest.p[0] == '#')
			continue;
		if (!span_take_until(&rest, '=', &name))
			log_fatal("%s, line %d: missing '=' after attribute name: \"%.*s\"", path, number + 1, SPAN_ARG(rest));
		name = span_trim(name);
		rest = span_trim(rest);
		if (span_starts(rest, SPAN("<<")))
			rest = here_document(path, &in, &number, span_trim(span_from(rest, 2)));
		define(path, number + 1, name, rest);
	}
}

void
template_init(void)
{
	static struct buf text;		/* templates point into it */
	struct err e = {0};

	if (conf.bounce_template_file[0] == '\0')
		return;
	if (!file_read_all(conf.bounce_template_file, FILE_MAX, &text, &e))
		log_fatal("open %s: %s", conf.bounce_template_file, strerror(errno));
	if (text.n > 0 && text.p[text.n - 1] != '\n')
		buf_byte(&text, '\n');
	parse_file(conf.bounce_template_file, buf_view(&text));
}

/* --- postconf -b, postconf -t --- */

static void
dump(const struct template *t, struct buf *out)
{
	struct span from = template_from(t);

	buf_printf(out, "%s_template = <<EOF\nCharset: %.*s\nFrom: %.*s\nSubject: %.*s\n", t->class, SPAN_ARG(t->charset),
	    SPAN_ARG(from), SPAN_ARG(t->subject));
	if (t->copy_subject.n > 0)
		buf_printf(out, "Postmaster-Subject: %.*s\n", SPAN_ARG(t->copy_subject));
	buf_byte(out, '\n');
	buf_span(out, t->text);
	if (!span_ends(t->text, SPAN("\n")))
		buf_byte(out, '\n');
}

void
template_show(bool expanded, struct buf *out)
{
	struct arena *mem = arena_new();

	for (size_t i = 0; i < TEMPLATES; i++) {
		const struct template *t = &templates[i];

		if (expanded) {
			buf_printf(out, "expanded_%s_text = <<EOF\n", t->class);
			template_expand(t, out, mem);
		} else {
			dump(t, out);
		}
		buf_str(out, i + 1 < TEMPLATES ? "EOF\n\n" : "EOF\n");
	}
	arena_free(&mem);
}
