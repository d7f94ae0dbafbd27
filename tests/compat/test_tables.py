# SPDX-License-Identifier: ISC
"""What tables answer: patterns, networks, tables in memory and tables of tables, asked through postmap -q."""

import re

import pytest
from harness import Batch, Pair, dialogue

from test_commands import box, hide, result   # noqa: F401 (box is a fixture)
from test_postmap import folder

_batches = {}


def compare(pair, kind, make, cases, name, ours_expect=None):
    """One of a table of independent cases; the table's first case starts them all. Errors make the reference
    sleep a second, so many are run at a time."""
    if (kind, id(pair)) not in _batches:
        _batches[kind, id(pair)] = Batch(pair, {n: make(kind, i, cases[n]) for i, n in enumerate(cases)}, workers=32)
    return _batches[kind, id(pair)].compare(name, ours_expect)


def run_in(instance, directory, *args, **kw):
    return hide(result(instance, instance.run("postmap", *args, cwd=directory, **kw)), directory)


# --- files of patterns. Each: rules, keys.

ADDRESSES = "10.1.2.3 10.0.0.0 10.255.255.255 11.0.0.0 192.0.2.1 192.0.2.128 192.0.2.255 192.0.3.0 0.0.0.0 255.255.255.255 127.0.0.1 2001:db8::1 2001:DB8:0:0::1 2001:db8:1::1 ::1 :: ::ffff:10.1.2.3 fe80::1 text 10.1.2 10.1.2.3.4 [10.1.2.3] 10.1.2.3/8 010.1.2.3 1.2.3.4x host.example".split()
CIDR = {
    "plain": "10.0.0.0/8 ten\n192.0.2.1 one\n192.0.2.0/25 low\n192.0.2.0/24 all\n2001:db8::/32 six\n0.0.0.0/0 rest4\n::/0 rest6\n", "order": "10.1.2.3 a\n10.1.2.3 b\n10.0.0.0/8 c\n", "negated": "!10.0.0.0/8 not-ten\n10.0.0.0/8 ten\n", "negated6": "!2001:db8::/32 not-db8\n",
    "negated-blank": "! 10.0.0.0/8 x\n10.0.0.0/8 y\n", "twice-negated": "!!10.0.0.0/8 x\n", "if": "if 10.0.0.0/8\n10.1.0.0/16 in\n192.0.2.0/24 never\nendif\n192.0.2.0/24 out\n", "if-negated": "if !10.0.0.0/8\n0.0.0.0/0 outside\nendif\n0.0.0.0/0 inside\n", "nested": "if 10.0.0.0/8\nif 10.1.0.0/16\n10.1.2.0/24 deep\nendif\n10.0.0.0/8 mid\nendif\n0.0.0.0/0 top\n",
    "if-case": "IF 10.0.0.0/8\n10.1.2.3 x\nEndIf\n192.0.2.1 y\n", "if6": "if ::/0\n2001:db8::/32 six\nendif\n0.0.0.0/0 four\n", "if-open": "if 10.0.0.0/8\n10.1.2.3 x\n192.0.2.1 y\n", "endif-alone": "endif\n10.1.2.3 x\n", "endif-garbage": "if 10.0.0.0/8\n10.1.2.3 x\nendif foo\n192.0.2.1 y\n", "if-text": "if 10.0.0.0/8 foo\n10.1.2.3 x\nendif\n192.0.2.1 y\n",
    "if-nothing": "if\n10.1.2.3 x\nendif\n", "if-bad": "if junk\n10.1.2.3 x\nendif\n192.0.2.1 y\n", "if-blank": "if  ! 10.0.0.0/8\n192.0.2.1 x\nendif\n", "brackets": "[10.0.0.0]/8 a\n[2001:db8::]/32 b\n[192.0.2.0/24] c\n[::1] d\n", "brackets-bad": "[10.0.0.0/8 a\n[10.0.0.0]x b\n10.0.0.0]/8 c\n[] d\n[10.0.0.0]/ e\n192.0.2.1 ok\n",
    "bad": "junk x\n10.0.0.0/33 x\n10.0.0.0/ x\n10.0.0.0/-1 x\n10.0.0.0/a x\n10.0.0.0/8/8 x\n10.0.0.1/8 x\n2001:db8::1/32 x\n2001:db8::/129 x\n10.0.0/24 x\n10.0.0 x\n256.0.0.0/8 x\n1.2.3.4.5 x\n/8 x\n! x\n!\n192.0.2.1 ok\n", "no-result": "10.1.2.3\n10.0.0.0/8   \n192.0.2.1 ok\n",
    "result": "10.0.0.0/8   two  words $1 ${1} $$ # no comment  \n192.0.2.1 \"quoted\"\n", "continued": "10.0.0.0/8\n  ten\n  more\n192.0.2.0/24 a\n# c\n b\n", "first-blank": "  10.0.0.0/8 x\n192.0.2.1 y\n", "mask0": "10.0.0.0/0 x\n0.0.0.0/0 y\n", "mask-host": "10.1.2.3/32 a\n2001:db8::1/128 b\n", "zero-padded": "010.001.002.003 x\n10.0.0.0/08 y\n", "mapped": "::ffff:10.1.2.0/120 m\n::ffff:0:0/96 mm\n10.0.0.0/8 ten\n",
    "empty": "", "comments": "# x\n\n  # y\n", "colon": "2001:db8::/32: x\n::1: y\n", "utf8": "10.1.2.3 \u00fc\n192.0.2.1 x\n", "scope": "fe80::1%eth0 x\nfe80::/10 y\n", "deep": "if 0.0.0.0/0\n" * 50 + "10.1.2.3 x\n" + "endif\n" * 50, "dots": "10. x\n10.1. y\n.10 z\n10.1.2.3. w\n",
}
TEXTS = ["", "abc", "ABC", "a.c", "xabcx", "foo@bar.test", "Foo@Bar.Test", "user+ext@example.com", "example.com", "sub.example.com", "a b", "1.2.3.4", "$1", "a\\b", "a/b", "zzz", "hello world", "aaa", "if", "endif", "line", "ab", "aabb", "(x)", "x{2}", "tab\there"]
REGEXP = {
    "plain": "/^abc$/ exact\n/abc/ part\n/@/ at\n/./ any\n", "case": "/ABC/ upper\n/abc/i sensitive\n/foo/ lower\n", "flag-i": "/ABC/i x\n/abc/i y\n", "flag-ii": "/ABC/ii x\n", "flag-m": "/^b/m x\n/a$/m y\n", "flag-x": "/a+/x basic\n/a+/ ext\n/(x)/x literal\n", "flags": "/abc/imx z\n/foo/xi w\n", "bad-flag": "/abc/w x\n/abc/ y\n/foo/ik z\n/./ any\n", "long-flag": "/abc/iiiiii x\n",
    "subst": "/^(.*)@(.*)$/ u=$1 d=$2 all=$0\n/^(a)(b)?$/ [$1][$2]\n/(h)(z)?/ [$1$2]\n/^(.+)$/ <${1}> <$(1)> $1x $1$1\n", "subst-dollar": "/abc/ $$1 $$ a$$b\n/foo/ $\n/(.)/ x$\n", "subst-range": "/(abc)/ $2\n/(foo)/ $9 $10\n/(.)/ ok $1\n", "subst-bad": "/(a)/ ${\n/(b)/ ${1\n/(c)/ $(1\n/(f)/ ${}\n/(o)/ ${x}\n/(z)/ $x\n/(.)/ ok\n", "subst-cond": "/(a)(b)?/ ${1?yes}${2?no} ${2:none}\n",
    "subst-many": "/(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)/ $11 $10 $1\n", "subst-negative": "!/abc/ $1\n!/foo/ not-foo\n", "subst-zero": "/b/ [$0]\n/foo/ [${0}]\n", "negated": "!/a/ no-a\n/a/ a\n", "negated-blank": "! /a/ no-a\n/a/ a\n", "twice-negated": "!!/a/ x\n/./ y\n", "negated-flag": "!/A/i x\n/./ y\n",
    "delimiter": "|abc| pipe\n#foo# comment\n@a.c@ at\n:x: colon\n!/z/ bang\n\"a b\" quote\n%1% pct\n'zzz' q\n", "delimiter-escape": "/a\\/b/ slash\n/a\\\\b/ back\n", "delimiter-alnum": "aabca x\n1abc1 y\n/./ z\n", "delimiter-special": "(abc( x\n[a[ y\n.x. z\n", "no-close": "/abc\n/foo x\n/./ any\n", "no-text": "/abc/\n/foo/   \n/./ any\n", "text-blanks": "/abc/   two  words  \n/foo/\ttab\n",
    "no-blank": "/abc/x y\n/foo/bar\n/./ z\n", "empty-pattern": "// empty\n/abc/ x\n", "bad-regexp": "/(/ x\n/[/ x\n/a{2/ y\n/*/ z\n/a**/ zz\n/a\\/ x\n/)/ p\n/./ any\n", "if": "if /a/\n/b/ ab\n/c/ ac\nendif\n/z/ z\n", "if-negated": "if !/a/\n/./ no-a\nendif\n/./ a\n", "nested": "if /a/\nif /b/\n/c/ abc\nendif\n/^a/ starts\nendif\n/./ any\n", "if-case": "IF /a/\n/b/ x\nENDIF\n",
    "if-flag": "if /A/i\n/./ x\nendif\n/./ y\n", "if-text": "if /a/ foo\n/b/ x\nendif\n/./ any\n", "if-open": "if /a/\n/b/ x\n", "if-open-2": "if /zzz/\n/./ x\n/a/ y\n", "endif-alone": "endif\n/a/ x\n", "endif-text": "if /a/\n/b/ x\nendif foo\n/./ any\n", "if-nothing": "if\n/a/ x\nendif\n/./ y\n", "if-bad": "if /(/\n/a/ x\nendif\n/./ y\n", "if-blank": "if  ! /a/\n/./ x\nendif\n/./ y\n", "if-negated-glued": "if!/a/\n/./ x\nendif\n/./ y\n", "ifx": "ifx /a/\n/./ y\n", "endifx": "if /a/\n/b/ x\nendifx\n/./ y\n",
    "and-not": "/a/!/b/ a-not-b\n/./ any\n", "and-not-flags": "/A/i!/b/i x\n/foo/!/BAR/ y\n/./ any\n", "and-not-text": "/a/ !/b/ x\n/b/!/c/\n/./ y\n", "and-not-bad": "/a/!b x\n/a/!/b x\n/a/! x\n/./ y\n", "and-not-subst": "/(a)/!/(z)/ $1\n/(f)/!/(o)/ $2\n/./ y\n", "continued": "/abc/\n  one\n  two\n/foo/ a\n# c\n b\n", "first-blank": " /a/ x\n/b/ y\n", "if-indented": "if /a/\n  /b/ x\nendif\n/./ any\n",
    "unrecognized": "junk\nabc def\n=x= y\n~z~ t\n/./ any\n", "empty": "", "utf8": "/\u00fc/ umlaut\n/./ one\n", "classes": "/^[[:alpha:]]+$/ alpha\n/^[[:digit:].]+$/ digits\n/[[:space:]]/ space\n", "back": "/(a)\\1/ double\n/./ any\n", "anchors": "/^$/ empty\n/^a/ a\n/b$/ b\n", "alternate": "/^(foo|user)(.*)$/ $1:$2\n", "interval": "/^a{2,3}$/ x\n/^a{2}b{2}$/ y\n", "long": "/" + "a?" * 200 + "x/ y\n/./ any\n", "dollar-name": "/abc/ $foo ${bar} $(baz)\n/./ any\n", "percent": "/a/ %s %d %n\n", "nul": b"/a\0b/ x\n/./ y\n".decode(),
    "dup": "/abc/ first\n/abc/ second\n", "repeat": "/a+++/ x\n/^[*+?*+?*+?*+?]$/ set\n/[]+++++++++]/ set2\n/\\+\\+\\+/ esc\n/(a+)+*?/ y\n/./ any\n", "quote": "/abc/ \"q\" 'r'\n", "hash-in": "/abc/ x # y\n/#/ z\n", "deep": "if /a/\n" * 30 + "/b/ x\n" + "endif\n" * 30,
}
PCRE = {
    **{k: v for k, v in REGEXP.items() if not k.startswith("and-not") and k not in ("utf8", "flag-x", "flags", "bad-regexp", "long")},
    "flag-x": "/a b c/x spaced\n/a  # comment\n b/x y\n", "flag-s": "/a.c/s x\n", "flag-A": "/abc/A anchored\n/b/A no\n/bar/ x\n", "flag-E": "/abc$/E x\n", "flag-U": "/^(a+)(.*)$/U [$1][$2]\n", "flag-X": "/abc/X x\n/./ y\n", "flags": "/ABC/imsxAEU z\n", "perl": "/^\\w+\\s\\w+$/ words\n/\\d+\\./ digits\n/(?i)FOO/i x\n/^(?!a)./ not-a\n/^(?:ab)+$/ rep\n",
    "named": "/(?<x>abc)/ $1 ${x}\n/./ y\n", "and-not": "/a/!/b/ x\n/./ y\n", "bad": "/(/ x\n/[/ x\n/*/ z\n/(?<n/ q\n/\\/ x\n/)/ p\n/(?P<a>x)(?P<a>y)/ d\n/./ any\n", "lookbehind": "/(?<=foo)@/ x\n", "recursion": "/^(\\((?1)*\\))$/ x\n/./ any\n", "possessive": "/a++b/ x\n", "optional": "/(z)?(a)/ [$1][$2]\n", "ten": "/(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)/ $11-$10-$1\n/(a)/ ${1}0 $10\n", "reset": "/(?|(abc)|(foo))/ $1\n", "newline": "/a\\nb/ x\n/./ y\n",
}
RULES = {**{f"cidr {k}": ("cidr", v, ADDRESSES) for k, v in CIDR.items()}, **{f"regexp {k}": ("regexp", v, TEXTS) for k, v in REGEXP.items()}, **{f"pcre {k}": ("pcre", v, TEXTS) for k, v in PCRE.items()}}


