/*
 * main.c - bounce(8), also defer and trace: remembers what became of recipients in the message's log file, and makes the
 * reports to sender and postmaster from it. The service's name says which log it keeps.
 * Trusts no client: names and sizes are checked. Needs no network, no privilege.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "bounce/bounce.h"
#include "conf/conf.h"
#include "mail/delivery.h"
#include "mail/flush_client.h"
#include "mail/queue.h"
#include "mail/verp.h"
#include "service/service.h"
#include "smtp/address.h"

static const char *log_queue;		/* "bounce", "defer" or "trace" */

static bool
in_class(const char *class)
{
	struct span list = span_str(conf.notify_classes), word;

	while (span_take_word(&list, ", \t\r\n", &word))
		if (span_iis(word, class))
			return true;
	return false;
}

static struct span
double_bounce(struct arena *mem)
{
	return span_str(arena_printf(mem, "%s@%s", conf.double_bounce_sender, conf.myhostname));
}

static bool
is_double_bounce(struct span sender, struct arena *mem)
{
	return span_iis(sender, conf.double_bounce_sender) || span_ieq(sender, double_bounce(mem));
}

static bool
postmaster_copy(struct notice *n, const char *to, bool full)
{
	struct notice copy = *n;

	copy.postmaster = true;
	copy.to = span_str(to);
	copy.from = double_bounce(n->mem);
	copy.full = full;
	return notice_send(&copy);
}

/* The sender, and a copy to the postmaster who asked for one. */
static bool
tell_sender(struct notice *n)
{
	if (!notice_send(n))
		return false;
	if (in_class("bounce") && !postmaster_copy(n, conf.bounce_notice_recipient, false))
		log_warning("%s: postmaster notice failed while bouncing to %.*s", n->queue_id, SPAN_ARG(n->request->sender));
	return true;
}

/* One notice a recipient, each to an address that names it. */
static bool
verp_notices(struct notice *n)
{
	struct log_entry e;
	bool ok = true;

	for (fates_rewind(n->fates); ok && fates_next(n->fates, &e); ) {
		struct vec one = VEC_INIT(struct log_entry);
		struct fates alone = { .given = &one };
		struct notice single = *n;

		*(struct log_entry *)vec_add(&one) = e;
		single.fates = &alone;
		single.mem = arena_new();
		single.to = verp_sender(n->request->verp, n->request->sender, address_unquote(e.original.n > 0 ? e.original : e.recipient,
		    single.mem), single.mem);
		ok = tell_sender(&single);
		arena_free(&single.mem);
		vec_free(&one);
	}
	return ok;
}

static bool
failure(struct notice *n)
{
	const struct ipc_bounce_send *m = n->request;

	n->kind = NOTICE_FAILURE;
	if (is_double_bounce(m->sender, n->mem)) {
		log_warning("%s: undeliverable postmaster notification discarded", n->queue_id);
		return true;
	}
	if (m->sender.n == 0) {
		if (in_class("bounce") || in_class("2bounce"))
			return postmaster_copy(n, conf.p_2bounce_notice_recipient, true);
		return true;
	}
	n->full = m->ret_flags != DSN_RET_HDRS;
	n->to = m->sender;
	return m->verp.n > 0 && !conf.disable_verp_bounces ? verp_notices(n) : tell_sender(n);
}

static bool
delay(struct notice *n)
{
	const struct ipc_bounce_send *m = n->request;

	n->kind = NOTICE_DELAY;
	if (is_double_bounce(m->sender, n->mem)) {
		log_warning("%s: undeliverable postmaster notification discarded", n->queue_id);
		return true;
	}
	n->to = m->sender;
	if (m->sender.n > 0 && !notice_send(n))
		return false;
	if (in_class("delay") && !postmaster_copy(n, conf.delay_notice_recipient, m->sender.n == 0))
		log_warning("%s: postmaster notice failed while warning %.*s", n->queue_id, SPAN_ARG(m->sender));
	return true;
}

static bool
trace(struct notice *n)
{
	struct original o;

	if (n->request->sender.n == 0 || is_double_bounce(n->request->sender, n->mem)) {
		log_info("%s: not sending trace/success notification for %s-bounce message", n->queue_id,
		    n->request->sender.n == 0 ? "single" : "double");
		return true;
	}
	original_open(&o, n->queue_name, n->queue_id);
	n->kind = (o.trace_flags & (DELIVERY_FLAG_USER_PROBE | DELIVERY_FLAG_RECORD)) ? NOTICE_VERIFY : NOTICE_SUCCESS;
	original_close(&o);
	n->to = n->request->sender;
	return notice_send(n);
}

