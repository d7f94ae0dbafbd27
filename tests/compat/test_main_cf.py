# SPDX-License-Identifier: ISC
"""The language of main.cf: lines, expansion, types of values. Each case is a main.cf of its own."""

import os
import re

import pytest
from harness import Batch

from test_commands import box, fresh, hide, result   # noqa: F401 (box is a fixture)

_batches = {}


def compare(pair, kind, make, cases, name, ours_expect=None):
    """One of a table of independent cases; the table's first case starts them all. Errors make the reference
    sleep a second, so many are run at a time."""
    if (kind, id(pair)) not in _batches:
        _batches[kind, id(pair)] = Batch(pair, {n: make(kind, i, cases[n]) for i, n in enumerate(cases)}, workers=32)
    return _batches[kind, id(pair)].compare(name, ours_expect)


def table(items):
    """Readable test names that stay unique."""
    out = {}
    for item in items:
        text = repr(item)[:60]
        out[text if text not in out else f"{text} #{len(out)}"] = item
    return out


# --- expansion

NAMES = """foo = bar
empty =
n = 10
m = 9
list = a, b  c
brace = {x}
nested = $foo$foo
deep = ${nested}
user-name = dash
a1 = one
inner = foo
cond = ${foo?{yes}:{no}}
smtpd_banner = $foo $empty $n $m $list $brace $nested $deep $a1 $inner $cond
"""
GOOD = table([
    "$foo", "${foo}", "$(foo)", "$foo.x", "$foo-x", "x$foo", "$foo$n", "${ foo }", "$( foo )", "${ foo}", "$foo_", "$a1", "$1", "$9x", "$nosuch",
    "${nosuch}", "$$", "$$foo", "$$$foo", "$$$$", "a$$b", "\\$foo", "$FOO", "$foo:", "${foo}}", "{$foo}", "{${foo}}", "($foo)", "$brace", "${brace}",
    "$nested", "$deep", "${ }", "$( )", "$$(foo)", "$foo\t$n", "  $foo  ", "${foo\t}", "${\tfoo}", "$(foo)(bar)", "${foo}(x)", "${foo?yes}", "${foo:no}",
    "${empty?yes}", "${empty:no}", "${nosuch?yes}", "${nosuch:no}", "${foo?}", "${foo:}", "${empty:}", "${foo?yes:no}", "${empty?yes:no}", "${foo?{yes}}",
    "${foo?{yes}:{no}}", "${empty?{yes}:{no}}", "${nosuch?{yes}:{no}}", "${foo:{no}}", "${empty:{no}}", "${foo ? {yes} : {no}}", "${foo ? { yes } : { no }}",
    "${empty ? { yes } : { no }}", "${foo ?yes}", "${foo? yes}", "${foo? yes }", "${foo?{yes}:no}", "${empty?{yes}:no more}", "${empty?{yes}: no }",
    "${empty?{}:{}}", "${foo?{}:{no}}", "${empty?{a}:{}}", "${foo?x{a}y}", "${foo?x{a}y}z", "${foo?{a{b}c}}", "$(foo?yes)", "$(foo?{yes}:{no})",
    "$(empty?{yes}:{no})", "$(foo?(yes):(no))", "$(foo:x)", "$(empty:x)", "$(empty:(x))", "$(empty:x y)", "${foo?$n}", "${foo?{$n}}", "${foo?${n}}",
    "${foo?$(n)}", "${empty:$foo}", "${empty:${foo?{$n}}}", "${empty:${empty:${empty:deep}}}", "${foo?{${empty?{a}:{b}}}:{c}}", "${foo?$nosuch}",
    "${empty?{$}}", "${empty?$}", "${foo?a\\}b}", "${foo?{a}:}", "${foo?{a}}}", "${:x}", "${?x}", "${:{x}}", "${ :x}", "${?{x}:{y}}", "${foo::x}",
    "${foo??x}", "${empty::x}", "${foo?'}", '${foo?"}', "$cond", "${cond}", "${cond?{q}}", "${nested?{q}}", "${list}", "${list?{$list}}",
    "${mail_name?{a}:{b}}", "${relayhost_x?{a}:{b}}", "${smtp_tls_CAfile?{set}:{unset}}", "${myorigin?{set}:{unset}}",
    "${mynetworks_style?{$mynetworks_style}}", "${stress?{a}:{b}}", "${{a} == {a} ? {x} : {y}}", "${{a} == {b} ? {x} : {y}}", "${{b} == {a} ? {x} : {y}}",
    "${{10} == {9} ? {x} : {y}}", "${{9} == {10} ? {x} : {y}}", "${{10a} == {9} ? {x} : {y}}", "${{} == {} ? {x} : {y}}", "${{} == {a} ? {x} : {y}}",
    "${{$n} == {10} ? {x} : {y}}", "${{010} == {10} ? {x} : {y}}", "${{a} != {a} ? {x} : {y}}", "${{a} != {b} ? {x} : {y}}", "${{b} != {a} ? {x} : {y}}",
    "${{10} != {9} ? {x} : {y}}", "${{9} != {10} ? {x} : {y}}", "${{10a} != {9} ? {x} : {y}}", "${{} != {} ? {x} : {y}}", "${{} != {a} ? {x} : {y}}",
    "${{$n} != {10} ? {x} : {y}}", "${{010} != {10} ? {x} : {y}}", "${{a} < {a} ? {x} : {y}}", "${{a} < {b} ? {x} : {y}}", "${{b} < {a} ? {x} : {y}}",
    "${{10} < {9} ? {x} : {y}}", "${{9} < {10} ? {x} : {y}}", "${{10a} < {9} ? {x} : {y}}", "${{} < {} ? {x} : {y}}", "${{} < {a} ? {x} : {y}}",
    "${{$n} < {10} ? {x} : {y}}", "${{010} < {10} ? {x} : {y}}", "${{a} <= {a} ? {x} : {y}}", "${{a} <= {b} ? {x} : {y}}", "${{b} <= {a} ? {x} : {y}}",
    "${{10} <= {9} ? {x} : {y}}", "${{9} <= {10} ? {x} : {y}}", "${{10a} <= {9} ? {x} : {y}}", "${{} <= {} ? {x} : {y}}", "${{} <= {a} ? {x} : {y}}",
    "${{$n} <= {10} ? {x} : {y}}", "${{010} <= {10} ? {x} : {y}}", "${{a} >= {a} ? {x} : {y}}", "${{a} >= {b} ? {x} : {y}}", "${{b} >= {a} ? {x} : {y}}",
    "${{10} >= {9} ? {x} : {y}}", "${{9} >= {10} ? {x} : {y}}", "${{10a} >= {9} ? {x} : {y}}", "${{} >= {} ? {x} : {y}}", "${{} >= {a} ? {x} : {y}}",
    "${{$n} >= {10} ? {x} : {y}}", "${{010} >= {10} ? {x} : {y}}", "${{a} > {a} ? {x} : {y}}", "${{a} > {b} ? {x} : {y}}", "${{b} > {a} ? {x} : {y}}",
    "${{10} > {9} ? {x} : {y}}", "${{9} > {10} ? {x} : {y}}", "${{10a} > {9} ? {x} : {y}}", "${{} > {} ? {x} : {y}}", "${{} > {a} ? {x} : {y}}",
    "${{$n} > {10} ? {x} : {y}}", "${{010} > {10} ? {x} : {y}}", "${{3.6} ==level {3.6} ? {x} : {y}}", "${{3.10} ==level {3.9} ? {x} : {y}}",
    "${{3} ==level {3.0.0} ? {x} : {y}}", "${{2} ==level {3.6} ? {x} : {y}}", "${{3.6} !=level {3.6} ? {x} : {y}}", "${{3.10} !=level {3.9} ? {x} : {y}}",
    "${{3} !=level {3.0.0} ? {x} : {y}}", "${{2} !=level {3.6} ? {x} : {y}}", "${{3.6} <level {3.6} ? {x} : {y}}", "${{3.10} <level {3.9} ? {x} : {y}}",
    "${{3} <level {3.0.0} ? {x} : {y}}", "${{2} <level {3.6} ? {x} : {y}}", "${{3.6} <=level {3.6} ? {x} : {y}}", "${{3.10} <=level {3.9} ? {x} : {y}}",
    "${{3} <=level {3.0.0} ? {x} : {y}}", "${{2} <=level {3.6} ? {x} : {y}}", "${{3.6} >=level {3.6} ? {x} : {y}}", "${{3.10} >=level {3.9} ? {x} : {y}}",
    "${{3} >=level {3.0.0} ? {x} : {y}}", "${{2} >=level {3.6} ? {x} : {y}}", "${{3.6} >level {3.6} ? {x} : {y}}", "${{3.10} >level {3.9} ? {x} : {y}}",
    "${{3} >level {3.0.0} ? {x} : {y}}", "${{2} >level {3.6} ? {x} : {y}}", "${{a} == {a}}", "${{a} == {b}}", "${{a} != {b}}x", "${{a}=={a}?{x}:{y}}",
    "${{a}=={a}?x}", "${{a}=={b}?x}", "${{a}=={b}:y}", "${{a} == {a} : {y}}", "${{a} == {b} : {y}}", "${{a} == {a} ? $n : $m}", "${{a} == {b} ? $n : $m}",
    "${{ a } == {a} ? {x} : {y}}", "${{ a } == { a } ? {x} : {y}}", "${{a b} == {a b} ? {x} : {y}}", "${{$foo} == {bar} ? {$n} : {$m}}",
    "${{$foo} == {$inner} ? {$n} : {$m}}", "${{${foo}} == {bar} ? {x} : {y}}", "${{$nosuch} == {} ? {x} : {y}}", "${{$empty} == {} ? {x} : {y}}",
    "${{{a}} == {{a}} ? {x} : {y}}", "${{a} == {a} ? {${{b} == {b} ? {in} : {out}}} : {y}}", "${{$compatibility_level} <level {3.6} ? {a} : {b}}",
    "${{$compatibility_level} < {3.6} ? {a} : {b}}", "${{3.6} <level{3.6} ? {a} : {b}}", "${{3.6} <level {3.7}}", "${{a} == {b} ?}", "${{a} == {b} :}",
    "${{a} == {a} ?}", "${{a} == {b} ?{x}:}", "${{a} == {b} ?:{x}}", "${{a} == {a} ?:{x}}", "${a} == {a}", "${{9223372036854775807} > {1}}", "${{-5} < {3}}",
    "${{+5} < {3}}", "${{0x10} == {16}}", "${{1.5} < {10}}", "${{00} == {0}}", "${{ 10 } == {10}}", "${{10 } > {9}}", "$({a} == {a} ? {x} : {y})",
    "$({a} == {b} ? {x} : {y})", "${{$nosuch} == {x}}", "${{a} == {b} ? {$} : {x}}", "${{a} == {b}}${foo}", "${ {a} == {a} ? {x} : {y} }",
    "${{a}\t==\t{a}\t?\t{x}\t:\t{y}}", "${{a} < {B}}", "${{ü} > {z}}", "${{a} == {A}}", "${{a,b} == {a,b} ? {c,d} : {e}}", "${{} == {}}", "${{}=={}?{}:{}}",
    "${{a} == {a} ? {x} : {y} }", "${{a} == {a} ? { x} : {y}}", "${{${{a} == {a} ? {b} : {c}}} == {b} ? {x} : {y}}",
])
BAD = table([
    "$\\foo", "$", "a$", "$ foo", "$-x", "${}", "$()", "$.", "${", "$(", "$}", "$)", "${foo", "$(foo", "${foo)", "$(foo}", "${foo-x}", "${foo bar}",
    "${foo bar}x", "$(foo-x)", "${user-name}", "$(foo bar)", "$(foo", "${foo}${", "${$inner}", "${${inner}}", "${foo?{yes}x}", "${foo?{yes} x}",
    "${foo:{x}y}", "${empty:{x}y}", "${foo?{yes} : {no} z}", "${foo?{a}{b}}", "${foo?{a}b}:{c}}", "${foo?{$}}", "${empty?{a}:{$}}", "${foo?{${}}:{x}}",
    "${foo?{a}", "${foo?{a}:{b}", "${foo?{a}:", "${foo!x}", "${foo=x}", "${foo,x}", "${foo+x}", "${foo#x}", "${{a} = {b} ? {y} : {n}}", "${{a}}", "${{a} }",
    "${{a} == b}", "${{a} == b ? {x} : {y}}", "${{a} ==}", "${{a} == }", "${{3} <foo {4} ? {x} : {y}}", "${{a} == {a} x}", "${{a} == {a} ? {x} y}",
    "${{a} == {a} ? {x} : {y} z}", "${{x} <level {3.6} ? {a} : {b}}", "${{3.6} <level {x} ? {a} : {b}}", "${{} <level {3.6} ? {a} : {b}}",
    "${{3.6.1.1} <level {3.6} ? {a} : {b}}", "${{3.6.} <level {3.6} ? {a} : {b}}", "${{-1} <level {3.6} ? {a} : {b}}", "${{3.6x} <level {3.6} ? {a} : {b}}",
    "${{3 6} <level {3.6} ? {a} : {b}}", "${{3.2147483648} <level {3.6} ? {a} : {b}}", "${{3.6} < level {3.6} ? {a} : {b}}",
    "${{3.6} <levelx {3.6} ? {a} : {b}}", "${{3.6} <LEVEL {3.7}}", "${{a} === {a}}", "${{a} <> {b}}", "${{a} => {b}}", "${{a} << {b}}", "${{a} ! {b}}",
    "${{a} !! {b}}", "${{a} =! {b}}", "${{a} & {b}}", "${{a} = = {b}}", "${{a} == {b} {c}}", "${{a == {a}}", "${{a} == {a ? {x} : {y}}", "${{a} == {a}",
    "${{9223372036854775808} > {1}}", "${{99999999999999999999} > {1}}", "${{1} < {99999999999999999999}}", "${{$} == {x}}", "${{a} == {$}}",
    "${{a} == {a} ? {$} : {x}}", "${{a} == {a} ? x$ : {x}}", "${{aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa} = {b} ? {yyyyyyyyyyyyyyyyyyyyyyyyyyy} : {n}}",
    "${{a} == {a} ? {aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa} xbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb}", "${foo{x}}", "${foo {x}}", "${nofunction{x}}",
    "${foo{x}?{a}:{b}}", "${{}}",
])