def rules_case(kind, number, case):
    table, text, keys = case
    if "\u00fc" in text or "\u00dc" in text:
        keys = keys + ["\u00fc", "\u00dc"]

    def run(instance):
        directory = folder(instance, f"{kind}{number}", f=text)
        out = [run_in(instance, directory, "-q", "-", f"{table}:f", input="\n".join(keys) + "\n")]
        if number % 6 == 0:     # the other ways of asking
            out += [run_in(instance, directory, *o, "-q", k, f"{table}:f") for o, k in ((["-f"], "ABC"), (["-u"], "\u00fc"), ([], "a"))]
        if "\0" in text and instance.suite.is_ours:    # 3.11 warns (facts: commands 2.1)
            warning = "postmap: warning: f, line 1: text after null byte may be ignored\n"
            assert all(warning in err for _, _, err in out)
            out = [(rc, text, err.replace(warning, "")) for rc, text, err in out]
        return out
    return run


@pytest.mark.parametrize("name", RULES)
def test_rules(box, name):   # noqa: F811
    compare(box, "rules", rules_case, RULES, name, RULES_OURS.get(name))


RULES_OURS = {}

# --- tables in the name

SPECS = {f"{s} {k!r}": (s, k) for s, ks in {
    "inline:{a=1}": "a A b", "inline:{a=1, b=2}": "a b", "inline:{ a=1 b=2 }": "a b", "inline:{a=1,a=2}": "a", "inline:{A=1}": "a A", "inline:{{a = x y}, {b=z}}": "a b", "inline:{{a=}}": "a", "inline:{a=}": "a", "inline:{=x}": "a", "inline:{a}": "a", "inline:{a b=c}": "a b", "inline:{{a b=c}}": "a", "inline:{a = b}": "a", "inline:{a=b c}": "a", "inline:": "a", "inline:{": "a", "inline:}": "a",
    "inline:{}": "a", "inline:{ }": "a", "inline:{,}": "a", "inline:a=b": "a", "inline:{a=b}x": "a", "inline:{a=b} ": "a", "inline:{{a=b}": "a", "inline:{{a=b}}x": "a", "inline:{{{a=b}}}": "a", "inline:{{a=b}c}": "a", "inline:{a={b}}": "a", "inline:{a={b c}}": "a", "inline:{\"x y\"=1}": "x", "inline:{{\"x y\"=1}}": "x", "inline:{a=b=c}": "a", "inline:{\u00fc=1}": "\u00fc \u00dc", "inline:{a=$x}": "a", "inline:{a=#b}": "a", "inline:{#a=b}": "a", "inline:{a:b=c}": "a:b", "inline:{{a\tb=c}}": "a",
    "static:x": "a b", "static:{x y}": "a", "static:{ x  y }": "a", "static:": "a", "static:{}": "a", "static:{": "a", "static:{x}y": "a", "static:x y": "a", "static:{{x}}": "a", "static:a:b": "a", "static: x": "a", "static:$x": "a", "static:\u00fc": "a", "fail:x": "a", "fail:": "a", "environ:x": "PATH HOME path NOSUCH", "environ:": "PATH",
    "randmap:{x}": "a", "randmap:{{x y}}": "a", "randmap:{x,x,x}": "a b", "randmap:{}": "a", "randmap:{ }": "a", "randmap:x": "a", "randmap:{x": "a", "randmap:{x}y": "a", "randmap:{{x}y}": "a", "randmap:{{}}": "a", "randmap:{{x},{x}}": "a", "randmap:": "a",
    "unionmap:{static:a,static:b}": "x", "unionmap:{static:a}": "x", "unionmap:{static:a static:b}": "x", "unionmap:{inline:{a=1},inline:{a=2}}": "a b", "unionmap:{inline:{a=1},fail:x}": "a b", "unionmap:{fail:x,static:a}": "a", "unionmap:{}": "x", "unionmap:{ }": "x", "unionmap:x": "x", "unionmap:{x}": "x", "unionmap:{static:a": "x", "unionmap:{static:a}x": "x", "unionmap:{nosuch:a}": "x", "unionmap:{regexp:/nonexistent}": "x", "unionmap:": "x",
    "unionmap:{{static:a b}}": "x", "unionmap:{unionmap:{static:a,static:b},static:c}": "x", "unionmap:{pipemap:{static:a,inline:{a=z}},static:c}": "x", "unionmap:{inline:{a=x,b=y},inline:{b=z}}": "a b c", "unionmap:{inline:{a=},static:b}": "a", "unionmap:{static:a,,static:b}": "x", "unionmap:{environ:x}": "NOSUCH",
    "pipemap:{static:a,static:b}": "x", "pipemap:{inline:{a=b},inline:{b=c}}": "a b", "pipemap:{inline:{a=b},inline:{c=d}}": "a", "pipemap:{inline:{a=b},fail:x}": "a b", "pipemap:{fail:x,static:a}": "a", "pipemap:{}": "x", "pipemap:x": "x", "pipemap:{static:a": "x", "pipemap:{static:a}x": "x", "pipemap:{nosuch:a}": "x", "pipemap:{inline:{a=B},inline:{b=c}}": "a", "pipemap:{unionmap:{static:a,static:b},regexp:{{/(.*)/ <$1>}}}": "x",
    "pipemap:{inline:{a=},static:x}": "a", "pipemap:{{inline:{a=b}},{static:y}}": "a", "pipemap:": "x", "pipemap:{static:a}": "x", "pipemap:{inline:{{a=x y}},inline:{{x y=z}}}": "a",
    "regexp:{{/a/ b}}": "a c", "regexp:{{/a/ b}, {/c/ d}}": "a c", "regexp:{/a/ b}": "a", "regexp:{{/a/ b}": "a", "regexp:{{/a/ b}}x": "a", "regexp:{}": "a", "regexp:{{}}": "a", "regexp:{{/(a/ b}}": "a", "regexp:{{if /a/} {/b/ x} {endif}}": "ab b", "regexp:{ {/{/ b} }": "{", "regexp:{{/a/ {b c}}}": "a", "regexp:{a}": "a", "regexp:{{/a/ b}c}": "a", "regexp:{{!/a/ b}}": "a c", "regexp:": "a", "regexp:/nonexistent": "a", "regexp:.": "a",
    "pcre:{{/a(.)/ b$1}}": "ax", "pcre:{{/a/ b}": "a", "pcre:{{/a{2}/ b}}": "aa a", "pcre:{}": "a", "pcre:{a": "a", "pcre:/nonexistent": "a", "cidr:{{10.0.0.0/8 x}}": "10.1.1.1 11.1.1.1", "cidr:{10.0.0.0/8 x}": "10.1.1.1", "cidr:{{10.0.0.0/8 x}": "10.1.1.1", "cidr:{{if 10.0.0.0/8} {10.1.1.1 x} {endif}}": "10.1.1.1", "cidr:{{junk x}}": "10.1.1.1", "cidr:{}": "10.1.1.1", "cidr:{{}}": "10.1.1.1", "pcre:{{}}": "a", "inline:{{\"x y\"=1}}": "x", "inline:{{\"a=b}}": "a", "inline:{\"a=b\"=c}": "\"a=b\"", "inline:{\\\"a=c}": "a", "cidr:a": "10.1.1.1", "cidr:{a": "10.1.1.1", "cidr:{{10.0.0.0/8 x}}y": "10.1.1.1", "cidr:{{10.0.0.1/8 x}}": "10.1.1.1",
    "unix:passwd.byname": "root ROOT nosuchuser_x daemon 0", "unix:group.byname": "root daemon nosuchgroup_x ROOT", "unix:nosuch": "root", "unix:": "root", "unix:passwd": "root", "texthash:/nonexistent": "a", "texthash:": "a", "texthash:/": "a", "nosuch:x": "a", "x": "a", ":x": "a", "a b:x": "a", "proxy:": "a", "internal:x": "a", "lmdb:": "a", "hash:": "a", "Static:x": "a", "STATIC:x": "a",
}.items() for k in ks.split()}


