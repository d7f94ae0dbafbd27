/*
 * stress.c - what changes while a service has reached its process limit: every number and switch whose default depends
 * on $stress. main.cf is read twice at start, as it is and with stress=yes, so that nothing needs to be read later, in the jail.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>

#include "conf/conf.h"
#include "conf/param.h"
#include "service/private.h"

static struct conf calm, stressed;
static bool prepared;

static size_t
number_size(enum param_type type)
{
	switch (type) {
	case PARAM_TYPE_BOOL:
	case PARAM_TYPE_NBOOL:
		return sizeof(bool);
	case PARAM_TYPE_INT:
	case PARAM_TYPE_TIME:
	case PARAM_TYPE_NINT:
		return sizeof(int);
	case PARAM_TYPE_LONG:
		return sizeof(long);
	default:
		return 0;		/* texts stay: what was made from them at start points to them */
	}
}

bool
stress_load(struct err *e)
{
	if (!service_options.stress_capable)
		return conf_load(NULL, e);
	conf_set_override("stress", "yes");
	if (!conf_load(NULL, e))
		return false;
	stressed = conf;
	conf_set_override("stress", "");
	if (!conf_load(NULL, e))
		return false;
	calm = conf;
	prepared = true;
	return true;
}

void
stress_set(bool on)
{
	const struct conf *from = on ? &stressed : &calm;
	size_t n;
	const struct param *p = param_all(&n);

	for (size_t i = 0; prepared && i < n; i++)
		memcpy((char *)&conf + p[i].offset, (const char *)from + p[i].offset, number_size(p[i].type));
}
