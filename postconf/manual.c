/*
 * manual.c - postconf(5), made from the table of parameters.
 *
 * SPDX-License-Identifier: ISC
 */
#include "conf/conf.h"
#include "conf/param.h"
#include "postconf/postconf.h"

static const char *const type_name[] = {
	[PARAM_TYPE_BOOL] = "yes or no", [PARAM_TYPE_INT] = "number", [PARAM_TYPE_LONG] = "number",
	[PARAM_TYPE_TIME] = "time", [PARAM_TYPE_STRING] = "text", [PARAM_TYPE_ENUM] = "one of some words",
	[PARAM_TYPE_RAW] = "text with $names of its own", [PARAM_TYPE_NBOOL] = "yes or no", [PARAM_TYPE_NINT] = "number",
	[PARAM_TYPE_COMPUTED] = "text",
};

/* Text that roff must not interpret. */
static void
put_text(struct buf *out, const char *text)
{
	for (const char *p = text; *p != '\0'; p++) {
		if (*p == '\\')
			buf_str(out, "\\e");
		else if (*p == '-')
			buf_str(out, "\\-");
		else if ((*p == '.' || *p == '\'') && p == text)
			buf_printf(out, "\\&%c", *p);
		else
			buf_byte(out, *p);
	}
}

static void
put_entry(struct buf *out, const char *name, const char *def, enum param_type type, const char *meaning)
{
	buf_str(out, ".TP\n.B ");
	put_text(out, name);
	buf_str(out, " (default: ");
	put_text(out, type == PARAM_TYPE_COMPUTED ? "see below" : *def != '\0' ? def : "empty");
	buf_str(out, ")\n");
	put_text(out, meaning);
	buf_printf(out, " (%s).\n", type_name[type]);
}

void
show_manual(void)
{
	static const char head[] =
	    ".\\\" SPDX-License-Identifier: ISC\n.\\\" Made by postconf --manual from the params.def files; do not edit.\n"
	    ".TH POSTCONF 5\n.SH NAME\npostconf \\- Posthaste configuration parameters\n"
	    ".SH DESCRIPTION\nThe file main.cf sets parameters, one logical line each:\n.I name = value\n"
	    "A line that starts with white space continues the one before it; empty lines and lines whose first text is\n.B #\n"
	    "are skipped. In a value $name and ${name} stand for the value of another parameter, ${name?{text}:{text}}\n"
	    "and ${{text} == {text} ? {text} : {text}} choose. A time is a number and one of s, m, h, d, w.\n"
	    "The parameters have the names, defaults and meaning that they have in Postfix.\n.SH PARAMETERS\n";
	struct buf out = {0};
	size_t n;
	const struct param *all = param_all(&n);
	const struct param_family *families;

	buf_str(&out, head);
	for (size_t i = 0; i < n; i++) {
		put_entry(&out, all[i].name, all[i].def, all[i].type, all[i].meaning);
		if (param_is_later(&all[i]))
			buf_str(&out, "Not acted upon yet.\n");
	}
	buf_str(&out, ".SH PARAMETERS OF DELIVERY SERVICES\nEach exists once for each service of master.cf that delivers "
	    "mail:\n.I service\nis the first column.\n");
	families = param_families(&n);
	for (size_t i = 0; i < n; i++)
		put_entry(&out, arena_printf(memory, "service%s", families[i].suffix), families[i].def, families[i].type,
		    families[i].meaning);
	buf_str(&out, ".SH SEE ALSO\npostconf(1), master(5)");
	print_line(buf_cstr(&out));
	print_flush();
	buf_free(&out);
}
