/*
 * print.c - output lines of postconf(1): white space made single, folded with -f, JSON with -j.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "conf/json.h"
#include "postconf/postconf.h"

#define LINE_LIMIT	80
#define INDENT		4
#define BLANKS		" \t\r\n"

void
print_flush(void)
{
	if (fflush(stdout) != 0)
		log_fatal("write error: %s", strerror(errno));
}

static void
put(struct buf *line)
{
	buf_byte(line, '\n');
	if (fwrite(line->p, 1, line->n, stdout) != line->n)
		log_fatal("write error: %s", strerror(errno));
	buf_free(line);
}

void
print_line(const char *text)
{
	struct buf line = {0};

	buf_str(&line, text);
	put(&line);
}

/* Words with one blank between; with -f a word that does not fit starts a new line. */
static void
add_words(struct buf *out, struct span text)
{
	struct span word;
	size_t length = 0;

	while (span_take_word(&text, BLANKS, &word)) {
		if (length == 0) {
			/* nothing to separate from */
		} else if (!HAS(OPT_f) || length + word.n < LINE_LIMIT) {
			buf_byte(out, ' ');
			length++;
		} else {
			buf_printf(out, "\n%*s", INDENT, "");
			length = INDENT;
		}
		buf_span(out, word);
		length += word.n;
	}
}

static void
print_json(const char *name, const char *value)
{
	struct buf line = {0};

	buf_byte(&line, '{');
	json_quote(&line, span_str(name));
	buf_str(&line, ": ");
	json_quote(&line, span_str(value));
	buf_byte(&line, '}');
	put(&line);
}

void
print_setting(const char *name, const char *value)
{
	struct buf text = {0}, line = {0};

	if (HAS(OPT_j)) {
		print_json(name, value);
		return;
	}
	if (HAS(OPT_H))
		buf_str(&text, name);
	else if (HAS(OPT_h))
		buf_str(&text, value);
	else
		buf_printf(&text, "%s = %s", name, value);
	add_words(&line, buf_view(&text));
	put(&line);
	buf_free(&text);
}
