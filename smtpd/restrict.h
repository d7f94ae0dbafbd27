/*
 * restrict.h - access restrictions: lists of {name, flags, fn} rows, compiled when the service starts, so that their
 * tables are open before the jail closes.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef SMTPD_RESTRICT_H
#define SMTPD_RESTRICT_H

#include "map/maps.h"
#include "smtpd/smtpd.h"

enum verdict {
	DUNNO,			/* no opinion: next restriction */
	OK,			/* permit: this list ends */
	REJECT,			/* s->reply has the text */
	STOP,			/* both defer_if_ reasons are armed: the list ends without opinion */
};

enum restrict_flags {
	ARG_MAP = 1,		/* type:name */
	ARG_DOMAIN = 2,		/* DNSBL zone */
	ARG_NUMBER = 4,
	ARG_SERVER = 8,		/* transport:server */
	IS_FINAL = 16,		/* what follows is never reached */
	IS_SAFE = 32,		/* good enough against open relay (start-up check) */
	NEEDS_HELO = 64, NEEDS_SENDER = 128, NEEDS_RCPT = 256,
	FOR_SENDER = 512, FOR_RCPT = 1024, FOR_HELO = 2048, FOR_CLIENT = 4096, FOR_REVERSE = 8192,
	KIND_A = 16384, KIND_MX = 32768, KIND_NS = 65536, IS_PERMIT = 131072,
	IS_DEFER = 262144,
	FOR_LOGGED_IN = 524288, FOR_OTHERS = 1048576, KNOWN_ONLY = 2097152,
};

/* The list that is being evaluated. */
struct check {
	struct smtpd *s;
	const char *name;		/* in replies: <name> */
	const char *class;		/* "Client host", "Recipient address", ... */
	const char *default_map;	/* row for a bare table; NULL: not allowed */
	bool no_actions;		/* HOLD, FILTER ... are unavailable: ETRN, VRFY */
};

struct rule;
struct restriction {
	const char *name;
	unsigned flags;
	enum verdict (*fn)(struct check *, const struct rule *);
};

struct rule {
	const struct restriction *r;	/* NULL: class, bare table or unknown word */
	const char *word, *arg;
	struct maps *maps;		/* ARG_MAP, bare tables */
	struct policy *policy;		/* ARG_SERVER */
	struct rules *class;
};

struct rules {
	struct rule *p;
	size_t n;
};

/* --- restrict.c --- */
void	restrict_init(bool stand_alone);	/* stand_alone: there is nothing to protect from open relaying */		/* compile all lists; log_fatal on unsafe ones */
const struct restriction *restriction_find(struct span name);
struct rules *rules_parse(const char *text, bool with_tables);
void	rules_free(struct rules **);
enum verdict rules_run(struct check *, const struct rules *);
/* The stages. NULL: go on; else the reply. */
const char *check_client(struct smtpd *);
const char *check_helo(struct smtpd *, const char *helo);
const char *check_mail(struct smtpd *);
const char *check_rcpt(struct smtpd *);
const char *check_data(struct smtpd *);
const char *check_end_of_data(struct smtpd *);
const char *check_etrn(struct smtpd *);

/* --- verdict.c --- */
enum {
	ERROR_POLICY,
	ERROR_BOUNCE,		/* no such mailbox */
	ERROR_ACCESS,		/* from here on never softened by warn_if_reject: a table that is broken */
	ERROR_CONFIG,
	ERROR_LOOKUP,
};
/* Text behind "CODE DSN ". dsn's class is forced to that of code. */
enum verdict check_reject(struct check *, int kind, int code, const char *dsn, const char *fmt, ...)
	    __attribute__((format(printf, 5, 6)));
enum verdict check_defer_permit(struct check *, int code, const char *dsn, const char *fmt, ...)
	    __attribute__((format(printf, 4, 5)));
enum verdict check_defer_reject(struct check *, int code, const char *dsn, const char *fmt, ...)
	    __attribute__((format(printf, 4, 5)));
enum verdict check_config_error(struct check *);		/* 451 4.3.5 Server configuration error */
enum verdict check_lookup_failed(struct check *, const char *address);	/* 451 4.3.0 <address>: Temporary lookup failure */
enum verdict check_permit(struct check *, const struct rule *, const char *class, const char *name);
bool	tempfail_is_permit(const char *action);			/* defer_if_permit, not defer */

/* --- access.c --- */
/* Act upon an access(5) result. table and key are for warnings; about, class: what was looked up. */
enum verdict access_result(struct check *, const char *table, struct span key, struct span value, const char *about,
	    const char *class);
