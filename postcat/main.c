/*
 * main.c - postcat(1): queue files in readable form. File permissions decide who may read what.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/conf.h"
#include "io/file.h"
#include "mail/queue.h"
#include "postcat/postcat.h"

#define SPOOL_STEP	65536u

/* argv[0] as it is stands in front of messages. */
static void
to_stderr(enum log_level level, const char *text, void *program)
{
	(void)level;
	(void)fflush(stdout);
	(void)fprintf(stderr, "%s: %s\n", (const char *)program, text);
}

static _Noreturn void
usage(const char *program)
{
	log_fatal("usage: %s [-b (body text)] [-c config_dir] [-d (decimal record type)] [-e (envelope records)] "
	    "[-h (header text)] [-q (access queue)] [-v] [file(s)...]", program);
}

/* The file of a queue ID; it may move between queues while we look. */
static int
open_queue_id(const char *id, char path[QUEUE_PATH_MAX])
{
	static const char *const queues[] = { "maildrop", "incoming", "active", "deferred", "hold", "saved" };
	const size_t n = sizeof queues / sizeof *queues;

	if (!queue_id_valid(span_str(id)))
		log_fatal("bad mail queue ID: %s", id);
	for (size_t i = 0; i < 2 * n; i++) {
		int fd = queue_open(queues[i % n], id, O_RDONLY, 0);

		queue_path(path, queues[i % n], id);
		if (fd >= 0)
			return fd;
		if (errno != ENOENT)
			break;
	}
	log_fatal("open queue file %s: %s", id, strerror(errno));
}

static void
show(int fd, const char *path, unsigned flags, int64_t start)
{
	struct err e = {0};

	if (!show_file(fd, path, flags, start, &e))
		log_fatal("%s", e.text);
}

/* Standard input, in a file of its own when it is a pipe: records refer to each other by offset. */
static int
spooled_stdin(void)
{
	static char piece[SPOOL_STEP];
	ssize_t n;

	if (lseek(STDIN_FILENO, 0, SEEK_CUR) >= 0)
		return STDIN_FILENO;
	FILE *spool = tmpfile();

	if (spool == NULL)
		log_fatal("create temporary file: %s", strerror(errno));
	while ((n = read(STDIN_FILENO, piece, sizeof piece)) > 0)
		if (!file_write_all(fileno(spool), piece, (size_t)n))
			log_fatal("write temporary file: %s", strerror(errno));
	return fileno(spool);
}

static int64_t
parse_offset(const char *text)
{
	uint64_t n;

	if (!span_to_u64(span_str(text), &n) || n > INT64_MAX)
		log_fatal("bad offset: %s", text);
	return (int64_t)n;
}

struct request {
	unsigned flags;
	int64_t start;
	bool queue_ids;
	char **files;
};

static struct request
parse_options(int argc, char **argv)
{
	struct request q = {0};
	int letter;

	while ((letter = getopt(argc, argv, "+bc:defhoqrs:v")) != -1) {
		switch (letter) {
		case 'b': q.flags |= SHOW_BODY; break;
		case 'c': (void)setenv("MAIL_CONFIG", optarg, 1); break;
		case 'd': q.flags |= SHOW_TYPE; break;
		case 'e': q.flags |= SHOW_ENVELOPE; break;
		case 'f': q.flags |= SHOW_FILE; break;
		case 'h': q.flags |= SHOW_HEADER; break;
		case 'o': q.flags |= SHOW_OFFSET; break;
		case 'q': q.queue_ids = true; break;
		case 'r': q.flags |= SHOW_RAW; break;
		case 's': q.start = parse_offset(optarg); break;
		case 'v': q.flags |= SHOW_PHYSICAL; break;
		default: usage(argv[0]);
		}
	}
	if ((q.flags & SHOW_ALL) == 0)
		q.flags |= SHOW_ALL;
	q.files = argv + optind;
	return q;
}

static void
show_named(const struct request *q, const char *name)
{
	char path[QUEUE_PATH_MAX];
	int fd = q->queue_ids ? open_queue_id(name, path) : open(name, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		log_fatal("open %s: %s", name, strerror(errno));
	show(fd, q->queue_ids ? path : name, q->flags, q->start);
	(void)close(fd);
}

int
main(int argc, char **argv)
{
	struct err e = {0};

	log_init(argv[0], 0);
	log_set_hook(to_stderr, argv[0]);
	struct request q = parse_options(argc, argv);

	conf_set_program("postcat");
	if (!conf_load(NULL, &e) || !conf_check(&e))
		log_fatal("%s", e.text);
	if (q.queue_ids && chdir(conf.queue_directory) != 0)
		log_fatal("chdir %s: %s", conf.queue_directory, strerror(errno));
	if (q.files[0] == NULL)
		show(spooled_stdin(), "stdin", q.flags, q.start);
	for (char **file = q.files; *file != NULL; file++)
		show_named(&q, *file);
	return 0;
}
