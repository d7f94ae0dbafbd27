/*
 * fuzz_smtp_server.c - the session engine driven from memory, input cut at the place that its first byte says.
 *
 * SPDX-License-Identifier: ISC
 */
#include <assert.h>
#include <stdint.h>

#include "smtp/command.h"
#include "smtp/server.h"

static struct arena *mem;
static bool last_chunk;

static bool
ok(struct smtp_server *s, struct span args)
{
	struct smtp_path path;
	struct span word, text;

	if (smtp_take_path(&args, "FROM", &word))
		(void)smtp_path_parse(word, SMTP_PATH_NULL, mem, &path);
	else if (smtp_take_path(&args, "TO", &word))
		(void)smtp_path_parse(word, SMTP_PATH_RESOLVED | SMTP_PATH_UTF8, mem, &path);
	while (smtp_take_word(&args, &word))
		(void)smtp_xtext_decode(span_from(word, span_find(word, '=') + 1), mem, &text);
	if (smtp_server_tarpit(s))
		smtp_server_uncounted(s);
	smtp_server_reply(s, "250 2.0.0 Ok\r\n250 again");
	return true;
}

static bool
start_data(struct smtp_server *s, struct span args)
{
	(void)args;
	smtp_server_reply(s, "354 go");
	smtp_server_start_data(s);
	return true;
}

/* A dialogue of some answers. */
static bool
ask(struct smtp_server *s, struct span args)
{
	smtp_server_reply(s, "334 ");
	smtp_server_ask(s, 1 + args.n);
	return false;
}

static bool
answer(struct smtp_server *s, struct span text, bool too_long)
{
	assert(s->mode == SMTP_SERVER_COMMAND && text.n <= s->answer_limit && !span_has(text, '\n'));
	if (!too_long && text.n > 1)
		return ask(s, span_from(text, 2));
	smtp_server_reply(s, too_long ? "500 5.5.6 limit" : "235 2.7.0 ok");
	return !too_long;
}

static bool
start_chunk(struct smtp_server *s, struct span args)
{
	uint64_t n;
	struct span size;

	if (!smtp_take_word(&args, &size) || !span_to_u64(size, &n)) {
		smtp_server_reply(s, "521 5.5.4 Syntax");
		return false;
	}
	last_chunk = args.n > 0;
	smtp_server_start_chunk(s, n);
	return true;
}

static bool
ehlo(struct smtp_server *s, struct span args)
{
	s->esmtp = true;
	return ok(s, args);
}

static bool
line(struct smtp_server *s, struct span *text)
{
	assert(text->n <= s->line_limit);
	return true;
}

static void unknown(struct smtp_server *s, struct span name) { (void)name; smtp_server_reply(s, "500 5.5.2 what"); }
static bool pipelining(struct smtp_server *s, struct span in) { (void)s; return in.n % 2 == 1; }

static void
content(struct smtp_server *s, struct span text, size_t raw)
{
	(void)s;
	assert(text.n <= raw + 3000);
}

static bool
quit(struct smtp_server *s, struct span args)
{
	(void)args;
	smtp_server_reply(s, "221 2.0.0 Bye");
	smtp_server_close(s);
	return true;
}

/* What a chunk holds back of its last line is some CRs and the end of it. */
static bool
content_end(struct smtp_server *s)
{
	struct buf tail = {0};

	if (last_chunk) {
		smtp_chunk_end(&s->dot, &tail);
		assert(tail.n <= 1002);
	}
	buf_free(&tail);
	last_chunk = false;
	smtp_server_reply(s, "250 2.0.0 Ok: queued");
	return true;
}

static const struct smtp_command commands[] = {
	{ "EHLO", SMTP_COMMAND_LAST | SMTP_COMMAND_JUNK, ehlo }, { "MAIL", 0, ok }, { "RCPT", 0, ok },
	{ "DATA", SMTP_COMMAND_LAST | SMTP_COMMAND_CONTENT, start_data }, { "BDAT", SMTP_COMMAND_CONTENT, start_chunk },
	{ "NOOP", SMTP_COMMAND_JUNK, ok }, { "AUTH", 0, ask }, { "QUIT", 0, quit },
};
static const struct smtp_server_ops ops = {
	.commands = commands, .ncommands = sizeof commands / sizeof commands[0], .line = line, .unknown = unknown,
	.pipelining = pipelining, .content = content, .content_end = content_end, .answer = answer,
};

static void
feed(struct smtp_server *s, struct span in)
{
	size_t steps = 0;

	while (in.n > 0 && smtp_server_step(s, &in))
		assert(++steps < 1000000);
	buf_reset(&s->out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smtp_server s;
	struct span in = span((const char *)data, size);
	struct buf statistics = {0};

	if (size < 2)
		return 0;
	mem = arena_new();
	smtp_server_init(&s, &ops, NULL);
	s.dot.lenient = data[1] & 1;
	s.junk_limit = 3;
	s.soft_limit = 2;
	last_chunk = false;
	feed(&s, span_to(span_from(in, 2), data[0]));
	feed(&s, span_from(in, 2u + data[0]));
	smtp_server_statistics(&s, &statistics);
	buf_free(&statistics);
	smtp_server_free(&s);
	arena_free(&mem);
	return 0;
}