def spec_case(kind, number, case):
    spec, key = case

    def run(instance):
        rc, out, err = run_in(instance, "/", "-q", key, spec)
        return rc, out, err
    return run


@pytest.mark.parametrize("name", SPECS)
def test_spec(box, name):   # noqa: F811
    compare(box, "spec", spec_case, SPECS, name, SPECS_OURS.get(name))


SPECS_OURS = {
    # The reference takes a directory for an empty file.
    "regexp:. 'a'": (1, "", "postmap: fatal: read .: Is a directory\n"),
}


PCRE_UTF8 = "/^.$/ one-char\n/^\u00dc\\w/ umlaut\n/^\\p{L}{3}$/ letters\n/^\\w/ word\n"


@pytest.mark.parametrize("key,value", [("\u00fc", "one-char"), ("\u00fcb", "umlaut"), ("\u00dcb", "umlaut"), ("\u00e4\u00f6\u00fc", "letters")])
def test_pcre_utf8(box, key, value):   # noqa: F811
    """3.11 matches characters, not bytes (facts: tables 5.3); the reference does not yet."""
    if box.ours is None or not box.ours.suite.is_ours:
        pytest.skip("needs the suite under test")
    path = box.ours.write(f"{box.ours.base}/pcre-utf8", PCRE_UTF8)
    assert box.ours.run("postmap", "-q", key, f"pcre:{path}").stdout == value + "\n"