def failing(*warnings):
    return 1, "", "".join(f"postconf: warning: {w}\n" for w in warnings) + "postconf: fatal: macro processing error\n"


BAD_OURS = {
    # 3.11 has functions (facts: commands 2.3); both scans meet the unknown one.
    "${foo{x}}": failing(*['unknown function "foo" at"...>>>foo{x}"'] * 2),
    "${foo {x}}": failing(*['unknown function "foo" at"...>>>foo{x}"'] * 2),
    "${nofunction{x}}": failing(*['unknown function "nofunction" at"...>>>nofunction{x}"'] * 2),
    "${foo{x}?{a}:{b}}": failing(*['unknown function "foo" at"...>>>foo{x}?{a}:{b}"'] * 2),
    # The library of the reference ends the program, ours tells its caller.
    **{f"${{{{{a}}} {op} {{{b}}}}}": failing(f"mac_exp_eval: bad conversion: {bad}") for a, op, b, bad in (
        ("9223372036854775808", ">", "1", "9223372036854775808"), ("99999999999999999999", ">", "1", "99999999999999999999"),
        ("1", "<", "99999999999999999999", "99999999999999999999"))},
}


def expression_case(kind, number, text):
    def run(instance):
        directory = fresh(instance, f"{kind}{number}", main=NAMES + f"relayhost = {text}\n", master="")
        p = instance.run("postconf", "-c", directory, "-hx", "relayhost")
        return hide(result(instance, p), directory)
    return run


