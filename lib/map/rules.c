/*
 * rules.c - rules of pattern tables.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/log.h"
#include "map/list.h"
#include "map/rules.h"
#include "map/source.h"

bool
rules_open(struct rules *r, const struct map *m, const char *label, struct err *e)
{
	struct err why = {0};

	*r = (struct rules){ .label = label, .name = m->name, .in.fd = -1 };
	if (*m->name != '{')
		return lines_open(&r->in, m->name, e);
	r->inlined = true;
	r->rest = span_str(m->name);
	if (!list_strip_braces(&r->rest, &why))
		return err_perm(e, "%s: %s", label, why.text);
	return true;
}

void
rules_close(struct rules *r)
{
	if (!r->inlined)
		(void)lines_close(&r->in);
}

enum map_status
rules_next(struct rules *r, struct span *rule, struct err *e)
{
	struct err why = {0};

	if (!r->inlined) {
		if (lines_next(&r->in, rule)) {
			r->line = r->in.first;
			*rule = span_trim(*rule);
			return MAP_FOUND;
		}
		if (r->in.failed)
			return MAP_TEMPORARY(e, "read %s: %s", r->name, strerror(errno));
		return MAP_NOT_FOUND;
	}
	do {
		if (!span_take_word_braced(&r->rest, LIST_SEPARATORS, rule))
			return MAP_NOT_FOUND;
		r->line++;
		if (*rule->p != '{')
			return MAP_PERMANENT(e, "%s: no '{' at start of text in \"%.*s\"", r->label, SPAN_ARG(*rule));
		if (!list_strip_braces(rule, &why))
			return MAP_PERMANENT(e, "%s: %s", r->label, why.text);
	} while (rule->n == 0);
	return MAP_FOUND;
}

void
rules_warn(const struct rules *r, const char *fmt, ...)
{
	struct buf text = {0};
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	log_warning("%s %s, line %u: %s", r->label, r->name, r->line, buf_cstr(&text));
	buf_free(&text);
}

bool
rules_read_files(const struct rules *r, struct span *result, struct arena *mem)
{
	struct buf content = {0};
	struct err e = {0};
	const bool ok = source_read_files(*result, &content, &e);

	if (ok)
		*result = span_copy(buf_view(&content), mem);
	else
		rules_warn(r, "%s: skipping this rule", e.text);
	buf_free(&content);
	return ok;
}

bool
rules_take_word(struct span *rule, const char *word)
{
	const size_t n = strlen(word);

	if (rule->n < n || !span_iis(span_to(*rule, n), word) || (rule->n > n && ascii_alnum(rule->p[n])))
		return false;
	*rule = span_trim(span_from(*rule, n));
	return true;
}
