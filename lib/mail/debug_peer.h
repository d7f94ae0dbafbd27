/*
 * debug_peer.h - debug_peer_list: the dialogue with some peers is logged line by line.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAIL_DEBUG_PEER_H
#define MAIL_DEBUG_PEER_H

/* Tables are opened: while they can be. */
void	debug_peer_init(void);
/* A session with this peer begins. When its name, address (numeric text) or next hop (NULL: none) is in the list, log_debug()
 * logs until debug_peer_end(). One session at a time; a second begin ends the first. */
void	debug_peer_begin(const char *name, const char *address, const char *nexthop);
void	debug_peer_end(void);

#endif
