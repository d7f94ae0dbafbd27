/*
 * main.c - qshape(1): who the mail in the queue is for, or from, and how old it is. Reads queue files, changes nothing;
 * trusts none of them: a file that cannot be read to its end is passed over.
 *
 * SPDX-License-Identifier: ISC
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/vec.h"
#include "conf/conf.h"
#include "mail/queue.h"
#include "mail/rec.h"
#include "qshape/qshape.h"

#define WIDTH_MIN	80u
#define DEPTH_MAX	8
#define PATH_SIZE	4096

static struct {
	struct shape shape;
	bool senders;
	unsigned long batch, seen;	/* messages between two tables on a terminal */
	struct table *table;
	time_t now;
} app = { .shape = { .buckets = 10, .minutes = 5, .width = WIDTH_MIN, .min_subdomains = 5 }, .batch = 1000 };

int64_t
shape_limit(const struct shape *s, size_t i)
{
	return s->linear ? s->minutes * (int64_t)(i + 1) : s->minutes << (i < 40 ? i : 40);
}

size_t
shape_bucket(const struct shape *s, int64_t seconds)
{
	size_t i = 0;

	while (i + 1 < s->buckets && seconds >= 60 * shape_limit(s, i))
		i++;
	return i;
}

static struct span
domain_of(struct span address, struct arena *mem)
{
	if (address.n == 0)
		return SPAN("MAILER-DAEMON");
	size_t at = span_rfind(address, '@');

	return span_lower(at < address.n ? span_from(address, at + 1) : address, mem);
}

struct reading {
	struct arena *mem;
	struct vec domains;		/* struct span */
	int64_t arrival, content_end;
	bool extracted;
};

static void
take(struct reading *in, struct rec_reader *reader, const struct rec *r)
{
	struct span rest = r->payload, word;
	struct rec_size size;

	if (r->type == REC_SIZE && rec_parse_size(r->payload, &size) && size.data_size > 0 && size.data_offset > 0)
		in->content_end = size.data_offset + size.data_size;
	else if (r->type == REC_TIME && span_take_word(&rest, " ", &word))
		(void)span_to_i64(word, &in->arrival);
	else if (r->type == (app.senders ? REC_FROM : REC_RCPT))
		*(struct span *)vec_add(&in->domains) = domain_of(r->payload, in->mem);
	else if (r->type == REC_MESSAGE && in->content_end > r->offset)
		rec_reader_seek(reader, in->content_end);
}

static bool
read_file(int fd, struct reading *in)
{
	struct rec_reader reader;
	struct err e = {0};
	struct rec r;
	bool ended = false;

	rec_reader_init(&reader, fd, 0);
	while (!ended && rec_next(&reader, &r, &e)) {
		take(in, &reader, &r);
		ended = r.type == REC_END || (app.senders && in->domains.n > 0);
	}
	rec_reader_free(&reader);
	return ended;
}

static void
one_file(const char *path)
{
	struct reading in = { .mem = arena_new(), .domains = VEC_INIT(struct span) };
	struct stat st;
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && errno != ENOENT)
		log_warning("open %s: %s", path, strerror(errno));
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0700) == QUEUE_MODE_READY && read_file(fd, &in)) {
		const size_t bucket = shape_bucket(&app.shape, (int64_t)app.now - in.arrival);

		for (size_t i = 0; i < in.domains.n; i++)
			table_count(app.table, *VEC_AT(&in.domains, struct span, i), bucket);
		if (++app.seen % app.batch == 0 && isatty(STDOUT_FILENO))
			table_print(app.table);
	}
	if (fd >= 0)
		(void)close(fd);
	vec_free(&in.domains);
	arena_free(&in.mem);
}

/* A directory with its hash directories. */
static void
walk(const char *dir, int depth)
{
	char path[PATH_SIZE];
	const struct dirent *d;
	struct stat st;
	DIR *stream = opendir(dir);

	if (stream == NULL) {
		if (depth == 0 || errno != ENOENT)
			log_warning("open directory %s: %s", dir, strerror(errno));
		return;
	}
	while ((d = readdir(stream)) != NULL) {
		if (!queue_id_valid(span_str(d->d_name)))
			continue;
		(void)snprintf(path, sizeof path, "%s/%s", dir, d->d_name);
		if (d->d_name[1] == '\0' && depth < DEPTH_MAX && lstat(path, &st) == 0 && S_ISDIR(st.st_mode))
			walk(path, depth + 1);
		else
			one_file(path);
	}
	(void)closedir(stream);
}

static _Noreturn void
usage(void)
{
	log_fatal("usage: qshape [-s] [-p] [-l] [-m min_subdomains] [-b bucket_count] [-t bucket_time] [-w terminal_width] "
	    "[-N batch_msg_count] [-n batch_top_domains] [-c config_directory] [queue_name ...]");
}

static size_t
number(int letter, const char *text, size_t max)
{
	uint64_t n;

	if (!span_to_u64(span_str(text), &n) || n > max)
		log_fatal("-%c: not a number from 0 to %zu: %s", letter, max, text);
	return (size_t)n;
}

/* Zero means what it is without the option. */
static void
parse_options(int argc, char **argv)
{
	size_t n;
	int letter;

	if (isatty(STDOUT_FILENO))
		app.shape.top = 20;
	while ((letter = getopt(argc, argv, "+b:c:lm:n:N:pst:w:")) != -1) {
		n = strchr("bmnNtw", letter) != NULL && letter != '?' ? number(letter, optarg, letter == 'b' ? BUCKETS_MAX : 1000000) : 0;
		switch (letter) {
		case 'b': app.shape.buckets = n > 0 ? n : app.shape.buckets; break;
		case 'c': (void)setenv("MAIL_CONFIG", optarg, 1); break;
		case 'l': app.shape.linear = true; break;
		case 'm': app.shape.min_subdomains = n > 0 ? n : app.shape.min_subdomains; break;
		case 'n': app.shape.top = isatty(STDOUT_FILENO) ? n : 0; break;
		case 'N': app.batch = n > 0 ? n : app.batch; break;
		case 'p': app.shape.parents = true; break;
		case 's': app.senders = true; break;
		case 't': app.shape.minutes = n > 0 ? (int64_t)n : app.shape.minutes; break;
		case 'w': app.shape.width = n > WIDTH_MIN ? n : WIDTH_MIN; break;
		default: usage();
		}
	}
}

int
main(int argc, char **argv)
{
	static char incoming[] = "incoming", active[] = "active", name[] = "qshape", *usual[] = { incoming, active, NULL };
	struct err e = {0};

	argv[0] = name;			/* for messages of getopt */
	log_init("qshape", LOG_TO_STDERR);
	parse_options(argc, argv);
	conf_set_program("qshape");
	if (!conf_load(NULL, &e) || !conf_check(&e))
		log_fatal("%s", e.text);
	if (chdir(conf.queue_directory) != 0)
		log_fatal("chdir %s: %s", conf.queue_directory, strerror(errno));
	app.now = time(NULL);
	app.table = table_new(&app.shape);
	for (char **queue = argv[optind] != NULL ? argv + optind : usual; *queue != NULL; queue++)
		walk(*queue, 0);
	table_print(app.table);
	table_free(&app.table);
	return 0;
}
