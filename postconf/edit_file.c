/*
 * edit_file.c - a configuration file as lines, rewritten at once (io/replace.h). A fatal end removes FILE.tmp.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "base/log.h"
#include "io/replace.h"
#include "postconf/postconf.h"

static struct edit_file *unfinished;

static void
remove_temporary(void)
{
	if (unfinished != NULL)
		replace_abandon(&unfinished->file);
}

void
edit_open(struct edit_file *f, const char *path)
{
	struct span rest, line;
	struct err e = {0};

	*f = (struct edit_file){ .path = path, .lines = VEC_INIT(struct span) };
	if (!replace_begin(&f->file, path, &f->text, &e))
		log_fatal("%s", e.text);
	unfinished = f;
	log_set_cleanup(remove_temporary);
	for (rest = buf_view(&f->text); rest.n > 0; rest = span_from(rest, line.n + 1)) {
		line = span_to(rest, span_find(rest, '\n'));
		*(struct span *)vec_add(&f->lines) = line;
	}
}

void
edit_line(struct edit_file *f, struct span line)
{
	buf_span(&f->out, line);
	buf_byte(&f->out, '\n');
}

void
edit_commit(struct edit_file *f)
{
	struct err e = {0};

	unfinished = NULL;
	if (!replace_commit(&f->file, buf_view(&f->out), &e))
		log_fatal("%s", e.text);
	vec_free(&f->lines);
	buf_free(&f->text);
	buf_free(&f->out);
}

bool
edit_is_comment(struct span line)
{
	const struct span text = span_trim(line);

	return text.n == 0 || *text.p == '#';
}

void
edit_check_argument(const char *text)
{
	const struct span s = span_trim(span_str(text));

	const bool master = HAS(OPT_M) || HAS(OPT_F) || HAS(OPT_P);
	const char *who = master ? "-Me, -Fe, -Pe, -X, or -# accept" : "-e, -X, or -# accepts";

	if (strchr(text, '\n') != NULL)
		log_fatal("%s no multi-line input", who);
	if (s.n > 0 && *s.p == '#')
		log_fatal("%s no comment input", who);
}
