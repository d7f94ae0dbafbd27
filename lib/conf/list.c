/*
 * list.c - braces in lists.
 *
 * SPDX-License-Identifier: ISC
 */
#include "conf/list.h"

size_t
list_braced(struct span s)
{
	size_t level = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '{')
			level++;
		else if (s.p[i] == '}' && --level == 0)
			return i + 1;
	}
	return 0;
}

bool
list_strip_braces(struct span *word, struct err *e)
{
	const size_t n = list_braced(*word);

	if (n == 0)
		return err_perm(e, "missing '}' in \"%.*s\"", SPAN_ARG(*word));
	if (span_trim(span_from(*word, n)).n > 0)
		return err_perm(e, "syntax error after '}' in \"%.*s\"", SPAN_ARG(*word));
	*word = span_trim(span(word->p + 1, n - 2));
	return true;
}
