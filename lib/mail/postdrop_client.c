/*
 * postdrop_client.c - the sending side of postdrop(1): records to its standard input, answers from its standard output.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "conf/conf.h"
#include "io/stream.h"
#include "ipc/attr.h"
#include "mail/cleanup_client.h"
#include "mail/postdrop_client.h"

#define FD_LIMIT	100		/* descriptors below this are not left to the child */

struct postdrop {
	pid_t pid;
	struct stream *to, *from;	/* its standard input and output */
	char id[256];
};

static void
run(int input, int output)
{
	char path[1024];

	(void)snprintf(path, sizeof path, "%s/postdrop", conf.command_directory);
	(void)dup2(input, STDIN_FILENO);
	(void)dup2(output, STDOUT_FILENO);
	for (int fd = 3; fd < FD_LIMIT; fd++)
		(void)close(fd);
	(void)execl(path, "postdrop", "-r", (char *)NULL);
	log_warning("unable to execute %s -r: %s", path, strerror(errno));
	_exit(1);
}

/* One list of postdrop's; the value of name goes to *out. False: no such answer. */
static bool
read_attr(struct stream *from, struct arena *mem, const char *name, struct span *out)
{
	struct span key, value;
	enum attr_status st;

	*out = SPAN_NULL;
	while ((st = attr_take(from, mem, &key, &value)) == ATTR_PAIR)
		if (span_is(key, name))
			*out = value;
	return st == ATTR_END && out->n > 0;
}

static void
end(struct postdrop **dp)
{
	struct postdrop *d = *dp;

	stream_free(&d->to);
	stream_free(&d->from);
	(void)waitpid(d->pid, NULL, 0);
	free(d);
	*dp = NULL;
}

static struct postdrop *
start(int in[2], int out[2], struct err *e)
{
	struct postdrop *d = calloc(1, sizeof *d);

	if (d == NULL)
		log_out_of_memory();
	(void)fflush(NULL);
	d->pid = fork();
	if (d->pid == 0)
		run(in[0], out[1]);
	(void)close(in[0]);
	(void)close(out[1]);
	d->to = stream_new(in[1]);
	d->from = stream_new(out[0]);
	if (d->pid > 0)
		return d;
	(void)err_temp(e, "fork: %s", strerror(errno));
	end(&d);
	return NULL;
}

struct postdrop *
postdrop_start(struct err *e)
{
	struct postdrop *d;
	struct arena *mem;
	struct span id;
	int in[2], out[2];

	if (pipe(in) != 0) {
		(void)err_temp(e, "pipe: %s", strerror(errno));
		return NULL;
	}
	if (pipe(out) != 0) {
		(void)err_temp(e, "pipe: %s", strerror(errno));
		(void)close(in[0]);
		(void)close(in[1]);
		return NULL;
	}
	if ((d = start(in, out, e)) == NULL)
		return NULL;
	mem = arena_new();
	if (read_attr(d->from, mem, "queue_id", &id) && id.n < sizeof d->id)
		memcpy(d->id, id.p, id.n);
	arena_free(&mem);
	if (d->id[0] != '\0')
		return d;
	(void)err_temp(e, "queue file write error");
	end(&d);
	return NULL;
}

const char *postdrop_queue_id(const struct postdrop *d) { return d->id; }
void postdrop_put(struct postdrop *d, struct span records) { stream_put(d->to, records); }

unsigned
postdrop_finish(struct postdrop **dp, struct arena *mem, struct span *reason)
{
	struct postdrop *d = *dp;
	struct span name, value, text = SPAN_NULL;
	uint64_t status = CLEANUP_STAT_WRITE;
	enum attr_status st = ATTR_FAILED;
	bool ok = stream_flush(d->to);

	*reason = SPAN_NULL;
	stream_free(&d->to);
	while (ok && (st = attr_take(d->from, mem, &name, &value)) == ATTR_PAIR) {
		if (span_is(name, "status"))
			text = value;
		else if (span_is(name, "reason"))
			*reason = value;
	}
	if (st != ATTR_END || !span_to_u64(text, &status) || status > UINT32_MAX)
		status = CLEANUP_STAT_WRITE;
	end(dp);
	return (unsigned)status;
}

void
postdrop_cancel(struct postdrop **dp)
{
	if (*dp != NULL)
		end(dp);
}