def many_case(kind, number, texts):
    """Expressions that work, as parameters of one file: the value of each."""
    def run(instance):
        main = NAMES + "".join(f"v{i} = {t}\n" for i, t in enumerate(texts)) + "relay_domains = " + " ".join(f"$v{i}" for i in range(len(texts))) + "\n"
        directory = fresh(instance, f"{kind}{number}", main=main, master="")
        p = instance.run("postconf", "-c", directory, "-x", *[f"v{i}" for i in range(len(texts))])
        assert p.returncode == 0, p.stderr
        return dict(line.partition(" =")[::2] for line in p.stdout.splitlines())
    return run


@pytest.mark.parametrize("name", GOOD)
def test_expression(box, name):   # noqa: F811
    texts = list(GOOD.values())
    parts = {i: texts[i:i + 50] for i in range(0, len(texts), 50)}
    number = texts.index(GOOD[name])
    part = number - number % 50
    if ("good", id(box)) not in _batches:
        _batches["good", id(box)] = Batch(box, {n: many_case("good", n, t) for n, t in parts.items()})
    batch = _batches["good", id(box)]
    values = [batch.results[part, i.suite.name, n].result() for n, i in enumerate(box.instances)]
    assert len({v[f"v{number - part}"] for v in values}) == 1, values


