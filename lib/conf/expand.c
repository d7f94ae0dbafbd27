/*
 * expand.c - the expansion language of main.cf. Texts may come from main.cf, master.cf and template files:
 * any bytes are met with a warning or a value, never with a crash or endless work.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdarg.h>
#include <string.h>

#include "base/log.h"
#include "base/span.h"
#include "conf/conf.h"
#include "conf/expand.h"
#include "conf/idn.h"

#define LEVEL_MAX	100		/* nesting of values and branches */
#define DEPTH_MAX	400		/* the same; relations, whose sides count their levels anew, included */
#define STEPS_MAX	1000000		/* names looked up for one text: a = $b$b, b = $c$c, ... */

struct expansion {
	expand_lookup *lookup;
	void *arg;
	unsigned flags, level, depth, steps;
};

static bool quiet;		/* of the expansion that is under way: no warnings */

static unsigned parse(struct expansion *, struct span text, struct buf *out);

static void complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void
complain(const char *fmt, ...)
{
	struct buf text = {0};
	va_list ap;

	if (quiet)
		return;
	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	log_warning("%s", buf_cstr(&text));
	buf_free(&text);
}

static unsigned
syntax_error(const char *what, struct span before, struct span after)
{
	const struct span shown = span_to(after, 20);

	complain("%s at: \"...%.*s>>>%.*s\"", what, SPAN_ARG(before), SPAN_ARG(shown));
	return EXPAND_ERROR;
}

static struct span
skip_blanks(struct span s)
{
	while (s.n > 0 && ascii_space(*s.p))
		s = span_from(s, 1);
	return s;
}

static bool
name_byte(char c)
{
	return ascii_alnum(c) || c == '_';
}

/* From the start of a to the start of b, both in the same text. */
static struct span
between(struct span a, struct span b)
{
	return span(a.p, (size_t)(b.p - a.p));
}

/* The longest name at the start of *in; may be empty. */
static struct span
take_name(struct span *in)
{
	const struct span start = *in;

	while (in->n > 0 && name_byte(*in->p))
		*in = span_from(*in, 1);
	return between(start, *in);
}

/* Length of the text up to the byte that closes s[0], or 0 when nothing does. */
static size_t
balanced(struct span s, char open, char close)
{
	size_t level = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == open)
			level++;
		else if (s.p[i] == close && --level == 0)
			return i;
	}
	return 0;
}

/* Consume "{payload}" and the blanks around it. *token is "payload}", as error texts show it. */
static unsigned
take_braced(struct span *in, struct span *payload, struct span *token)
{
	const struct span s = skip_blanks(*in);
	const size_t end = balanced(s, '{', '}');

	if (end == 0) {
		complain("unbalanced {} in attribute expression: \"%.*s\"", SPAN_ARG(s));
		return EXPAND_ERROR;
	}
	*payload = span(s.p + 1, end - 1);
	*token = span(s.p + 1, end);
	*in = skip_blanks(span_from(s, end + 1));
	return EXPAND_OK;
}

static unsigned
level_error(struct span text)
{
	complain("unreasonable macro call nesting: \"%.*s\"", SPAN_ARG(text));
	return EXPAND_ERROR;
}

static unsigned
parse_nested(struct expansion *x, struct span text, struct buf *out)
{
	unsigned status;

	if (x->depth >= DEPTH_MAX)
		return level_error(text);
	x->depth++;
	x->level++;
	status = parse(x, text, out);
	x->level--;
	x->depth--;
	return status;
}

/* A side of a relation. */
static unsigned
parse_side(struct expansion *x, struct span text, struct buf *out)
{
	const unsigned level = x->level;
	unsigned status;

	x->level = (unsigned)-1;
	status = parse_nested(x, text, out);
	x->level = level;
	return status;
}

/* What stands behind "?" or ":": "{payload}" or everything. */
static unsigned
take_branch(struct span *in, struct span *branch, struct span *token, bool *braced)
{
	const struct span s = skip_blanks(*in);

	*braced = s.n > 0 && *s.p == '{';
	if (*braced) {
		*in = s;
		return take_braced(in, branch, token);
	}
	*branch = *in;
	*in = span_from(*in, in->n);
	return EXPAND_OK;
}

/* in: "?{a}:{b}", "?a", ":b". */
static unsigned
parse_branches(struct expansion *x, struct span in, bool condition, struct buf *out)
{
	struct span yes = SPAN_NULL, no = SPAN_NULL, token;
	bool braced = false;
	unsigned status = EXPAND_OK;

	if (span_take_byte(&in, '?')) {
		status = take_branch(&in, &yes, &token, &braced);
		if (status == EXPAND_OK && in.n > 0 && *in.p != ':')
			status = syntax_error("\":\" expected", token, in);
	}
	if (status == EXPAND_OK && span_take_byte(&in, ':')) {
		status = take_branch(&in, &no, &token, &braced);
		if (status == EXPAND_OK && in.n > 0)
			status = syntax_error("unexpected input", token, in);
	}
	if (status != EXPAND_OK)
		return status;
	if (x->flags & EXPAND_SCAN)
		return parse_nested(x, yes, out) | parse_nested(x, no, out);
	return parse_nested(x, condition ? yes : no, out);
}

