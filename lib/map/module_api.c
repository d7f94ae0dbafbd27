/*
 * module_api.c - what loadable table types may call, named once so that the linker keeps it.
 *
 * SPDX-License-Identifier: ISC
 */
#include "base/clock.h"
#include "base/log.h"
#include "io/file.h"
#include "io/stream.h"
#include "map/host_query.h"
#include "map/module.h"
#include "map/peer.h"
#include "map/query.h"

#define MODULE_API(name)	(const void *)name,
const void *const module_api[] = {
#include "map/module_api.def"
	NULL
};