static bool
make_report(const struct ipc_bounce_send *m, struct arena *mem)
{
	struct vec entries = VEC_INIT(struct log_entry);
	struct fates fates = { .given = &entries };
	struct notice n = { .request = m, .queue_id = span_cstr(m->queue_id, mem), .queue_name = span_cstr(m->queue_name, mem),
	    .fates = &fates, .mem = mem };
	bool from_log = m->request != BOUNCE_SEND_ONE;
	bool ok;

	if (from_log)
		fates.log = log_reader_open(log_queue, n.queue_id);
	else
		log_from_request(m, mem, &entries);
	switch (m->request) {
	case BOUNCE_SEND_WARN:
		ok = delay(&n);
		from_log = false;	/* the log stays */
		break;
	case BOUNCE_SEND_TRACE:
		ok = trace(&n);
		break;
	default:
		ok = failure(&n);
	}
	if (ok && from_log)
		log_remove(log_queue, n.queue_id);
	log_reader_close(&fates.log);
	vec_free(&entries);
	return ok;
}

/* flush(8) wants to know which destinations have mail waiting. */
static void
tell_flush(const struct ipc_bounce_append *m)
{
	struct span local, domain;

	for (size_t i = 0; i < m->rcpt.n; i++)
		if (address_split(m->rcpt.p[i].address, &local, &domain))
			flush_add(domain, m->queue_id);
}

static bool
step(struct stream *peer, struct arena *mem)
{
	union {
		struct ipc_bounce_append append;
		struct ipc_bounce_send send;
	} u;
	struct ipc_status answer = { .status = 1 };
	struct span payload;
	enum ipc_kind kind = ipc_receive(peer, IPC_MAX_BULK, mem, &payload);
	bool known = kind == IPC_bounce_append || kind == IPC_bounce_send;

	if (kind == IPC_NONE)
		return false;
	if (!known || !ipc_decode(payload, kind, &u, mem)) {
		log_warning("malformed request");
		return false;
	}
	struct span id = kind == IPC_bounce_append ? u.append.queue_id : u.send.queue_id;

	if (!queue_id_valid(id) || (kind == IPC_bounce_send && !queue_id_valid(u.send.queue_name)))
		log_warning("malformed queue id: %.*s", SPAN_ARG(id));
	else if (kind == IPC_bounce_append)
		answer.status = log_append(log_queue, &u.append, mem) ? 0 : 1;
	else
		answer.status = make_report(&u.send, mem) ? 0 : 1;
	bool ok = ipc_send(peer, IPC_status, &answer);

	if (kind == IPC_bounce_append && answer.status == 0 && strcmp(log_queue, "defer") == 0)
		tell_flush(&u.append);
	return ok;
}

static void
serve(struct session *s)
{
	stream_set_timeout(s->peer, (int64_t)conf.ipc_timeout * 1000);
	while (service_wait_request(s->peer, (conf.ipc_idle + 1) * 1000) && step(s->peer, s->mem))
		arena_reset(s->mem);
}

/* postconf -b and -t. */
static _Noreturn void
show_and_exit(void)
{
	struct buf out = {0};
	bool expanded = strcmp(service_env.name, "expand_templates") == 0;

	if (!expanded && strcmp(service_env.name, "dump_templates") != 0)
		log_fatal("unexpected service name in stand-alone mode: %s", service_env.name);
	template_show(expanded, &out);
	bool ok = fwrite(out.p, 1, out.n, stdout) == out.n && fflush(stdout) == 0;

	buf_free(&out);
	exit(ok ? 0 : 1);
}

static void
init(void)
{
	const struct {
		const char *service, *queue;
	} logs[] = { { conf.bounce_service_name, "bounce" }, { conf.defer_service_name, "defer" },
		     { conf.trace_service_name, "trace" } };

	template_init();
	flush_prepare();
	if (service_env.stand_alone)
		show_and_exit();
	for (size_t i = 0; i < 3; i++)
		if (strcmp(service_env.name, logs[i].service) == 0)
			log_queue = logs[i].queue;
	if (log_queue == NULL)
		log_fatal("unknown service name: %s", service_env.name);
}

static const struct service bounce = {
	.name = "bounce",
	.kind = SERVICE_SINGLE,
	.flags = SERVICE_NO_LIMIT,
	.init = init,
	.serve = serve,
};

int
main(int argc, char **argv)
{
	return service_main(&bounce, argc, argv);
}
