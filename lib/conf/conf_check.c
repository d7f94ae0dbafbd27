/*
 * conf_check.c - what every program but postconf(1) checks at start: names, accounts, identities.
 *
 * SPDX-License-Identifier: ISC
 */
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/conf.h"
#include "conf/own_address.h"

#define HOSTNAME_MAX	255
#define LABEL_MAX	63

/* An account or group that a parameter names. */
struct identity {
	const char *parameter, *name;
	unsigned long uid, gid;
	bool is_group;
};

static bool
bad_parameter(struct err *e, const char *parameter, const char *what, const char *value)
{
	return err_perm(e, "file %s/main.cf: parameter %s: %s: %s", conf.config_directory, parameter, what, value);
}

static bool
valid_hostname(const char *name)
{
	const struct span s = span_str(name);
	size_t label = 0;
	bool numeric = true;

	if (s.n == 0) {
		log_warning("valid_hostname: empty hostname");
		return false;
	}
	for (size_t i = 0; i < s.n; i++) {
		const char c = s.p[i];
		const bool edge = i == 0 || i + 1 == s.n;

		if (c == '.' ? edge || s.p[i + 1] == '.' : c == '-' && (edge || s.p[i - 1] == '.' || s.p[i + 1] == '.')) {
			log_warning("valid_hostname: misplaced %s: %s", c == '.' ? "delimiter" : "hyphen", name);
			return false;
		}
		if (c != '.' && c != '-' && c != '_' && !ascii_alnum(c)) {
			log_warning("valid_hostname: invalid character %d(decimal): %s", (unsigned char)c, name);
			return false;
		}
		label = c == '.' ? 0 : label + 1;
		if (label > LABEL_MAX) {
			log_warning("valid_hostname: hostname label too long: %.100s", name);
			return false;
		}
		numeric &= c == '.' || ascii_digit(c);
	}
	if (s.n > HOSTNAME_MAX)
		log_warning("valid_hostname: bad length %zu for %.100s...", s.n, name);
	else if (numeric)
		log_warning("valid_hostname: numeric hostname: %s", name);
	return s.n <= HOSTNAME_MAX && !numeric;
}

static bool
check_names(struct err *e)
{
	if (!valid_hostname(conf.myhostname))
		return bad_parameter(e, "myhostname", "bad parameter value", conf.myhostname);
	if (!valid_hostname(conf.mydomain))
		return bad_parameter(e, "mydomain", "bad parameter value", conf.mydomain);
	if (strcasecmp(conf.myhostname, conf.relayhost) == 0)
		return err_perm(e, "myhostname and relayhost parameter settings must not be identical: %s", conf.myhostname);
	if (strpbrk(conf.myorigin, ", \t\r\n") != NULL)
		return err_perm(e, "myorigin parameter setting must not contain multiple values: %s", conf.myorigin);
	return true;
}

static bool
find_user(struct identity *id, struct err *e)
{
	const struct passwd *pw = getpwnam(id->name);

	if (pw == NULL)
		return bad_parameter(e, id->parameter, "unknown user name value", id->name);
	id->uid = pw->pw_uid;
	id->gid = pw->pw_gid;
	if (id->uid == 0 || id->gid == 0)
		return err_perm(e, "file %s/main.cf: parameter %s: user %s has privileged %s ID", conf.config_directory,
		    id->parameter, id->name, id->uid == 0 ? "user" : "group");
	return true;
}

static bool
find_group(struct identity *id, struct err *e)
{
	const struct group *gr = getgrnam(id->name);

	if (gr == NULL)
		return bad_parameter(e, id->parameter, "unknown group name", id->name);
	id->gid = gr->gr_gid;
	if (id->gid == 0)
		return err_perm(e, "file %s/main.cf: parameter %s: group %s has privileged group ID", conf.config_directory,
		    id->parameter, id->name);
	return true;
}

/* Numbers must not have a second name: what is meant for one account would reach the other. */
static bool
check_one_name(const struct identity *id, struct err *e)
{
	const struct passwd *pw = id->is_group ? NULL : getpwuid((uid_t)id->uid);
	const struct group *gr = id->is_group ? getgrgid((gid_t)id->gid) : NULL;

	if (pw != NULL && strcmp(pw->pw_name, id->name) != 0)
		return err_perm(e, "file %s/main.cf: parameter %s: user %s has the same user ID %lu as user %s",
		    conf.config_directory, id->parameter, id->name, id->uid, pw->pw_name);
	if (gr != NULL && strcmp(gr->gr_name, id->name) != 0)
		return err_perm(e, "file %s/main.cf: parameter %s: group %s has the same group ID %lu as group %s",
		    conf.config_directory, id->parameter, id->name, id->gid, gr->gr_name);
	return true;
}

static bool
check_distinct(const struct identity *a, const struct identity *b, struct err *e)
{
	const char *dir = conf.config_directory;

	if (!b->is_group && a->uid == b->uid)
		return err_perm(e, "file %s/main.cf: parameters %s and %s: users %s and %s have the same user ID: %lu", dir,
		    a->parameter, b->parameter, a->name, b->name, a->uid);
	if (a->gid != b->gid)
		return true;
	if (b->is_group)
		return err_perm(e, "file %s/main.cf: parameters %s and %s: user %s and group %s have the same group ID: %lu", dir,
		    a->parameter, b->parameter, a->name, b->name, a->gid);
	return err_perm(e, "file %s/main.cf: parameters %s and %s: users %s and %s have the same group ID: %lu", dir,
	    a->parameter, b->parameter, a->name, b->name, a->gid);
}

/* A suite that a normal user runs has that one account for everything. */
static bool
is_rootless(void)
{
	const struct passwd *pw = geteuid() != 0 ? getpwnam(conf.mail_owner) : NULL;

	return pw != NULL && pw->pw_uid == geteuid();
}

static bool
check_identities(struct err *e)
{
	struct identity privs = { .parameter = "default_privs", .name = conf.default_privs };
	struct identity owner = { .parameter = "mail_owner", .name = conf.mail_owner };
	struct identity group = { .parameter = "setgid_group", .name = conf.setgid_group, .is_group = true };

	if (is_rootless())
		return true;
	if (!find_user(&privs, e) || !find_user(&owner, e) || !check_one_name(&owner, e) || !find_group(&group, e) ||
	    !check_one_name(&group, e))
		return false;
	if (strcmp(privs.name, owner.name) == 0)
		return err_perm(e, "file %s/main.cf: parameters default_privs and mail_owner specify the same user %s",
		    conf.config_directory, privs.name);
	return check_distinct(&privs, &owner, e) && check_distinct(&privs, &group, e) && check_distinct(&owner, &group, e);
}

static bool
check_verp(struct err *e)
{
	static const char *const which[] = { "first", "second" };

	for (size_t i = 0; i < 2; i++)
		if (strchr(conf.verp_delimiter_filter, conf.default_verp_delimiters[i]) == NULL)
			return err_perm(e, "file %s/main.cf: parameters default_verp_delimiters and verp_delimiter_filter: "
			    "bad %s VERP delimiter character", conf.config_directory, which[i]);
	return true;
}

bool
conf_check(struct err *e)
{
	bool ipv4, ipv6;
	int facility;

	if (!log_facility(conf.syslog_facility, &facility))
		return bad_parameter(e, "syslog_facility", "unrecognized value", conf.syslog_facility);
	return inet_protocols_parse(conf.inet_protocols, &ipv4, &ipv6, e) && check_names(e) && check_identities(e) &&
	    check_verp(e);
}
