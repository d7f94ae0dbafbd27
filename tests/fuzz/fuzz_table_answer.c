/*
 * fuzz_table_answer.c - what servers of tcp:, socketmap: and memcache: tables may say. The first byte chooses the type, the
 * rest is the answer, at its end the connection closes. Values have no NUL; nothing else is asked for.
 *
 * SPDX-License-Identifier: ISC
 */
#include <assert.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "map/map.h"
#include "map/peer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Nobody listens there: a second connection is refused. */
#define REFUSED		"127.0.0.1:1"

static const char *const specs[] = { "tcp:" REFUSED, "socketmap:inet:" REFUSED ":m", "memcache:fuzz" };
static struct map *maps[3];
static struct peer *server;

static void
start(void)
{
	struct err e;

	log_init("fuzz", 0);
	conf_set_override("fuzz_memcache", "inet:" REFUSED);
	conf_set_override("fuzz_max_try", "1");
	conf_read_nothing();
	peer_pause_ms = 0;
	server = peer_open_inet(REFUSED, &e);
	for (int i = 0; i < 3; i++)
		maps[i] = map_open(specs[i], 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *mem;
	struct span value;
	int pair[2];

	if (server == NULL)
		start();
	if (size < 1 || size > 60000 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return 0;
	mem = arena_new();
	if (write(pair[1], data + 1, size - 1) >= 0 && shutdown(pair[1], SHUT_WR) == 0) {
		server->stream = stream_new(pair[0]);
		server->owner = getpid();
		server->opened = server->used = clock_ms();
		if (map_get(maps[data[0] % 3], SPAN("key"), mem, &value, NULL) == MAP_FOUND)
			assert(!span_has(value, '\0'));
		peer_drop(server);
	} else {
		(void)close(pair[0]);
	}
	(void)close(pair[1]);
	arena_free(&mem);
	return 0;
}
