/*
 * postlogd.c - postlogd(8): writes the lines that other programs send as datagrams to maillog_file. Without
 * maillog_file (a client that has not noticed a reload) they go to syslog.
 * Trusts nobody: whatever comes becomes one printable line. Never logs through itself.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "conf/conf.h"
#include "io/file.h"
#include "service/logging.h"
#include "service/service.h"

#define RECORD_MAX	4096u
#define BATCH		64u
#define PAUSE_MAX_US	2000	/* a line reaches the file so much later when others come with it */

static int log_fd = -1;
static int enough = 1;		/* lines that one look should find; more may fill the socket and make their senders wait */

static void
make_printable(char *p, size_t n)
{
	bool utf8 = span_valid_utf8(span(p, n));

	for (size_t i = 0; i < n; i++)
		if (!ascii_print(p[i]) && !(utf8 && ((unsigned char)p[i] & 0x80)))
			p[i] = '?';
}

/* "Mon dd HH:MM:SS host program[pid]: text": syslog adds the first four words itself. */
static void
to_syslog(struct span record)
{
	struct span word;

	for (int i = 0; i < 4; i++)
		if (!span_take_word(&record, " ", &word))
			return;
	log_info("%.*s", SPAN_ARG(span_trim(record)));
}

static void
add_record(struct buf *out, char *p, size_t n)
{
	while (n > 0 && (p[n - 1] == '\n' || p[n - 1] == '\0'))
		n--;
	make_printable(p, n);
	if (log_fd < 0) {
		to_syslog(span(p, n));
		return;
	}
	buf_add(out, p, n);
	buf_byte(out, '\n');
}

/* All that is waiting, and one write for it. How many lines that was. */
static int
write_waiting(int fd)
{
	static char records[BATCH][RECORD_MAX];
	struct mmsghdr msgs[BATCH];
	struct iovec iov[BATCH];
	struct buf out = {0};

	memset(msgs, 0, sizeof msgs);
	for (size_t i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){ records[i], RECORD_MAX };
		msgs[i].msg_hdr.msg_iov = &iov[i];
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
	int n = recvmmsg(fd, msgs, BATCH, MSG_DONTWAIT, NULL);

	for (int i = 0; i < n; i++)
		add_record(&out, records[i], msgs[i].msg_len);
	if (log_fd >= 0 && out.n > 0)
		(void)file_write_all(log_fd, out.p, out.n);	/* a full disk loses lines, nothing else can be done */
	buf_free(&out);
	return n;
}

/*
 * A wake-up costs more than a line, the senders' time included. As long as lines keep coming, pause so long that
 * a few have come, but not so many that the socket is full.
 */
static void
datagram(struct loop *loop, int fd)
{
	static long pause_us = PAUSE_MAX_US / 20;
	int n = write_waiting(fd);

	(void)loop;
	if (n > enough)
		pause_us /= 2;
	else if (n <= enough / 2 && pause_us < PAUSE_MAX_US)
		pause_us += pause_us / 4 + 1;
	(void)nanosleep(&(struct timespec){ .tv_nsec = pause_us * 1000 }, NULL);
}

/* The kernel's limit of datagrams that wait in a socket: 10, or 512 where systemd raised it. */
static void
learn_queue_length(void)
{
	struct buf text = {0};
	uint64_t limit = 0;

	if (file_read_all("/proc/sys/net/unix/max_dgram_qlen", 64, &text, NULL) && span_to_u64(span_trim(buf_view(&text)), &limit))
		enough = limit < BATCH ? (int)limit * 4 / 5 : (int)BATCH - 8;
	buf_free(&text);
}

static void
open_log(void)
{
	uint64_t mode = 0;

	/* We are the log: syslog is what is left for our own words. */
	log_set_sinks(LOG_TO_SYSLOG);
	if (conf.maillog_file[0] == '\0')
		return;
	if (!logging_path_allowed(conf.maillog_file))
		log_fatal("maillog_file value '%s' does not match any prefix in maillog_file_prefixes", conf.maillog_file);
	mode = strtoul(conf.maillog_file_permissions, NULL, 8);
	log_fd = open(conf.maillog_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, (mode_t)mode);
	if (log_fd < 0)
		log_fatal("open logfile '%s': %s", conf.maillog_file, strerror(errno));
}

static void
prepare(void)
{
	open_log();
	learn_queue_length();
}

static const struct service postlogd = {
	.name = "postlogd",
	.kind = SERVICE_EVENT,
	.flags = SERVICE_ONE | SERVICE_NO_RETIRE,
	.init = prepare,
	.datagram = datagram,
};

int
main(int argc, char **argv)
{
	return service_main(&postlogd, argc, argv);
}
