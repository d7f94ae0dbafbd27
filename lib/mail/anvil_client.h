/*
 * anvil_client.h - event codes of anvil(8): what a client did, counted for "service:address".
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAIL_ANVIL_CLIENT_H
#define MAIL_ANVIL_CLIENT_H

enum {
	ANVIL_CONNECT = 1,	/* one more open connection */
	ANVIL_DISCONNECT,
	ANVIL_MAIL,
	ANVIL_RCPT,
	ANVIL_NEWTLS,
	ANVIL_AUTH,
	ANVIL_LOOKUP,		/* counts nothing */
};

#endif
