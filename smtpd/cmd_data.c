/*
 * cmd_data.c - DATA, and BDAT (RFC 3030): content follows.
 *
 * SPDX-License-Identifier: ISC
 */
#include "base/log.h"
#include "conf/conf.h"
#include "smtpd/restrict.h"
#include "smtpd/smtpd.h"

static bool
refuse(struct smtp_server *server, const char *reply)
{
	smtp_server_reply(server, "%s", reply);
	return false;
}

bool
cmd_data(struct smtp_server *server, struct span args)
{
	struct smtpd *s = smtpd_of(server);
	const char *reply;

	if (s->chunking)
		return refuse(server, "503 5.5.1 Error: DATA after BDAT");
	if (s->nrcpt == 0 && s->in_mail)
		smtpd_trouble(s, 0);
	if (s->nrcpt == 0)
		return refuse(server, s->in_mail ? "554 5.5.1 Error: no valid recipients" : "503 5.5.1 Error: need RCPT command");
	if (args.n > 0)
		return refuse(server, "501 5.5.4 Syntax: DATA");
	if ((reply = check_data(s)) != NULL)
		return refuse(server, reply);
	if ((reply = smtpd_content_start(s)) != NULL)
		return refuse(server, reply);
	smtp_server_reply(server, "%s", smtpd_data_prompt);
	smtp_server_start_data(server);
	return true;
}

/* Why this chunk is not wanted: its bytes are read and dropped, and then this is the reply. NULL: it is. */
static const char *
unwanted(struct smtpd *s, uint64_t bytes)
{
	if (s->chunk_failed || s->in_mail)
		smtpd_trouble(s, 0);
	if (s->chunk_failed)
		return arena_printf(s->tmem, "551 5.0.0 Discarded %llu bytes after earlier error", (unsigned long long)bytes);
	if (!s->in_mail)
		return "503 5.5.1 Error: need RCPT command";
	if (s->nrcpt == 0)
		return "554 5.5.1 Error: no valid recipients";
	if (conf.message_size_limit > 0 && (bytes > (uint64_t)conf.message_size_limit ||
	    s->size > conf.message_size_limit - (int64_t)bytes)) {
		smtpd_trouble(s, TROUBLE_POLICY);
		log_warning("%s: BDAT request from %s exceeds message size limit", smtpd_queue_id(s), s->client.id);
		return "552 5.3.4 Chunk exceeds message size limit";
	}
	return s->chunking ? NULL : check_data(s);
}

/* "count [LAST]" */
static bool
take_args(struct span args, uint64_t *bytes, bool *last)
{
	struct span word;

	*last = false;
	if (!smtp_take_word(&args, &word) || !span_to_u64(word, bytes) || *bytes > INT64_MAX)
		return false;
	if (smtp_take_word(&args, &word)) {
		*last = true;
		return span_iis(word, "LAST") && !smtp_take_word(&args, &word);
	}
	return true;
}

bool
cmd_bdat(struct smtp_server *server, struct span args)
{
	struct smtpd *s = smtpd_of(server);
	uint64_t bytes;
	const char *reply;

	if ((s->ehlo_hidden & EHLO_CHUNKING) != 0)
		return refuse(server, "521 5.5.1 Error: command not implemented");
	if (!take_args(args, &bytes, &s->chunk_last)) {
		log_warning("%s: malformed BDAT command syntax from %s: BDAT %.100s", smtpd_queue_id(s), s->client.id,
		    span_cstr(span_printable(args, s->work), s->work));
		return refuse(server, "521 5.5.4 Syntax: BDAT count [LAST]");
	}
	if (bytes == 0 && !s->chunk_last && s->nrcpt > 0) {
		smtpd_trouble(s, 0);
		log_warning("%s: null BDAT request from %s", smtpd_queue_id(s), s->client.id);
		return refuse(server, "551 5.7.1 Null BDAT request");
	}
	s->chunk_size = bytes;
	reply = unwanted(s, bytes);
	if (reply == NULL && !s->chunking) {
		bool lenient = server->dot.lenient;

		reply = smtpd_content_start(s);
		server->dot = (struct smtp_dot_in){ .lenient = lenient };
	}
	s->chunking = true;
	if (reply != NULL) {
		s->chunk_failed = true;
		s->reply = span_cstr(span_str(reply), s->tmem);
	}
	smtp_server_start_chunk(server, bytes);
	return reply == NULL;
}