# --- which keys are looked for, in which order. Table number i has the keys from the i-th on, so that the log tells
# for each what is found when the better ones are missing.

CLIENT = ["localhost", "127.0.0.1", "127.0.0.", "127.0.0", "127.0", "127.", "127", "localdomain", "*", "[127.0.0.1]", "127.0.0.0/8"]
HELO = ["mx.sub.example.com", "sub.example.com", ".sub.example.com", "example.com", ".example.com", "com", ".com", "*", "192.0.2.1", "192.0.2", "[192.0.2.1]", "mx", "unknown"]
ADDRESS = ["us.er+ext@sub.example.com", "us.er@sub.example.com", "sub.example.com", ".sub.example.com", "example.com", ".example.com", "com", ".com", "us.er+ext@", "us.er@", "us.er", "@sub.example.com", "*", "<>",
           '"a b"@x.org', "x.org", '"a b"@', "org", "[192.0.2.1]", "192.0.2.1", "x@", "postmaster", "postmaster@"]


def chain(check, keys):
    """Restrictions that warn of what they find."""
    def entry(i, key):
        return "{{{} = WARN t{} {}}}".format(key, i, key.replace('"', "'"))
    return ", ".join(f"{check} inline:{{ {' '.join(entry(i, k) for k in keys[i:])} }}" for i in range(len(keys)))


