/*
 * cmd_misc.c - the commands that do little: RSET NOOP QUIT HELP, and STARTTLS, which waits for TLS.
 *
 * SPDX-License-Identifier: ISC
 */
#include "conf/conf.h"
#include "smtpd/smtpd.h"

bool
cmd_rset(struct smtp_server *server, struct span args)
{
	if (args.n > 0) {
		smtp_server_reply(server, "501 5.5.4 Syntax: RSET");
		return false;
	}
	smtpd_mail_reset(smtpd_of(server));
	smtpd_history_flush(smtpd_of(server));
	smtp_server_reply(server, "250 2.0.0 Ok");
	return true;
}

bool
cmd_noop(struct smtp_server *server, struct span args)
{
	(void)args;
	smtp_server_reply(server, "250 2.0.0 Ok");
	return true;
}

bool
cmd_quit(struct smtp_server *server, struct span args)
{
	(void)args;
	smtp_server_reply(server, "221 2.0.0 Bye");
	smtp_server_close(server);
	return true;
}

bool
cmd_help(struct smtp_server *server, struct span args)
{
	(void)args;
	smtp_server_reply(server, "214 2.0.0 Commands: AUTH BDAT DATA EHLO ETRN HELO HELP MAIL NOOP QUIT RCPT RSET STARTTLS VRFY "
	    "XCLIENT XFORWARD");
	return true;
}

bool
cmd_starttls(struct smtp_server *server, struct span args)
{
	if (args.n > 0)
		smtp_server_reply(server, "501 5.5.4 Syntax: STARTTLS");
	else
		smtp_server_reply(server, "502 5.5.1 Error: command not implemented");
	return false;
}
