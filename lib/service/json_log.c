/*
 * json_log.c - the file of the JSON log.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "conf/json.h"
#include "io/file.h"
#include "service/json_log.h"
#include "service/logging.h"

static int json_fd = -1;

static bool
format_has_json(void)
{
	struct span in = span_str(conf.maillog_format), word;
	bool json = false;

	while (span_take_word(&in, ", \t\r\n", &word)) {
		if (span_iis(word, "json"))
			json = true;
		else if (!span_iis(word, "text"))
			log_warning("maillog_format: unknown format \"%.*s\" -- need text, or text and json", SPAN_ARG(word));
	}
	return json;
}

bool
json_log_open(void)
{
	const char *path = conf.maillog_json_file;

	if (!format_has_json())
		return false;
	if (*path == '\0') {
		log_warning("maillog_format has json, but maillog_json_file is empty -- no JSON lines are written");
		return false;
	}
	if (!logging_path_allowed(path)) {
		log_warning("maillog_json_file value '%s' does not match any prefix in maillog_file_prefixes -- no JSON lines are written", path);
		return false;
	}
	json_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, (mode_t)strtoul(conf.maillog_file_permissions, NULL, 8));
	if (json_fd < 0)
		log_warning("open maillog_json_file '%s': %s -- no JSON lines are written", path, strerror(errno));
	else
		(void)file_lock(json_fd, FILE_LOCK_SHARED, false);
	return json_fd >= 0;
}

void
json_log_write(const struct buf *line)
{
	static int64_t told;

	if (file_write_all(json_fd, line->p, line->n) || (told != 0 && clock_ms() - told < 60000))
		return;
	told = clock_ms();
	log_warning("write maillog_json_file %s: %s", conf.maillog_json_file, strerror(errno));
}

void
json_log_text(struct buf *line, const char *name, struct span value, struct arena *mem)
{
	if (value.n == 0)
		return;
	buf_str(line, ", ");
	json_text(line, name, value, mem);
}

void
json_log_time(struct buf *line, const char *name, struct timeval tv)
{
	char text[32] = "";
	struct tm tm;

	if (gmtime_r(&tv.tv_sec, &tm) != NULL)
		(void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
	buf_printf(line, ", \"%s\": \"%s.%03dZ\"", name, text, (int)(tv.tv_usec / 1000));
}