OPEN = {"smtpd_relay_restrictions": "permit_mynetworks, reject", "smtpd_reject_unlisted_recipient": "no", "smtpd_recipient_restrictions": "permit_mynetworks"}
SERVICES = {}
for _v, _o in (("", {}), ("dot", {"parent_domain_matches_subdomains": ""})):
    SERVICES["client" + _v] = {**OPEN, **_o, "smtpd_client_restrictions": chain("check_client_access", CLIENT)}
    SERVICES["helo" + _v] = {**OPEN, **_o, "smtpd_helo_restrictions": chain("check_helo_access", HELO)}
    SERVICES["sender" + _v] = {**OPEN, **_o, "smtpd_sender_restrictions": chain("check_sender_access", ADDRESS)}
    SERVICES["recipient" + _v] = {**OPEN, **_o, "smtpd_recipient_restrictions": chain("check_recipient_access", ADDRESS) + ", permit_mynetworks"}
TRANSPORTS = "{us+ext@d1.test = error:5.1.2 full} {us@d1.test = error:5.1.2 user} {d1.test = error:5.1.2 domain} {.test = error:5.1.2 top} {us@d2.test = error:5.1.2 user} {d2.test = error:5.1.2 domain} {d3.test = error:5.1.2 domain} {.p4.test = error:5.1.2 dot} " \
             "{p5.test = error:5.1.2 parent} {.y.p6.test = error:5.1.2 nearer} {.p6.test = error:5.1.2 farther} {@d7.test = error:5.1.2 at} {\"q r\"@d8.test = error:5.1.2 quoted} {[192.0.2.9] = error:5.1.2 literal} {D10.test = error:5.1.2 upper} {us = error:5.1.2 bare}"


