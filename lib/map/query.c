/*
 * query.c - templates and results of tables with a configuration file.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "base/log.h"
#include "map/query.h"

bool
query_check(const char *template, const char *name, const char *what, bool *whole, struct err *e)
{
	*whole = true;
	for (const char *p = template; *p != '\0'; p++) {
		if (*p != '%')
			continue;
		p++;
		if (*p == '\0' || strchr("%sSuUdD123456789", *p) == NULL)
			return err_perm(e, "db_common_parse: %s: Invalid %s template: %s", name, what, template);
		if (strchr("%sS", *p) == NULL)
			*whole = false;
	}
	return true;
}

/* Local part and domain at the last '@'; false: there is none. */
static bool
halves(struct span address, struct span *local, struct span *domain)
{
	const size_t at = span_rfind(address, '@');

	*local = span_to(address, at);
	*domain = span_from(address, at < address.n ? at + 1 : at);
	return at < address.n;
}

/* Label n of the domain, counted from the right, the top label being 1. */
static bool
label(struct span domain, unsigned n, struct span *out)
{
	for (;;) {
		const size_t dot = span_rfind(domain, '.');

		*out = dot < domain.n ? span_from(domain, dot + 1) : domain;
		if (--n == 0)
			return domain.n > 0;
		if (dot == domain.n)
			return false;
		domain = span_to(domain, dot);
	}
}

/* What one letter stands for. False: the text does not have it. */
static bool
part(char letter, struct span key, const struct span *value, struct span *out)
{
	const struct span of = value != NULL && strchr("sud", letter) != NULL ? *value : key;
	struct span local, domain;
	const bool address = halves(of, &local, &domain);

	switch (letter) {
	case 's': case 'S':
		*out = of;
		return true;
	case 'u': case 'U':
		*out = address ? local : of;
		return out->n > 0;
	case 'd': case 'D':
		*out = domain;
		return domain.n > 0;
	default:
		return address && label(domain, (unsigned)(letter - '0'), out);
	}
}

static bool
as_it_is(struct span text, struct buf *out, void *arg)
{
	(void)arg;
	buf_span(out, text);
	return true;
}

bool
query_fill(const char *template, struct span key, const struct span *value, query_quote *quote, void *arg, struct buf *out)
{
	struct span text;

	if (quote == NULL)
		quote = as_it_is;
	for (const char *p = template; *p != '\0'; p++) {
		if (*p != '%' || p[1] == '\0')
			buf_byte(out, *p);
		else if (*++p == '%')
			buf_byte(out, '%');
		else if (!part(*p, key, value, &text) || !quote(text, out, arg))
			return false;
	}
	return true;
}

const char *
query_sql_template(struct table_conf *c)
{
	const char *query = table_conf_str(c, "query", NULL, 0);
	const char *table, *select, *where, *more;

	if (query != NULL && *query != '\0')
		return query;
	table = table_conf_str(c, "table", NULL, 1);
	select = table_conf_str(c, "select_field", NULL, 1);
	where = table_conf_str(c, "where_field", NULL, 1);
	more = table_conf_str(c, "additional_conditions", "", 0);
	return arena_printf(c->mem, "SELECT %s FROM %s WHERE %s = '%%s' %s", select, table, where, more);
}

bool
query_open(struct query *q, struct map *m, struct table_conf *c, const char *template, const char *function, struct err *e)
{
	const char *domain;
	bool whole = true, unused;

	*q = (struct query){ .map = m, .function = function, .key_word = "key:", .text = template };
	if (!query_check(template, c->name, "query", &whole, e))
		return false;
	q->result_format = table_conf_str(c, "result_format", "%s", 1);
	domain = table_conf_str(c, "domain", "", 0);
	q->expansion_limit = table_conf_int(c, "expansion_limit", 0, -0x7fffffff, 0);
	if (!table_conf_ok(c, e) || !query_check(q->result_format, c->name, "result", &unused, e))
		return false;
	m->fixed = whole;
	if (*domain != '\0')
		q->domain = match_open(MATCH_STRING, arena_printf(c->mem, "%s_domain", c->name), domain, e);
	return true;
}

void
query_close(struct query *q)
{
	if (q->domain != NULL)
		match_free(&q->domain);
}

struct span
query_key(const struct query *q, struct span key, struct arena *mem)
{
	/* With fixed keys that was done by map_get(). */
	return (q->map->flags & MAP_FOLD) != 0 && !q->map->fixed ? map_fold(key, (q->map->flags & MAP_UTF8) != 0, mem) : key;
}

enum map_status
query_wanted(const struct query *q, struct span key, struct err *e)
{
	struct span local, domain;

	if (q->domain == NULL)
		return MAP_FOUND;
	if (!halves(key, &local, &domain) || local.n == 0 || domain.n == 0)
		return MAP_NOT_FOUND;
	switch (match_name(q->domain, domain)) {
	case MATCH_YES: return MAP_FOUND;
	case MATCH_NO: return MAP_NOT_FOUND;
	default: return MAP_TEMPORARY(e, "Application error");
	}
}

static bool
fits(const struct map *m, struct span key, struct span value, bool lines, struct err *e)
{
	if (!span_has(value, '\0') && (lines || span_find_any(value, "\r\n") == value.n))
		return true;
	log_warning("table \"%s\": lookup result for \"%.*s\" with a NUL%s -- refused", m->spec, SPAN_ARG(key),
	    lines ? "" : " or a newline");
	return err_perm(e, "unusable lookup result");
}

bool
query_value_fits(const struct map *m, struct span key, struct span value, struct err *e)
{
	return fits(m, key, value, false, e);
}

bool
query_value_fits_lines(const struct map *m, struct span key, struct span value, struct err *e)
{
	return fits(m, key, value, true, e);
}

bool
query_add(const struct query *q, struct result *r, struct span key, struct span value, struct err *e)
{
	struct buf text = {0};
	bool usable;

	if (value.n == 0) {
		log_warning("table \"%s\": empty lookup result for: \"%.*s\" -- ignored", q->map->spec, SPAN_ARG(key));
		return true;
	}
	if (!query_value_fits(q->map, key, value, e))
		return false;
	usable = query_fill(q->result_format, key, &value, NULL, NULL, &text);
	if (usable && q->expansion_limit > 0 && ++r->count > q->expansion_limit) {
		log_warning("%s: %s: Expansion limit exceeded for %s '%.*s'", q->function, q->map->name, q->key_word, SPAN_ARG(key));
		buf_free(&text);
		return err_temp(e, "Application error");
	}
	if (usable) {
		if (r->text.n > 0)
			buf_byte(&r->text, ',');
		buf_span(&r->text, buf_view(&text));
	}
	buf_free(&text);
	return true;
}

enum map_status
query_done(struct result *r, struct arena *mem, struct span *value)
{
	const bool found = r->text.n > 0;

	if (found)
		*value = span_copy(buf_view(&r->text), mem);
	buf_free(&r->text);
	return found ? MAP_FOUND : MAP_NOT_FOUND;
}
