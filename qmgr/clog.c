/*
 * clog.c - tells the administrator when the mail for one destination takes up much of the active queue, and what
 * may help (scheduler facts, section 13).
 *
 * SPDX-License-Identifier: ISC
 */
#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "qmgr/qmgr.h"

#define CLOG_SHARE	5		/* a fifth of the queue */
#define MOST_PERCENT	90		/* above that nobody else is held up */

static void
advise(const struct dest *d)
{
	const struct transport *t = d->transport;

	if (d->dead || d->window < 1) {
		log_warning("you may need to reduce %s connect and helo timeouts", t->name);
		log_warning("so that Postfix quickly skips unavailable hosts");
		log_warning("you may need to increase the main.cf minimal_backoff_time and maximal_backoff_time");
		log_warning("so that Postfix wastes less time on undeliverable mail");
		log_warning("you may need to increase the master.cf %s process limit", t->name);
	} else if (t->concurrency_limit > 0 && d->window >= t->concurrency_limit) {
		log_warning("you may need to increase the main.cf %s_destination_concurrency_limit from %d", t->name,
		    t->concurrency_limit);
	} else if (message_count >= (size_t)conf.qmgr_message_active_limit) {
		log_warning("you may need to increase the main.cf qmgr_message_active_limit from %d", conf.qmgr_message_active_limit);
	} else {
		log_warning("you may need a separate master.cf transport for %s", d->nexthop);
	}
	log_warning("please avoid flushing the whole queue when you have");
	log_warning("lots of deferred mail, that is bad for performance");
	log_warning("to turn off these warnings specify: qmgr_clog_warn_time = 0");
}

void
clog_check(const struct dest *d)
{
	struct transport *t = d->transport;
	size_t limit = (size_t)conf.qmgr_message_active_limit, held = d->todo + d->busy;

	if (conf.qmgr_clog_warn_time == 0 || !conf.helpful_warnings || held <= limit / CLOG_SHARE ||
	    (t->clog_warned != 0 && clock_ms() - t->clog_warned < (int64_t)conf.qmgr_clog_warn_time * 1000))
		return;
	t->clog_warned = clock_ms();
	log_warning("mail for %s is using up %zu of %zu active queue entries", d->nexthop, held, message_count);
	if (held * 100 < message_count * MOST_PERCENT)
		log_warning("this may slow down other mail deliveries");
	advise(d);
}
