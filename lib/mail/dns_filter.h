/*
 * dns_filter.h - smtpd_dns_reply_filter and smtp_dns_reply_filter: tables that see each record of a DNS answer.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAIL_DNS_FILTER_H
#define MAIL_DNS_FILTER_H

/* From now on in this process. title: the parameter's name; an empty value: no filter. */
void	dns_filter_open(const char *title, const char *value);

#endif