static bool
all_digits(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_digit(s.p[i]))
			return false;
	return s.n > 0;
}

static unsigned
compare(struct buf *left, struct buf *right, bool levels, int *result)
{
	const struct span l = buf_view(left), r = buf_view(right);
	int64_t a, b;

	if (levels) {
		int ignored;
		const char *bad = conf_compare_levels(buf_cstr(left), "0", &ignored) ? buf_cstr(right) : buf_cstr(left);

		if (conf_compare_levels(buf_cstr(left), buf_cstr(right), result))
			return EXPAND_OK;
		complain("malformed compatibility level syntax: \"%s\"", bad);
		return EXPAND_ERROR;
	}
	if (!all_digits(l) || !all_digits(r)) {
		*result = strcmp(buf_cstr(left), buf_cstr(right));
		return EXPAND_OK;
	}
	if (!span_to_i64(l, &a) || !span_to_i64(r, &b)) {
		complain("mac_exp_eval: bad conversion: %.*s", SPAN_ARG(span_to_i64(l, &a) ? r : l));
		return EXPAND_ERROR;
	}
	*result = (a > b) - (a < b);
	return EXPAND_OK;
}

struct operator {
	const char *text;
	bool less, equal, more;		/* true when left is ... */
};

static const struct operator operators[] = {
	{ "==", false, true, false },
	{ "!=", true, false, true },
	{ "<", true, false, false },
	{ "<=", true, true, false },
	{ ">=", false, true, true },
	{ ">", false, false, true },
};

static const struct operator *
take_operator(struct span *in)
{
	size_t n = 0;

	while (n < in->n && strchr("<>!=", in->p[n]) != NULL)
		n++;
	for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++) {
		if (span_is(span_to(*in, n), operators[i].text)) {
			*in = span_from(*in, n);
			return &operators[i];
		}
	}
	return NULL;
}

/* "{left} op {right}": consumes them; *holds is the outcome. */
static unsigned
parse_relation(struct expansion *x, struct span *in, bool *holds)
{
	struct buf l = {0}, r = {0};
	struct span left, right, token, suffix, at = *in, start = *in;
	const struct operator *op;
	unsigned status = take_braced(&at, &left, &token);
	bool levels;
	int result = 0;

	if (status != EXPAND_OK)
		return status;
	start = at;
	if ((op = take_operator(&at)) == NULL)
		return syntax_error("\"==\" or \"!=\"\" or \"<\"\" or \"<=\"\" or \">=\"\" or \">\" expected", token, at);
	token = between(start, at);
	suffix = take_name(&at);
	levels = span_is(suffix, "level");
	if (!levels && suffix.n > 0)
		return syntax_error("bad operator suffix", token, suffix);
	if (skip_blanks(at).n == 0 || *skip_blanks(at).p != '{')
		return syntax_error("\"{expression}\" expected", between(*in, at), at);
	if ((status = take_braced(&at, &right, &token)) != EXPAND_OK)
		return status;
	if (at.n > 0 && *at.p != '?' && *at.p != ':')
		return syntax_error("\"?\" or \":\" expected", SPAN("}"), at);
	*in = at;
	status = parse_side(x, left, &l) | parse_side(x, right, &r);
	if ((status & EXPAND_ERROR) == 0 && (x->flags & EXPAND_SCAN) == 0)
		status |= compare(&l, &r, levels, &result);
	*holds = result < 0 ? op->less : result > 0 ? op->more : op->equal;
	buf_free(&l);
	buf_free(&r);
	return status;
}

static const char *
look_up(struct expansion *x, struct span name, enum expand_mode mode)
{
	struct buf text = {0};
	const char *value;

	buf_span(&text, name);
	value = x->lookup(buf_cstr(&text), mode, x->arg);
	buf_free(&text);
	return value;
}

static unsigned
put_name(struct expansion *x, struct span name, struct span as_written, struct buf *out)
{
	const char *value;

	if (++x->steps > STEPS_MAX)
		return level_error(name);
	value = look_up(x, name, EXPAND_USE);
	if (value == NULL) {
		if (x->flags & EXPAND_KEEP_UNDEFINED)
			buf_span(out, as_written);
		return EXPAND_UNDEFINED;
	}
	if (x->flags & EXPAND_RECURSE)
		return parse_nested(x, span_str(value), out);
	buf_str(out, value);
	return EXPAND_OK;
}