PROXIED = "proxy:texthash:@config@/px, proxy:texthash:/nonexistent/px proxy:nosuch:x proxy:inline:{{a = b c}} proxy:{bad} proxy:proxy:static:twice proxy:static:x proxy:regexp:@config@/re proxy:unix:passwd.byname, texthash:@config@/px2"
PROXY_KEYS = {
    "proxy:texthash:@/px": "k K nosuch empty two", "proxy:texthash:@/px2": "k", "proxy:texthash:/etc/passwd": "k", "proxy:texthash:/nonexistent/px": "k", "proxy:nosuch:x": "k", "proxy:inline:{{a = b c}}": "a b", "proxy:inline:{{a=b c}}": "a", "proxy:proxy:static:twice": "k", "proxy:static:x": "k", "proxy:static:y": "k",
    "proxy:regexp:@/re": "abc ABC x", "proxy:unix:passwd.byname": "root nosuchuser_x", "proxy:": "k", "proxy:x": "k", "proxy:static:": "k", "unionmap:{proxy:static:x,static:z}": "k", "unionmap:{proxy:static:y,static:z}": "k", "proxy:unionmap:{static:a}": "k", "proxy:proxy:proxy:static:x": "k",
}
PROXY_CASES = {f"{t} {k}": (t, k) for t, ks in PROXY_KEYS.items() for k in ks.split()}