@pytest.mark.parametrize("name", BAD)
def test_bad_expression(box, name):   # noqa: F811
    compare(box, "bad", expression_case, BAD, name, BAD_OURS.get(BAD[name]))


# --- lines

LINES = table([
    "", "\n", "   \n", "#c\n", "  # c\n", "a=b\n", "a = b", "a=b\r\n", "a =b\t \n", "a= b c  d \n", "a\t=\tb\n", "a\v=\fb\n", "a=\n", "a =   \n", "a = =\n", "a==b\n", "a = b = c\n", "a = b\n c\n", "a = b\n\tc\n  d\n",
    "a = b\n#x\n c\n", "a = b\n # x\n c\n", "a = b\n\n c\n", "a = b\n   \n c\n", "a = b\n\r\n c\n", "a = b \\\n c\n", "a = b\n c = d\n", "a =\n b\n", "a\n = b\n", "a\n=b\n", " a = b\n", " a = b\nc = d\n", "\ta\n b\nc=d\n", "   \n a=b\nc=d\n",
    "#x\n a=b\nc=d\n", "a = b # c\n", "a = b #c\n", "a = #b\n", "a = b, #c d e f g h i j k l m n o p\n", "junk\n", "junk line\n", "junk line = x\n", "a b = c\n", "=x\n", "= x\n", "  =x\n", "a=b\njunk\nc=d\n", "a = b\n c\njunk more\n",
    "junk\n cont\n", "a=1\na=2\n", "a=1\na=1\n", "a=1\nb=2\na=3\na=4\n", "a=\na=\n", "a=\na=x\n", "a=x\na=\n", "a=1\n#a=2\n", "A=1\na=2\n", "a-b=1\na.b=2\na/b=3\n", "\u00fc=1\na=\u00fc\n", "a\0b=1\nc=2\n", "a=b\0c\nd=e\n", "a=b\n c\0d\ne=f\n",
    "a = b\n#\0\n c\n", "#\0\na=b\n", "a=b\n \0\n", "\0=x\n", "a = \xff\xfe\n", "\ufeffa=b\n", "a=b\x01\x7f\n", "a = \"b c\"\n", "a = 'b'\n", "a = {b\n", "a = }b{\n", "a = b\\\n", "a;b=c\n", "a:b=c\n", "$a=b\n", "a$=b\n", "${a}=b\n", "a = b,c , d\n",
    "a = " + "x" * 3000 + "\n", "x" * 1000 + " = a\n", "a = b\n" * 50, "a = b\n" + " c\n" * 300, "config_directory = /x\n", "process_id = 5\n", "process_name = x\nprocess_id=\n", "service_name = x\n", "mail_version = x\n", "queue_directory=\n",
    "import_environment = A=b\n", "compatibility_level = x\n", "compatibility_level =\n", "mynetworks_style = x\n", "inet_interfaces = x y z\n", "junk \"quoted\" line\n", "j" * 100 + "\n", "a" * 100 + " b = c\n"])