/* "domain_to_ascii{text}": in stands at the brace. */
static unsigned
parse_function(struct expansion *x, struct span name, struct span in, struct buf *out)
{
	const bool to_ascii = span_is(name, "domain_to_ascii");
	struct buf text = {0};
	struct span payload, token;
	unsigned status;

	if (!to_ascii && !span_is(name, "domain_to_utf8")) {
		const struct span shown = span_to(in, 20);

		complain("unknown function \"%.*s\" at\"...>>>%.*s%.*s\"", SPAN_ARG(name), SPAN_ARG(name), SPAN_ARG(shown));
		return EXPAND_ERROR;
	}
	if ((status = take_braced(&in, &payload, &token)) != EXPAND_OK)
		return status;
	if (in.n > 0)
		return syntax_error("unexpected input", token, in);
	status = parse_nested(x, payload, &text);
	if ((status & EXPAND_ERROR) == 0 && !(to_ascii ? idn_to_ascii : idn_to_utf8)(buf_view(&text), out))
		status |= EXPAND_ERROR;
	buf_free(&text);
	return status;
}

/* Between the braces of "${...}". */
static unsigned
parse_braces(struct expansion *x, struct span content, struct span as_written, struct buf *out)
{
	struct span in = skip_blanks(content), name;
	unsigned status;
	bool holds = false;

	if (in.n > 0 && *in.p == '{') {
		if ((status = parse_relation(x, &in, &holds)) & EXPAND_ERROR)
			return status;
		if (in.n > 0)
			return status | parse_branches(x, in, holds, out);
		buf_str(out, holds ? "true" : "");
		return status;
	}
	name = take_name(&in);
	content = in;
	in = skip_blanks(in);
	if (in.n == 0)
		return put_name(x, name, as_written, out);
	if (*in.p == '?' || *in.p == ':') {
		const char *value = look_up(x, name, EXPAND_TEST);

		return parse_branches(x, in, value != NULL && *value != '\0', out);
	}
	if (*in.p == '{' && name.n > 0)
		return parse_function(x, name, in, out);
	return syntax_error("attribute name syntax error", name, content);
}

/* What stands behind a "$": the text between the braces, or the name, as written with the "$". */
struct reference {
	struct span content, as_written;
	bool braces;
};

static unsigned
take_reference(struct span *in, struct span whole, struct reference *r)
{
	const struct span start = *in;
	struct span rest = span_from(*in, 1);
	const char *what = "empty macro name";

	r->braces = rest.n > 0 && (*rest.p == '{' || *rest.p == '(');
	if (r->braces) {
		const size_t end = balanced(rest, *rest.p, *rest.p == '{' ? '}' : ')');

		if (end == 0)
			what = "truncated macro reference";
		r->content = end > 1 ? span(rest.p + 1, end - 1) : SPAN_NULL;
		*in = span_from(rest, end + 1);
	} else {
		r->content = take_name(&rest);
		*in = rest;
	}
	r->as_written = between(start, *in);
	if (r->content.n > 0)
		return EXPAND_OK;
	complain("%s: \"%.*s\"", what, SPAN_ARG(whole));
	return EXPAND_ERROR;
}

static unsigned
put_reference(struct expansion *x, const struct reference *r, struct buf *out)
{
	if (x->level > LEVEL_MAX)
		return level_error(r->content);
	return r->braces ? parse_braces(x, r->content, r->as_written, out) : put_name(x, r->content, r->as_written, out);
}

static unsigned
put_literal(struct expansion *x, struct buf *literal, struct buf *out)
{
	unsigned status = EXPAND_OK;

	if (literal->n > 0 && x->level > LEVEL_MAX)
		status = level_error(buf_view(literal));
	buf_span(out, buf_view(literal));
	buf_reset(literal);
	return status;
}

/* After an error the next reference is looked at, for its syntax, but not used. */
static unsigned
parse(struct expansion *x, struct span text, struct buf *out)
{
	struct span in = text;
	struct buf literal = {0};
	struct reference r;
	unsigned status = EXPAND_OK;

	while (in.n > 0) {
		const size_t plain = span_find(in, '$');

		buf_add(&literal, in.p, plain);
		in = span_from(in, plain);
		if (in.n >= 2 && in.p[1] == '$') {
			buf_byte(&literal, '$');
			in = span_from(in, 2);
		} else if (in.n > 0) {
			const unsigned syntax = take_reference(&in, text, &r);

			if ((syntax | status) & EXPAND_ERROR) {
				buf_free(&literal);
				return status | syntax;
			}
			status |= put_literal(x, &literal, out);
			status |= put_reference(x, &r, out);
		}
	}
	if ((status & EXPAND_ERROR) == 0)
		status |= put_literal(x, &literal, out);
	buf_free(&literal);
	return status;
}

unsigned
expand(struct span text, unsigned flags, expand_lookup *lookup, void *arg, struct buf *out)
{
	struct expansion x = { .lookup = lookup, .arg = arg, .flags = flags };
	const bool before = quiet;
	unsigned status;

	quiet |= (flags & EXPAND_QUIET) != 0;	/* what a lookup expands in turn is quiet, too */
	status = parse(&x, text, out);
	quiet = before;
	return status;
}
