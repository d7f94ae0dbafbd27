/*
 * logs.c - removes the logs of messages that are deleted. A log goes before its message, so that whatever ends this run
 * no log stays without a message. Of many messages few have all logs: what there is, is then learned from the directories, and what
 * has come meanwhile is looked for at the end.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "postsuper/postsuper.h"

#define FEW	500u		/* messages whose logs are just tried: the directories may be large */

static const char *const queues[] = { "defer", "bounce", "trace" };
#define QUEUES	(sizeof queues / sizeof *queues)

static struct {
	unsigned long messages;
	struct hash *names[QUEUES];	/* NULL: not known */
	struct buf ids;			/* of those after the first few, each with its NUL */
} now;

static void
remove_log(const char *queue, const char *id)
{
	if (!queue_unlink(queue, id) && errno != ENOENT)
		log_warning("remove log %s/%s: %s", queue, id, strerror(errno));
}

static void
learn(void)
{
	for (size_t i = 0; i < QUEUES; i++) {
		hash_free(&now.names[i], NULL);
		now.names[i] = queue_names(queues[i]);
	}
}

static void
remove_known(const char *id)
{
	for (size_t i = 0; i < QUEUES; i++)
		if (now.names[i] == NULL || hash_get(now.names[i], span_str(id)) != NULL)
			remove_log(queues[i], id);
}

void
logs_remove(const char *id)
{
	if (!queue_id_valid(span_str(id)))
		return;
	if (now.messages++ == FEW)
		learn();
	if (now.messages > FEW)
		buf_add(&now.ids, id, strlen(id) + 1);
	remove_known(id);
}

void
logs_finish(void)
{
	if (now.messages > FEW)
		learn();
	for (size_t at = 0; at < now.ids.n; at += strlen(now.ids.p + at) + 1)
		remove_known(now.ids.p + at);
	for (size_t i = 0; i < QUEUES; i++)
		hash_free(&now.names[i], NULL);
	buf_free(&now.ids);
	now.messages = 0;
}
