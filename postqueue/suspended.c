/*
 * suspended.c - what is held back, as showq(8) tells it: for people a line each, or one JSON object a line.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>

#include "base/clock.h"
#include "conf/json.h"
#include "ipc/attr.h"
#include "postqueue/postqueue.h"

static void
put_line(struct buf *out, struct span name, int64_t until, bool json, struct arena *mem)
{
	char when[48];

	if (json) {
		buf_byte(out, '{');
		json_text(out, "suspended", name, mem);
		buf_printf(out, ", \"until\": %lld}\n", (long long)until);
		return;
	}
	clock_mail_date((time_t)until, when, sizeof when);
	buf_printf(out, "%-39.*s until %s\n", SPAN_ARG(name), when);
}

/* One entry; *any is false for the empty list at the end. */
static bool
take_entry(struct stream *in, struct arena *mem, struct span *name, int64_t *until, bool *any)
{
	struct span key, value;
	enum attr_status status;

	for (*any = false; (status = attr_take(in, mem, &key, &value)) == ATTR_PAIR; *any = true) {
		if (span_is(key, "suspended"))
			*name = value;
		else if (!span_is(key, "until") || !span_to_i64(value, until))
			return false;
	}
	return status == ATTR_END;
}

bool
show_suspended(struct stream *in, bool json)
{
	struct arena *mem = arena_new();
	struct buf out = {0};
	bool any = true, ok = attr_expect_protocol(in, "mail_queue_list_protocol");

	while (ok && any) {
		struct span name = SPAN_NULL;
		int64_t until = 0;

		ok = take_entry(in, mem, &name, &until, &any) && (!any || name.n > 0);
		if (ok && any)
			put_line(&out, name, until, json, mem);
		arena_reset(mem);
	}
	if (ok && out.n == 0 && !json)
		buf_str(&out, "Nothing is suspended\n");
	if (ok)
		(void)fputs(buf_cstr(&out), stdout);
	buf_free(&out);
	arena_free(&mem);
	return ok && fflush(stdout) == 0;
}