@pytest.fixture(scope="module")
def lookups():
    pair = Pair(main={"recipient_delimiter": "+", "transport_maps": f"inline:{{ {TRANSPORTS} }}", "relay_domains": "test, example.com, x.org, com", "proxy_read_maps": PROXIED, "mydestination": "localhost", "smtpd_error_sleep_time": "0", "smtpd_hard_error_limit": "100",
                      "smtpd_soft_error_limit": "100", "smtp_tls_security_level": ""}, smtpd={"smtp": {**OPEN, "smtpd_reject_unlisted_recipient": "yes"}, **SERVICES})
    for i in pair.instances:
        i.write("px", "k value\nTwo two  words\n")
        i.write("px2", "k other\n")
        i.write("re", "/^(a.c)$/ <$1>\n")
    pair.start()
    yield pair
    pair.destroy()


TALK = {
    "client": ["EHLO a", "MAIL FROM:<a@b.test>", "RCPT TO:<x@d.test>"],
    "helo": [f for h in ("Mx.Sub.Example.COM", "[192.0.2.1]", "192.0.2.1", "mx", "unknown", "a.b.c.d.e") for f in (f"EHLO {h}", "MAIL FROM:<a@b.test>", "RCPT TO:<x@d.test>", "RSET")],
    "sender": ["EHLO a"] + [f for a in ("Us.Er+Ext@Sub.Example.COM", "us.er@sub.example.com", "other@example.com", "", '"a b"@x.org', "x@[192.0.2.1]", "us.er+ext", "us.er+a+b@deep.sub.example.com", "postmaster", "+ext@example.com", "us.er+@example.com")
                            for f in (f"MAIL FROM:<{a}>", "RCPT TO:<x@d.test>", "RSET")],
    "recipient": ["EHLO a"] + [f for a in ("Us.Er+Ext@Sub.Example.COM", "us.er@sub.example.com", "other@example.com", '"a b"@x.org', "x@[192.0.2.1]", "us.er+a+b@deep.sub.example.com", "postmaster", "+ext@example.com", "us.er+@example.com") for f in ("MAIL FROM:<a@b.test>", f"RCPT TO:<{a}>", "RSET")],
}