def ordered(err):
    """Warnings about single parameters, sorted: the reference has them in the order of a hash table, 3.11 sorts the
    unused ones and leaves the others unsorted (facts: commands 3.6)."""
    out, group, kind = [], [], None
    for line in err.splitlines(True) + [""]:
        now = next((k for k in (": undefined parameter: ", ": unused parameter: ", ": read-only parameter assignment: ") if k in line), None)
        now = "before" if now in (": undefined parameter: ", ": read-only parameter assignment: ") else now
        if now != kind:
            out += sorted(group)
            group, kind = [], now
        (group if now else out).append(line)
    return "".join(out)


def read_by_both(instance, directory, show, null=False):
    """What postconf says of a main.cf, and how a program that evaluates it starts."""
    out = []
    for args in (["postconf", "-c", directory] + show, ["postmap", "-c", directory, "-q", "k", "inline:{k=v}"]):
        rc, text, err = hide(result(instance, instance.run(*args)), directory)
        if null and instance.suite.is_ours:     # 3.11 warns (facts: commands 2.1), the reference only cuts the line
            warning = re.search(r"(?m)^post\w+: warning: DIR/main.cf, line [\d-]+: text after null byte may be ignored\n", err)
            assert warning, err
            err = err.replace(warning.group(0), "", 1)
        out += [rc, text, ordered(err)]
    return tuple(out)


def lines_case(kind, number, text):
    def run(instance):
        directory = fresh(instance, f"{kind}{number}", main=text + "\nsmtpd_banner = $a $b $c $d $e $A\n", master="")
        return read_by_both(instance, directory, ["-n"], null=re.search(r"(?m)^[^#\n]*\0", text))
    return run


@pytest.mark.parametrize("name", LINES)
def test_lines(box, name):   # noqa: F811
    compare(box, "lines", lines_case, LINES, name)


# --- nesting and recursion

def chain(n):
    """a0 = $a1, a1 = $a2 ...: n references before a text is reached."""
    return "".join(f"a{i} = $a{i + 1}\n" for i in range(n)) + f"a{n} = end\nrelayhost = $a0\n"


