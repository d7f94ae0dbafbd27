/*
 * tcp_port.h - ports by name: known_tcp_ports of main.cf, then services(5).
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef CONF_TCP_PORT_H
#define CONF_TCP_PORT_H

#include <stdint.h>

#include "base/span.h"

/* "25" or "smtp". 0: there is no such port. */
uint16_t tcp_port(struct span text);

#endif