@pytest.mark.parametrize("service", SERVICES)
def test_access_keys(lookups, service):
    steps = TALK[service.replace("dot", "")] + ["QUIT"]

    def run(instance):
        mark = instance.mark()
        replies = dialogue(instance.port(service), steps)
        lines = instance.wait_log(r"smtpd\[\d+\]: disconnect from", mark)
        return [instance.normal().text(r) for r in replies[1:]], [line.partition(": warn: ")[2] for line in lines if ": warn: " in line]
    got = lookups.compare(run)
    assert got[1] or not lookups.ours


TRANSPORT_KEYS = ["us+ext@d1.test", "us@d1.test", "other@d1.test", "us+ext@d2.test", "other@d2.test", "us+ext@d3.test", "u@x.p4.test", "u@p4.test", "u@sub.p5.test", "u@p5.test", "u@x.y.p6.test", "u@y.p6.test", "u@x.p6.test", "u@d7.test", '"q r"@d8.test', '"q r"@d9.test', "u@[192.0.2.9]", "u@D10.TEST", "US+EXT@D1.TEST", "us+x+y@d2.test", "u@other.test", "u@a.b.other.test", "us"]


def test_transport_keys(lookups):
    def run(instance):
        mark = instance.mark()
        steps = ["EHLO a"] + [f for a in TRANSPORT_KEYS for f in ("MAIL FROM:<a@b.test>", f"RCPT TO:<{a}>", "RSET")] + ["QUIT"]
        replies = dialogue(instance.port("smtp"), steps)
        instance.wait_log(r"smtpd\[\d+\]: disconnect from", mark)
        return [instance.normal().text(r) for r in replies[3::3]]
    got = lookups.compare(run)
    assert any("5.1.2" in r for r in got)


def proxy_case(kind, number, case):
    spec, key = case

    def run(instance):
        mark = instance.mark()
        rc, out, err = hide(result(instance, instance.run("postmap", "-q", key, spec.replace("@", instance.config), timeout=15)), instance.base)
        return rc, out, err.replace(instance.config, "CONFIG")
    return run


@pytest.mark.parametrize("name", PROXY_CASES)
def test_proxy(lookups, name):
    """What proxymap answers for, what it refuses, and how the client ends."""
    # The service of the reference reads texthash: before it knows that keys are to be folded.
    compare(lookups, "proxy", proxy_case, PROXY_CASES, name, (0, "two  words\n", "") if name.endswith("/px two") else None)