NESTING = {
    "self": "relayhost = $relayhost\n", "self-braced": "relayhost = ${relayhost}\n", "pair": "a = $b\nb = $a\nrelayhost = $a\n", "pair-text": "a = x$b\nb = y$a\nrelayhost = $a\n",
    "triple": "a = $b\nb = $c\nc = $a\nrelayhost = $a\n", "self-tested": "relayhost = ${relayhost?{x}}\n", "self-tested-empty": "relayhost = ${relayhost:{x}}\n", "pair-tested": "a = ${b?{x}}\nb = ${a?{y}}\nrelayhost = $a\n",
    "unused-loop": "a = $b\nb = $a\nrelayhost = x\n", "double": "a = $b$b\nb = $c$c\nc = $d$d\nd = x\nrelayhost = $a\n",
    **{f"chain{n}": chain(n) for n in (10, 90, 97, 98, 99, 100, 101, 102, 150)},
    **{f"braces{n}": "foo = x\nrelayhost = " + "${foo?{" * n + "y" + "}}" * n + "\n" for n in (10, 48, 49, 50, 97, 98, 99, 100, 101, 102, 150)},
    **{f"plain{n}": "foo = x\nrelayhost = " + "${foo?" * n + "y" + "}" * n + "\n" for n in (10, 48, 49, 50, 98, 99, 100, 101, 102)},
    **{f"relation{n}": "relayhost = " + "${{a} == {a} ? {" * n + "y" + "}}" * n + "\n" for n in (10, 49, 98, 99, 100, 101)},
    **{f"left{n}": "relayhost = " + "${{" * n + "a" + "} == {a} ? {a}}" * n + "\n" for n in (10, 49, 98, 99, 100, 101)},
    **{f"nested-braces{n}": "foo = x\nrelayhost = ${foo?{" + "{" * n + "}" * n + "}}\n" for n in (10, 200)},
}


def nesting_case(kind, number, text):
    def run(instance):
        directory = fresh(instance, f"{kind}{number}", main=text, master="")
        return read_by_both(instance, directory, ["-hx", "relayhost"])
    return run


@pytest.mark.parametrize("name", NESTING)
def test_nesting(box, name):   # noqa: F811
    compare(box, "nest", nesting_case, NESTING, name)


# --- types of values, and what every program checks at its start

