/*
 * log.c - writes the text files in which recipients' fates are kept between attempts: an empty line, name=value lines,
 * an empty line, for each entry. A value is one printable line. mail/bounce_log.h reads them.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "bounce/bounce.h"
#include "conf/conf.h"
#include "io/file.h"
#include "mail/queue.h"
#include "smtp/address.h"

static void
put(struct buf *out, const char *name, struct span value, struct arena *mem)
{
	if (value.n == 0)
		return;
	buf_str(out, name);
	buf_byte(out, '=');
	buf_span(out, span_printable(value, mem));
	buf_byte(out, '\n');
}

static struct span
external(struct span internal, struct arena *mem)
{
	return internal.n == 0 ? SPAN("<>") : address_quote(internal, mem);
}

static void
put_entry(struct buf *out, const struct ipc_delivery_rcpt *r, const struct ipc_dsn_report *d, struct arena *mem)
{
	struct span to = external(r->address, mem);

	buf_byte(out, '\n');
	if (conf.backwards_bounce_logfile_compatibility)
		buf_printf(out, "<%.*s>: %.*s\n", SPAN_ARG(span_printable(to, mem)), SPAN_ARG(span_printable(d->reason, mem)));
	put(out, "recipient", to, mem);
	if (r->original.n > 0 && !span_ieq(r->original, r->address))
		put(out, "original_recipient", external(r->original, mem), mem);
	if (r->offset > 0)
		buf_printf(out, "offset=%ld\n", (long)r->offset);
	put(out, "dsn_orig_rcpt", r->dsn_orcpt, mem);
	if (r->notify != 0)
		buf_printf(out, "notify_flags=%u\n", r->notify);
	put(out, "status", d->status, mem);
	put(out, "action", d->action, mem);
	put(out, "diag_type", d->diag_type, mem);
	put(out, "diag_text", d->diag_text, mem);
	put(out, "mta_type", d->mta_type, mem);
	put(out, "mta_mname", d->mta_name, mem);
	put(out, "reason", d->reason, mem);
	buf_byte(out, '\n');
}

static bool
append_text(int fd, struct span text, const char *id)
{
	struct stat st;

	if (!file_lock(fd, FILE_LOCK_EXCLUSIVE, true) || fstat(fd, &st) != 0) {
		log_warning("%s: lock log file: %s", id, strerror(errno));
		return false;
	}
	if (file_write_all(fd, text.p, text.n) && fsync(fd) == 0)
		return true;
	log_warning("%s: write log file: %s", id, strerror(errno));
	if (ftruncate(fd, st.st_size) != 0)
		log_warning("%s: truncate log file: %s", id, strerror(errno));
	return false;
}

bool
log_append(const char *queue, const struct ipc_bounce_append *m, struct arena *mem)
{
	const char *id = span_cstr(m->queue_id, mem);
	struct buf text = {0};
	int fd = queue_open(queue, id, O_WRONLY | O_APPEND | O_CREAT, 0600);

	if (fd < 0) {
		log_warning("%s: open file in %s: %s", id, queue, strerror(errno));
		return false;
	}
	for (size_t i = 0; i < m->rcpt.n && i < m->report.n; i++)
		put_entry(&text, &m->rcpt.p[i], &m->report.p[i], mem);
	bool ok = append_text(fd, buf_view(&text), id);

	buf_free(&text);
	(void)close(fd);
	return ok;
}

void
log_remove(const char *queue, const char *id)
{
	if (!queue_unlink(queue, id) && errno != ENOENT)
		log_warning("%s: remove file in %s: %s", id, queue, strerror(errno));
}

void
fates_rewind(struct fates *f)
{
	f->at = 0;
	if (f->log != NULL)
		log_reader_rewind(f->log);
}

bool
fates_next(struct fates *f, struct log_entry *e)
{
	if (f->log != NULL)
		return log_reader_next(f->log, e);
	if (f->given == NULL || f->at >= f->given->n)
		return false;
	*e = *VEC_AT(f->given, struct log_entry, f->at++);
	return true;
}

void
log_from_request(const struct ipc_bounce_send *m, struct arena *mem, struct vec *entries)
{
	for (size_t i = 0; i < m->rcpt.n && i < m->report.n; i++) {
		const struct ipc_delivery_rcpt *r = &m->rcpt.p[i];
		const struct ipc_dsn_report *d = &m->report.p[i];
		struct log_entry *e = vec_add(entries);

		*e = (struct log_entry){ .recipient = external(r->address, mem), .dsn_orcpt = r->dsn_orcpt,
		    .status = d->status, .action = d->action, .reason = span_printable(d->reason, mem),
		    .diag_type = d->diag_type, .diag_text = d->diag_text, .mta_type = d->mta_type, .mta_name = d->mta_name,
		    .offset = r->offset, .notify = r->notify };
		if (r->original.n > 0 && !span_ieq(r->original, r->address))
			e->original = external(r->original, mem);
	}
}
