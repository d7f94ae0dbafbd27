/*
 * deprecated.c - names that Postfix still takes, and what to use instead.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "postconf/postconf.h"

#define NOTHING		"do not specify"

/* legacy: not in the table of parameters; works because another parameter's default refers to it. */
static const struct {
	const char *name, *instead;
	bool legacy, removed;
} names[] = {
	{ "authorized_verp_clients", "specify \"smtpd_authorized_verp_clients\"", true, false },
	{ "deleted-test-only", NOTHING, false, true },
	{ "disable_dns_lookups", "specify \"smtp_dns_support_level\"", false, false },
	{ "fallback_relay", "specify \"smtp_fallback_relay\"", true, false },
	{ "lmtp_cname_overrides_servername", NOTHING, false, false },
	{ "lmtp_enforce_tls", "lmtp_tls_security_level", false, false },
	{ "lmtp_per_record_deadline", "specify \"lmtp_per_request_deadline\"", true, false },
	{ "lmtp_tls_enforce_peername", "specify \"lmtp_tls_security_level\"", false, false },
	{ "lmtp_tls_per_site", "specify \"lmtp_tls_policy_maps\"", false, false },
	{ "lmtp_use_tls", "specify \"lmtp_tls_security_level\"", false, false },
	{ "postscreen_blacklist_action", "specify \"postscreen_denylist_action\"", true, false },
	{ "postscreen_dnsbl_ttl", "specify \"postscreen_dnsbl_max_ttl\"", true, false },
	{ "postscreen_dnsbl_whitelist_threshold", "specify \"postscreen_dnsbl_allowlist_threshold\"", true, false },
	{ "postscreen_enforce_tls", "specify \"postscreen_tls_security_level\"", false, false },
	{ "postscreen_use_tls", "specify \"postscreen_tls_security_level\"", false, false },
	{ "postscreen_whitelist_interfaces", "specify \"postscreen_allowlist_interfaces\"", true, false },
	{ "smtp_cname_overrides_servername", NOTHING, false, false },
	{ "smtp_enforce_tls", "specify \"smtp_tls_security_level\"", false, false },
	{ "smtp_per_record_deadline", "specify \"smtp_per_request_deadline\"", true, false },
	{ "smtp_tls_enforce_peername", "specify \"smtp_tls_security_level\"", false, false },
	{ "smtp_tls_per_site", "specify \"smtp_tls_policy_maps\"", false, false },
	{ "smtp_use_tls", "specify \"smtp_tls_security_level\"", false, false },
	{ "smtpd_client_connection_limit_exceptions", "specify \"smtpd_client_event_limit_exceptions\"", true, false },
	{ "smtpd_enforce_tls", "specify \"smtpd_tls_security_level\"", false, false },
	{ "smtpd_per_record_deadline", "specify \"smtpd_per_request_deadline\"", true, false },
	{ "smtpd_tls_dh1024_param_file", "do not specify (leave at default)", false, false },
	{ "smtpd_tls_eecdh_grade", "do not specify (leave at default)", false, false },
	{ "smtpd_use_tls", "specify \"smtpd_tls_security_level\"", false, false },
	{ "tlsproxy_client_enforce_tls", "specify \"tlsproxy_client_security_level\"", false, false },
	{ "tlsproxy_client_level", "specify \"tlsproxy_client_security_level\"", true, false },
	{ "tlsproxy_client_per_site", "specify \"tlsproxy_client_policy_maps\"", false, false },
	{ "tlsproxy_client_policy", "specify \"tlsproxy_client_policy_maps\"", true, false },
	{ "tlsproxy_client_use_tls", "specify \"tlsproxy_client_security_level\"", false, false },
	{ "tlsproxy_enforce_tls", "specify \"tlsproxy_tls_security_level\"", false, false },
	{ "tlsproxy_use_tls", "specify \"tlsproxy_tls_security_level\"", false, false },
	{ "virtual_maps", "specify \"virtual_alias_maps\"", true, false },
};

const char *
deprecated_instead(const char *name, bool *removed)
{
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (strcmp(names[i].name, name) == 0) {
			*removed = names[i].removed;
			return names[i].instead;
		}
	}
	return NULL;
}

bool
is_legacy_name(const char *name)
{
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (names[i].legacy && strcmp(names[i].name, name) == 0)
			return true;
	return false;
}