BOOL, INT, LONG, TIME = "helpful_warnings", "max_use", "message_size_limit", "max_idle"
NBOOL, STRING = "smtputf8_enable", "mail_name"
VALUES = table(
    [(BOOL, v) for v in ("yes", "no", "YES", "No", "yEs", "", "true", "1", "yes ", "y", "$helpful_warnings_x", "${n?{yes}:{no}}", "yes no", "on")]
    + [(NBOOL, v) for v in ("yes", "NO", "", "x", "${{$compatibility_level} <level {1} ? {no} : {yes}}")]
    + [(INT, v) for v in ("1", "0", "-1", "+5", "007", "0x10", "1k", "1 ", "1 2", "", "2147483647", "2147483648", "99999999999999999999", "1.5", "$n", "$n$n", "${n}0", " 5", "1e3", "-", "abc", "-0", "\t5")]
    + [("delay_logging_resolution_limit", v) for v in ("0", "6", "7", "-1")] + [("line_length_limit", v) for v in ("511", "512", "0")]
    + [(LONG, v) for v in ("0", "-1", "9223372036854775807", "9223372036854775808", "-9223372036854775809", "1M", "", "x", "+1")]
    + [(TIME, v) for v in ("1", "1s", "1m", "2h", "3d", "4w", "5days", "5 d", "5D", "5x", "1.5h", "-5s", "+5", "", "s", "0", "0s", "2147483647", "2147483648", "35791394m", "35791395m", "3551w", "3550w", "99999999999999999999", "$n", "${n}m", "1s2", "1ss", "s1", "0x1")]
    + [("in_flow_delay", v) for v in ("0", "10", "11", "10s", "1m")] + [("daemon_timeout", v) for v in ("0", "1")]
    + [(STRING, v) for v in ("", "x", "$nosuch", "$n", "${n:x}", "a b  c")] + [("default_verp_delimiters", v) for v in ("", "+", "+=", "+=-", "$n")]
    + [("myhostname", v) for v in ("", "a", "a.b", "-a", "a-", "a..b", ".a", "a.", "a b", "a_b", "a@b", "a.-b", "a-.b", "1.2.3.4", "[1.2.3.4]", "\u00fc.de", "x" * 64, "x" * 63 + ".de", "a" * 300, "host.$mydomain", "$mydomain", "a/b", "a:b", "1", "::1")]
    + [("mydomain", v) for v in ("", "a", "-a", "a b", "$myhostname")]
    + [("relayhost", v) for v in ("mail.example.test", "MAIL.example.test", "[mail.example.test]", "mail.example.test:25", "x y", "")]
    + [("myorigin", v) for v in ("", "a b", "a,b", "a, ", "$myhostname", "$nosuch")]
    + [("inet_protocols", v) for v in ("all", "ipv4", "ipv6", "ipv4, ipv6", "ipx", "", "IPV4", "ipv4 ipx", "all, ipv4", "${n?ipv4}")]
    + [("mynetworks_style", v) for v in ("host", "subnet", "class", "", "x", "host, ", "host subnet")]
    + [("inet_interfaces", v) for v in ("all", "loopback-only", "127.0.0.1", "localhost", "", "999.1.1.1", "no such", "127.0.0.1,[::1]", "all,127.0.0.1")]
    + [("mail_owner", v) for v in ("", "root", "nosuchuser", "nobody", "daemon", "$default_privs")] + [("default_privs", v) for v in ("root", "nosuchuser", "postfix", "")]
    + [("setgid_group", v) for v in ("root", "nosuchgroup", "postfix", "daemon", "nogroup", "")]
    + [("syslog_facility", v) for v in ("mail", "local7", "LOCAL0", "x", "", "kern")] + [("syslog_name", v) for v in ("", "x", "a b", "$nosuch")]
    + [("compatibility_level", v) for v in ("0", "1", "3.6", "3.6.0", "3.11", "9999", "3.6.0.0", "3.", ".6", "a", "", " 3.6", "3,6", "-1", "$n", "0003")]
    + [("import_environment", v) for v in ("A=b", "{A=b c}", "{A = b}", "{A=b", "A", "", "{A}", "=b", "A=b,C=d E", "{=x}")]
    + [("alternate_config_directories", v) for v in ("x y", "#c d")] + [("multi_instance_name", v) for v in ("x", "postfix-x", "")]
    + [("known_tcp_ports", v) for v in ("", "smtp=25")] + [("mynetworks", v) for v in ("", "1.2.3.4", "1.2.3.4/33", "x", "!", "1.2.3.4/8", "$nosuch", "/nonexistent", "hash:/nonexistent")]
    + [("hash_queue_names", v) for v in ("", "x")] + [("queue_directory", v) for v in ("", "/nonexistent", "relative")] + [("config_directory", v) for v in ("", "/nonexistent")]
    + [("debug_peer_list", v) for v in ("", "!", "x")] + [("smtpd_timeout", v) for v in ("x",)] + [("smtp_tls_loglevel", "x"), ("qmgr_message_active_limit", "x"), ("local_destination_concurrency_limit", "x"),
    ("relay_destination_concurrency_limit", "x"), ("unknown_parameter", "$"), ("smtpd_banner", "$"), ("relay_domains", "${"), ("stress", "yes"), ("process_id", "x"), ("mail_version", ""), ("mail_release_date", "")])


def values_case(kind, number, pair):
    name, value = pair

    def run(instance):
        text = f"n = 10\nmyhostname = mail.example.test\n{name} = {value}\n"
        if name == "myhostname":
            text = text.replace("myhostname = mail.example.test\n", "")
        directory = fresh(instance, f"{kind}{number}", main=text, master="")
        return hide(result(instance, instance.run("postmap", "-c", directory, "-q", "k", "inline:{k=v}")), directory)
    return run


@pytest.mark.parametrize("name", VALUES)
def test_values(box, name):   # noqa: F811
    compare(box, "values", values_case, VALUES, name, VALUES_OURS.get(VALUES[name]))


VALUES_OURS = {
    # The reference knows the defaults of those parameters only that it has read so far.
    ("mail_owner", "$default_privs"): (1, "", "postmap: fatal: file DIR/main.cf: parameters default_privs and mail_owner specify the same user nobody\n"),
}


# --- defaults that depend on the level

LEVEL_NAMES = """append_dot_mydomain smtputf8_enable smtpd_relay_restrictions mynetworks_style relay_domains fast_flush_domains
smtpd_tls_fingerprint_digest smtp_tls_fingerprint_digest lmtp_tls_fingerprint_digest smtpd_relay_before_recipient_restrictions
respectful_logging strict_smtputf8 compatibility_level smtpd_recipient_restrictions smtp_tls_security_level""".split()
LEVELS = ["0", "0.9", "1", "1.9", "2", "3", "3.5", "3.5.99", "3.6", "3.6.0", "3.7", "3.10", "3.11", "4", "10.1"]
# At level 3.11 the client uses TLS when it can (facts: parameters 7).
LEVEL_TLS = {"smtp_tls_security_level": {"3.11": "may", "4": "may", "10.1": "may"}}


