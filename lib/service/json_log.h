/*
 * json_log.h - maillog_format = text, json: lines that programs append to maillog_json_file, one JSON object each. Texts are
 * strangers': every line is one object of valid UTF-8, whatever they hold.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef SERVICE_JSON_LOG_H
#define SERVICE_JSON_LOG_H

#include <stdbool.h>
#include <sys/time.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/span.h"

#define JSON_LOG_RECIPIENTS	1000u	/* of a line; the rest is a number */

/* After conf_load(), while this process may still open the file. A shared lock (flock) says for as long as it is open that it may
 * be written to. False: it is off, or cannot be opened, which draws a warning. */
bool	json_log_open(void);
/* Append a line that was made. A failure draws a warning a minute. */
void	json_log_write(const struct buf *line);

/* ", "name": "value"": nothing if that is empty. */
void	json_log_text(struct buf *line, const char *name, struct span value, struct arena *mem);
/* The same for a time, as 2026-11-21T01:49:19.000Z. */
void	json_log_time(struct buf *line, const char *name, struct timeval);

#endif