/* Look up a host name and its parents, or an address and its nets. *found: a result was there. */
enum verdict access_host(struct check *, struct maps *, const char *name, const char *about, const char *class, bool *found);
enum verdict access_address(struct check *, struct maps *, const char *address, const char *about, const char *class, bool *found);
enum verdict access_mail(struct check *, struct maps *, struct span internal, const char *about, const char *class);
enum verdict access_word(struct check *, struct maps *, const char *word, const char *about, const char *class);

/* --- rbl_reply.c --- */
struct rbl {
	const char *arg, *zone;		/* of the restriction, as it stands there and without "=pattern" */
	const char *what, *class;	/* "192.0.2.1", "Client host" */
	const char *text;		/* TXT, or NULL */
	bool trouble;
};

void	rbl_reply_init(void);
/* A DNS list has it: the reply of rbl_reply_maps or default_rbl_reply, postconf(5). */
enum verdict rbl_reject(struct check *, const struct rbl *);

/* --- recipient.c --- */
void	recipient_init(void);
/* Is the mailbox known? sender: it is the MAIL address. */
enum verdict recipient_listed(struct check *, bool sender);

/* --- rate_limit.c --- */
void	rate_limit_init(void);
/* smtpd_rate_limit_maps for the recipient at hand. NULL: it may pass, and is counted; else the reply. */
const char *rate_limit_check(struct smtpd *);
enum verdict restrict_rate_limit(struct check *, const struct rule *);

/* --- restrict_sasl.c --- */
void	restrict_sasl_init(void);

/* --- rows --- */
enum verdict restrict_permit(struct check *, const struct rule *);
enum verdict restrict_reject(struct check *, const struct rule *);
enum verdict restrict_defer(struct check *, const struct rule *);
enum verdict restrict_defer_if_permit(struct check *, const struct rule *);
enum verdict restrict_defer_if_reject(struct check *, const struct rule *);
enum verdict restrict_sleep(struct check *, const struct rule *);
enum verdict restrict_unauth_pipelining(struct check *, const struct rule *);
enum verdict restrict_plaintext(struct check *, const struct rule *);
enum verdict restrict_multi_bounce(struct check *, const struct rule *);
enum verdict restrict_removed(struct check *, const struct rule *);
enum verdict restrict_later(struct check *, const struct rule *);
enum verdict restrict_sasl_authenticated(struct check *, const struct rule *);
enum verdict restrict_sasl_access(struct check *, const struct rule *);
enum verdict restrict_login_mismatch(struct check *, const struct rule *);
enum verdict restrict_mynetworks(struct check *, const struct rule *);
enum verdict restrict_inet_interfaces(struct check *, const struct rule *);
enum verdict restrict_unknown_client(struct check *, const struct rule *);
enum verdict restrict_unknown_reverse(struct check *, const struct rule *);
enum verdict restrict_invalid_helo(struct check *, const struct rule *);
enum verdict restrict_non_fqdn_helo(struct check *, const struct rule *);
enum verdict restrict_unknown_helo(struct check *, const struct rule *);
enum verdict restrict_non_fqdn_address(struct check *, const struct rule *);
enum verdict restrict_unknown_domain(struct check *, const struct rule *);
enum verdict restrict_unauth_destination(struct check *, const struct rule *);
enum verdict restrict_auth_destination(struct check *, const struct rule *);
enum verdict restrict_mx_backup(struct check *, const struct rule *);
enum verdict restrict_unverified(struct check *, const struct rule *);
enum verdict restrict_unlisted(struct check *, const struct rule *);
enum verdict restrict_client_access(struct check *, const struct rule *);
enum verdict restrict_helo_access(struct check *, const struct rule *);
enum verdict restrict_address_access(struct check *, const struct rule *);
enum verdict restrict_etrn_access(struct check *, const struct rule *);
enum verdict restrict_server_access(struct check *, const struct rule *);
enum verdict restrict_policy(struct check *, const struct rule *);
enum verdict restrict_rbl(struct check *, const struct rule *);
enum verdict restrict_rhsbl(struct check *, const struct rule *);
bool	smtpd_client_is_own(const struct smtpd *);	/* permit_inet_interfaces */
bool	smtpd_client_in_mynetworks(const struct smtpd *);
/* Class of the recipient at hand; false: lookup trouble. */
struct resolved;
bool	smtpd_resolve(struct smtpd *, struct span address, struct resolved *out);
bool	destination_is_ours(const struct resolved *);

#endif