def level_case(kind, number, level):
    def run(instance):
        directory = fresh(instance, f"{kind}{number}", main=f"compatibility_level = {level}\nmydestination = a, b\n", master="smtp unix - - - - - smtp\n")
        rc, out, err = result(instance, instance.run("postconf", "-c", directory, "-x", *LEVEL_NAMES))
        if not instance.suite.is_ours and level in LEVEL_TLS["smtp_tls_security_level"]:
            out = out.replace("smtp_tls_security_level =\n", "smtp_tls_security_level = may\n")
        return rc, out, err
    return run


@pytest.mark.parametrize("level", LEVELS)
def test_level(box, level):   # noqa: F811
    compare(box, "level", level_case, {n: n for n in LEVELS}, level)


# --- where main.cf is, and what stands in for it

FILES = {
    "missing": lambda d: os.unlink(d + "/main.cf"), "directory": lambda d: (os.unlink(d + "/main.cf"), os.mkdir(d + "/main.cf")),
    "unreadable": lambda d: os.chmod(d + "/main.cf", 0), "fifo-link": lambda d: (os.unlink(d + "/main.cf"), os.symlink("/nonexistent", d + "/main.cf")),
    "loop": lambda d: (os.unlink(d + "/main.cf"), os.symlink("main.cf", d + "/main.cf")), "null": lambda d: (os.unlink(d + "/main.cf"), os.symlink("/dev/null", d + "/main.cf")),
    "link": lambda d: (os.rename(d + "/main.cf", d + "/other"), os.symlink("other", d + "/main.cf")),
    "no-master": lambda d: os.unlink(d + "/master.cf"), "master-directory": lambda d: (os.unlink(d + "/master.cf"), os.mkdir(d + "/master.cf")),
    "no-directory": lambda d: os.rename(d, d + "-away"), "no-search": lambda d: os.chmod(d, 0),
    "long-line": lambda d: grow(d, "relayhost = " + "x" * (1 << 20) + "\n"), "long-list": lambda d: grow(d, "relay_domains =\n" + " example.test,\n" * 50000),
    "many": lambda d: grow(d, "".join(f"p{i} = {i}\n" for i in range(5000)) + "relayhost = $p1 $p4999\n"),
    "many-references": lambda d: grow(d, "".join(f"p{i} = {i}\n" for i in range(3000)) + "relayhost = " + " ".join(f"$p{i}" for i in range(3000)) + "\n"),
    "binary": lambda d: grow(d, bytes(range(1, 256))),
}
FILE_CASES = {f"{name} {how}": (name, how) for name in FILES for how in ("-c", "environment", "user")}


def grow(directory, text):
    with open(directory + "/main.cf", "ab") as f:
        f.write(text if isinstance(text, bytes) else text.encode())
    os.utime(directory + "/main.cf", (1e9, 1e9))


def file_case(kind, number, case):
    name, how = case

    def run(instance):
        directory = fresh(instance, f"{kind}{number}", main="mydomain = example.test\n", master="")
        FILES[name](directory)
        args = ["-c", directory] if how != "environment" else []
        if name.startswith("long") or name.startswith("many"):
            calls = [["postconf", *args, "-hx", "relayhost", "mydomain"], ["postmap", *args, "-q", "k", "inline:{k=v}"]]
            if how != "-c":
                return None
        else:
            calls = [["postconf", *args, "-x", "mydomain"], ["postconf", *args, "-n"], ["postconf", *args, "-M"], ["postmap", *args, "-q", "k", "inline:{k=v}"], ["postconf", *args, "-e", "relayhost=x"]]
        out = []
        for argv in calls:
            if how == "user" and argv[-2] == "-e":
                continue
            p = instance.run(*argv, as_user=how == "user", env=instance.env(MAIL_CONFIG=directory))
            rc, text, err = hide(result(instance, p), directory)
            if not instance.suite.is_ours:
                text = re.sub(r"^(mail|name)=.*", "", text)
            out.append((rc, text, err if not name.startswith("many") else len(err) > 50000))
        return out
    return run


@pytest.mark.parametrize("name", FILE_CASES)
def test_file(box, name):   # noqa: F811
    compare(box, "file", file_case, FILE_CASES, name, FILE_OURS if name.startswith("master-directory") and "user" not in name
            else FILE_OURS[:4] if name.startswith("master-directory") else None)


# The reference takes a directory for an empty file.
FILE_OURS = [(1, "", "postconf: fatal: read DIR/master.cf: Is a directory\n")] * 3 + [(0, "v\n", ""), (0, "", "")]
