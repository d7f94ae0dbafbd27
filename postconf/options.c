/*
 * options.c - which options go together.
 *
 * SPDX-License-Identifier: ISC
 */
#include "base/log.h"
#include "conf/conf.h"
#include "postconf/postconf.h"

static const char *const option_name[OPT_COUNT] = {
	"-a", "-A", "-b", "-C", "-d", "-e", "-f", "-F", "-h", "-H", "-j", "-l", "-m", "-M", "-n", "-o", "-p", "-P",
	"-t", "-T", "-x", "-X", "-#", "-PP", "--later", "--manual",
	"--check", "--explain", "--json",
};

#define B	BIT

/* Of each set one at most. */
static const unsigned exclusive[] = {
	B(OPT_a) | B(OPT_A) | B(OPT_b) | B(OPT_l) | B(OPT_m) | B(OPT_t) | B(OPT_T) | B(OPT_p) | B(OPT_M) | B(OPT_F) | B(OPT_P),
	B(OPT_PP) | B(OPT_e) | B(OPT_comment) | B(OPT_X),
	B(OPT_d) | B(OPT_e) | B(OPT_n) | B(OPT_comment) | B(OPT_X),
	B(OPT_f) | B(OPT_e) | B(OPT_comment) | B(OPT_X),
	B(OPT_x) | B(OPT_e) | B(OPT_comment) | B(OPT_X),
	B(OPT_o) | B(OPT_d) | B(OPT_e) | B(OPT_comment) | B(OPT_X),
	B(OPT_h) | B(OPT_H) | B(OPT_e) | B(OPT_comment) | B(OPT_X),
};

#define UNCHECKED	B(OPT_C)

static const struct {
	unsigned option, with;
} compatible[] = {
	{ OPT_a, 0 }, { OPT_A, 0 }, { OPT_b, 0 }, { OPT_l, 0 }, { OPT_m, 0 }, { OPT_T, 0 }, { OPT_t, 0 },
	{ OPT_p, B(OPT_e) | B(OPT_X) | B(OPT_comment) | B(OPT_f) | B(OPT_h) | B(OPT_x) | B(OPT_d) | B(OPT_n) | B(OPT_o) |
	    B(OPT_H) | B(OPT_j) },
	{ OPT_M, B(OPT_e) | B(OPT_X) | B(OPT_comment) | B(OPT_f) | B(OPT_o) | B(OPT_x) | B(OPT_j) },
	{ OPT_F, B(OPT_e) | B(OPT_f) | B(OPT_h) | B(OPT_o) | B(OPT_x) | B(OPT_H) | B(OPT_j) },
	{ OPT_P, B(OPT_e) | B(OPT_X) | B(OPT_f) | B(OPT_h) | B(OPT_o) | B(OPT_x) | B(OPT_H) | B(OPT_j) | B(OPT_PP) },
	{ OPT_PP, B(OPT_f) | B(OPT_h) | B(OPT_o) | B(OPT_x) | B(OPT_H) | B(OPT_j) | B(OPT_P) },
	{ OPT_check, 0 }, { OPT_explain, 0 }, { OPT_json, B(OPT_e) | B(OPT_p) },
	{ OPT_j, B(OPT_p) | B(OPT_M) | B(OPT_F) | B(OPT_P) | B(OPT_o) | B(OPT_x) | B(OPT_n) | B(OPT_d) },
};

static void
list_names(unsigned set, struct buf *out)
{
	for (unsigned i = 0; i < OPT_COUNT; i++)
		if (set & B(i))
			buf_printf(out, "%s%s", out->n > 0 ? ", " : "", option_name[i]);
}

void
options_check(void)
{
	struct buf names = {0};

	if (HAS(OPT_b) && HAS(OPT_t))
		log_fatal("specify one of -b and -t");
	for (size_t i = 0; i < sizeof exclusive / sizeof exclusive[0]; i++) {
		const unsigned given = options & exclusive[i];

		if ((given & (given - 1)) != 0) {
			list_names(given, &names);
			log_fatal("specify one of %s", buf_cstr(&names));
		}
	}
	for (size_t i = 0; i < sizeof compatible / sizeof compatible[0]; i++) {
		const unsigned bad = options & ~(compatible[i].with | B(compatible[i].option) | UNCHECKED);

		if ((options & B(compatible[i].option)) && bad != 0) {
			list_names(bad, &names);
			log_fatal("with option %s, do not specify %s", option_name[compatible[i].option], buf_cstr(&names));
		}
	}
}

void
classes_parse(const char *list)
{
	static const struct {
		const char *name;
		unsigned class;
	} names[] = {
		{ "builtin", CLASS_BUILTIN }, { "service", CLASS_SERVICE }, { "user", CLASS_USER }, { "all", CLASS_ALL },
	};
	struct span rest = span_str(list), word;

	classes = 0;
	while (span_take_word(&rest, ", \t\r\n", &word)) {
		size_t i = 0;

		while (i < sizeof names / sizeof names[0] && !span_iis(word, names[i].name))
			i++;
		if (i == sizeof names / sizeof names[0])
			log_fatal("unknown -C option value \"%.*s\" in \"%s\"", SPAN_ARG(word), list);
		classes |= names[i].class;
	}
}
