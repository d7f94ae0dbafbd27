# SPDX-License-Identifier: ISC
"""postmap, postalias, newaliases: every option, source text, file modes and owners."""

import os
import pwd
import re
import shutil
import stat
import threading

import pytest
from harness import Batch

from test_commands import box, hide, result   # noqa: F401 (box is a fixture)

_batches = {}


def compare(pair, kind, make, cases, name, ours_expect=None):
    """One of a table of independent cases; the table's first case starts them all. Errors make the reference
    sleep a second, so many are run at a time."""
    if (kind, id(pair)) not in _batches:
        _batches[kind, id(pair)] = Batch(pair, {n: make(kind, i, cases[n]) for i, n in enumerate(cases)}, workers=32)
    return _batches[kind, id(pair)].compare(name, ours_expect)


def folder(instance, name, **files):
    """A directory of this case's own with some files."""
    directory = f"{instance.base}/case-{name}"
    os.makedirs(directory)
    for f, text in files.items():
        instance.write(f"{directory}/{f}", text)
    return directory


def run_in(instance, directory, program, *args, **kw):
    return hide(result(instance, instance.run(program, *args, cwd=directory, **kw)), directory)


def rows(instance, directory, program, spec, ordered=True):
    """What is in the table; the reference is built with NIS and adds two keys for it, RHEL's is not, nor is ours."""
    rc, out, err = run_in(instance, directory, program, "-s", spec)
    lines = [r for r in out.split("\n") if not r.startswith("YP_")]
    return rc, lines if ordered else sorted(lines), err


# --- source text

MAPS = {
    "plain": "a 1\nb 2\n", "tabs": "a\t1\nb \t 2\t\n", "empty": "", "comments": "# x\n\n  # y\na 1\n#z\n", "continued": "a 1\n 2\n\t3\nb\n 4\n", "comment-inside": "a 1\n# x\n 2\n\n 3\n", "first-blank": " a 1\nb 2\n c 3\n", "no-newline": "a 1\nb 2",
    "no-value": "a\nb 2\n", "no-value-blank": "a  \nb 2\n", "colon": "a: 1\nb:2 3\n", "colon-only": ": 1\n:\n", "duplicate": "a 1\na 2\nb 3\na 4\n", "duplicate-fold": "a 1\nA 2\n", "duplicate-same": "a 1\na 1\n", "quoted": '"a b" 1\n"a b"@c 2\na"b c"d 3\n',
    "unbalanced": '"a b 1\nb 2\na" 3\n', "escape": 'a\\ b 1\n\\"a 2\n"a\\"b" 3\na\\\n', "escape-end": "a\\ 1\n", "unicode": "\u00fc 1\n\u00dc 2\n\u00c4b c\nx \u00e9\n", "fold": "ABC Def\nUser@Example.COM Value\n", "bad-utf8-key": b"a\xff 1\nb 2\n", "bad-utf8-value": b"a \xff\nb 2\n",
    "long-s": "\u017f 1\nS 2\n", "eszett": "\u00df 1\nss 2\n\u1e9e 3\n", "kelvin": "\u212a 1\n", "dotless": "\u0130 1\n\u0131 2\n", "greek": "\u03a3\u03c2\u03c3 1\n", "nul-key": b"a\0b 1\nc 2\n", "nul-value": b"a 1\0 2\nc 2\n", "cr": "a 1\r\nb 2\r\n", "vt": "a\v1\nb\f2\n", "control": "a\x01 1\nb \x02\n",
    "long-value": "a " + "x" * 5000 + "\n", "long-key": "k" * 500 + " 1\n", "key-510": "k" * 510 + " 1\n", "value-blanks": "a   1   2    3   \n", "hash-value": "a #1\nb 1 # c\n", "brackets": "[1.2.3.4]:25 smtp:[x]\n<> 1\n@x.org y\n", "percent": "%s %d\n$1 $2\n", "many": "".join(f"k{i:04} v{i}\n" for i in range(600)),
    "only-bad": "a\nb\n", "yp": "YP_X 1\na 2\n", "at": "@ @\n", "tab-first": "\ta 1\n", "line-numbers": "# c\n\na 1\n b\nc\n\n# d\ne\n f\ng\n", "blank-key": '"" 1\na 2\n', "json": 'a "q" \\ \t x\n"b" /\n',
}
BUILDS = {"": [], "-f": ["-f"], "-r": ["-r"], "-w": ["-w"], "-u": ["-u"], "-N": ["-N"], "-n": ["-n"], "-ow": ["-o", "-w"], "-rw": ["-r", "-w"], "-wr": ["-w", "-r"], "-fu": ["-fu"], "-U": ["-U"], "-Nn": ["-N", "-n"]}
KINDS = ["lmdb", "hash", "btree"]
MAP_CASES = {f"lmdb {m}": ("lmdb", m, []) for m in MAPS}
MAP_CASES.update({f"{k} {m}": (k, m, []) for k in ("hash", "btree") for m in ("plain", "duplicate", "no-value", "empty", "many", "bad-utf8-key", "fold", "quoted")})
MAP_CASES.update({f"lmdb {m} {b}": ("lmdb", m, BUILDS[b]) for b in BUILDS if b for m in ("duplicate-fold", "unicode", "bad-utf8-key")})


def modern_lines(instance, source, value):
    """3.11 warns of text behind a NUL (facts: commands 2.1), the reference only cuts the line."""
    rc, out, err = value
    if source.startswith("nul") and instance.suite.is_ours:
        assert ": text after null byte may be ignored\n" in err
        err = re.sub(r"(?m)^\w+: warning: t, line \d+: text after null byte may be ignored\n", "", err)
    return rc, out, err


def map_case(kind, number, case):
    table, source, options = case

    def run(instance):
        directory = folder(instance, f"{kind}{number}", t=MAPS[source])
        out = [modern_lines(instance, source, run_in(instance, directory, "postmap", *options, f"{table}:t")), rows(instance, directory, "postmap", f"{table}:t", table != "hash"), sorted(os.listdir(directory))]
        if source in ("unicode", "fold", "json", "plain"):
            out.append(run_in(instance, directory, "postmap", "-q", "-", f"{table}:t", input="a\nA\n\u00fc\n\u00dc\nabc\nABC\nuser@example.com\n"))
        if source == "json":
            out.append(instance.run("postmap", "-s", f"{table}:t", cwd=directory).stdout)
        return out
    return run


@pytest.mark.parametrize("name", MAP_CASES)
def test_map_source(box, name):   # noqa: F811
    compare(box, "map", map_case, MAP_CASES, name, MAP_OURS.get(name))


MAP_OURS = {}

ALIASES = {
    "plain": "root: alice\nbob: carol, dave\n", "upper": "Root: Alice\nPOSTMASTER: ROOT\n", "quoted": '"a b": c\n"x\\"y": z\n"q": w\na"b": c\n', "command": 'a: "|/bin/cmd arg"\nb: |/bin/cmd\nc: |"/bin/cmd arg" , /f\nd: "|/bin/x \\"q\\""\n', "include": "a: :include:/etc/list\nb: :include:\"/etc/a b\", c\nc: :include:/x y\n",
    "file": 'a: /var/spool/x\nb: "/var/a b"\nc: ./x\n', "address": "a: b@c.d, <e@f.g>, H I <j@k.l>, m@[1.2.3.4]\nn: @x:y@z\n", "comments": "a: b (comment), c\n(x) d: e\nf (y): g\nh: (only)\ni: j # k\n", "no-colon": "a b\nc\nd e: f\n", "no-value": "a:\nb: \nc: d\n", "no-name": ": a\n:\n", "domain": "a@b: c\na%b: c\n\"a@b\": c\n@: x\n",
    "comma": "a, b: c\na: ,b\na: b,\na: ,\na: b,,c\n", "continued": "a: b,\n c,\n# x\n\td\n\ne: f\n g\n", "first-blank": " a: b\nc: d\n", "duplicate": "a: b\nA: c\na: d\n", "unicode": "\u00fc: x\ny: \u00fc@\u00e9.de\n\u00dc: z\n", "bad-utf8": b"a\xff: b\nc: \xff\nd: e\n", "specials": "a.b: c\na+b: c\na-b_c: d\na/b: c\n!x: y\na=b: c\n$x: y\n",
    "brackets": "[a]: b\n<a>: b\na<b>: c\na;b: c\na: b;c\na: group: b, c;\n", "spaces": "  \na   :   b   ,   c   \n\"a\" : \"b\"\n", "quotes": 'a: "b\nb: c"\n"c: d\ne: "f" "g"\nh: i"j k"l\n', "escape": "a: b\\ c\na\\ b: c\nd: \\\\e\n\\a: b\n", "empty": "", "nul": b"a\0b: c\nd: e\0f\n", "at": "@: @\na: b\n", "long": "a: " + ", ".join(f"user{i}@example.test" for i in range(300)) + "\n",
    "colon": "a: b: c\na:b\nb:c:d\nc::d\n", "number": "1: 2\n1.2: 3\n", "percent": "a: b%c, %d\n", "owner": "owner-x: y\nx-request: z\n", "paren": "a: b)\nc: (d\ne: f (g (h)) i\n", "control": "a\x01: b\nc: d\n", "tab": "a:\tb\t,\tc\n", "route": "a: b!c, d:e@f\n", "empty-quotes": '"": a\nb: ""\n', "newline": "a: \"b\n c\"\n",
}
ALIAS_CASES = {f"lmdb {m}": ("lmdb", m, []) for m in ALIASES}
ALIAS_CASES.update({f"{k} {m}": (k, m, []) for k in ("hash", "btree") for m in ("plain", "duplicate", "no-colon")})
ALIAS_CASES.update({f"lmdb {m} {b}": ("lmdb", m, BUILDS[b]) for b in BUILDS if b and b not in ("-U",) for m in ("duplicate", "unicode")})


def alias_case(kind, number, case):
    table, source, options = case

    def run(instance):
        directory = folder(instance, f"{kind}{number}", t=ALIASES[source])
        return [modern_lines(instance, source, run_in(instance, directory, "postalias", *options, f"{table}:t")), rows(instance, directory, "postalias", f"{table}:t", table != "hash"), sorted(os.listdir(directory)),
                run_in(instance, directory, "postalias", "-q", "A", f"{table}:t")]
    return run


@pytest.mark.parametrize("name", ALIAS_CASES)
def test_alias_source(box, name):   # noqa: F811
    compare(box, "alias", alias_case, ALIAS_CASES, name, ALIAS_OURS.get(name))


ALIAS_OURS = {}

# --- options

COMMON = "a 1\nkey two words\nUPPER x\n\u00fc uml\n\"q k\" quoted\nlong v\n a\n b\n"
CALLS = {}


def call(program, *args, input=None, name=None):
    CALLS[name or f"{program} {' '.join(args)}" + (f" <{input!r:.40}" if input is not None else "")] = (program, args, input)


for _p in ("postmap", "postalias"):
    # The two are one program: every second call will do for postalias.
    for _n, _a in enumerate(([], ["-z"], ["-c"], ["-q"], ["-d"], ["-s"], ["--"], ["-q", "a"], ["-d", "a"], ["-i"], ["-q", "a", "-s", "lmdb:t"], ["-s", "-q", "a", "lmdb:t"], ["-d", "a", "-q", "a", "lmdb:t"], ["-i", "-q", "a", "lmdb:t"], ["-s", "-s", "lmdb:t"], ["-q", "a", "-q", "b", "lmdb:t"],
               ["-d", "a", "-d", "b", "lmdb:t"], ["-i", "-i", "lmdb:t"], ["-i", "-s", "lmdb:t"], ["-N", "-q", "a", "lmdb:t"], ["-n", "-q", "a", "lmdb:t"], ["nosuch"], ["lmdb:nosuch"], ["hash:nosuch"], ["foo:t"], ["foo:nosuch"], ["regexp:t"], ["pcre:t"], ["cidr:t"], ["texthash:t"], ["inline:{a=b}"],
               ["static:x"], ["fail:x"], ["proxy:lmdb:t"], ["environ:x"], ["unionmap:{static:x}"], [":t"], ["lmdb:"], ["t:"], [":"], [""], ["lmdb:dir"], ["hash:dir"], ["dir"], ["lmdb:dir/"], ["lmdb:t", "lmdb:nosuch"], ["lmdb:t", "lmdb:t"], ["-c", "/nonexistent", "t"], ["lmdb:/dev/null"], ["lmdb:link"], ["lmdb:dangling"],
               ["-s", "nosuch"], ["-s", "lmdb:nosuch"], ["-s", "hash:nosuch"], ["-s", "foo:t"], ["-s", "regexp:re"], ["-s", "pcre:re"], ["-s", "cidr:ci"], ["-s", "texthash:t"], ["-s", "inline:{b=2,a=1}"], ["-s", "static:x"], ["-s", "fail:x"], ["-s", "unix:passwd.byname"], ["-s", "unionmap:{static:x}"], ["-s", "pipemap:{static:x}"],
               ["-s", "randmap:{x}"], ["-s", "lmdb:t", "lmdb:u"], ["-s", "proxy:unix:passwd.byname"],
               ["-q", "a", "nosuch"], ["-q", "a", "foo:t"], ["-q", "a", "lmdb:nosuch"], ["-q", "a", "hash:nosuch"], ["-q", "a", "btree:nosuch"], ["-q", "a", "texthash:nosuch"], ["-q", "a", "regexp:nosuch"], ["-q", "a", "pcre:nosuch"], ["-q", "a", "cidr:nosuch"], ["-q", "a", "lmdb:t"], ["-q", "A", "lmdb:t"], ["-q", "key", "lmdb:t"], ["-fq", "A", "lmdb:t"],
               ["-q", "upper", "lmdb:t"], ["-q", "UPPER", "lmdb:t"], ["-fq", "UPPER", "lmdb:t"], ["-q", "\u00fc", "lmdb:t"], ["-q", "\u00dc", "lmdb:t"], ["-uq", "\u00dc", "lmdb:t"], ["-q", "nosuch", "lmdb:t", "lmdb:u"], ["-q", "a", "lmdb:u", "lmdb:t"], ["-q", "b", "lmdb:t", "lmdb:u"], ["-q", "a", "lmdb:t", "lmdb:nosuch"],
               ["-q", "a", "lmdb:nosuch", "lmdb:t"], ["-q", "", "lmdb:t"], ["-q", "", "hash:h"], ["-q", "", "texthash:t"], ["-q", "", "inline:{a=b}"], ["-q", "", "regexp:re"], ["-q", "", "static:x"], ["-q", "\udcff", "lmdb:t"], ["-q", "a\udcff", "static:x"], ["-uq", "a\udcff", "static:x"], ["-q", "a", "lmdb:garbage"], ["-q", "a", "hash:garbage"],
               ["-s", "lmdb:garbage"], ["-s", "hash:garbage"], ["lmdb:garbage"], ["hash:garbage"], ["-q", "a", "lmdb:zero"], ["-q", "a", "hash:zero"], ["hash:zero"], ["lmdb:zero"], ["-q", "a", "hash:bt"], ["-q", "a", "btree:h"], ["-q", "x" * 520, "lmdb:t"], ["-q", "x" * 520, "hash:h"],
               ["-d", "a", "nosuch"], ["-d", "a", "foo:t"], ["-d", "a", "lmdb:nosuch"], ["-d", "a", "hash:nosuch"], ["-d", "a", "lmdb:t"], ["-d", "A", "lmdb:t"], ["-fd", "A", "lmdb:t"], ["-d", "nosuch", "lmdb:t"], ["-d", "a", "lmdb:t", "lmdb:u"], ["-d", "a", "lmdb:u", "lmdb:t"], ["-d", "a", "hash:h"], ["-d", "a", "btree:bt"], ["-d", "a", "texthash:t"],
               ["-d", "a", "regexp:re"], ["-d", "a", "inline:{a=b}"], ["-d", "a", "static:x"], ["-d", "PATH", "environ:x"], ["-d", "", "lmdb:t"], ["-d", "\u00dc", "lmdb:t"], ["-d", "\udcff", "lmdb:t"],
               ["-q", "a", "unionmap:{lmdb:t,lmdb:u}"], ["-q", "a", "pipemap:{lmdb:t,inline:{1=one}}"], ["-q", "e", "inline:{e=}"], ["-q", "e", "static:"], ["-F", "-q", "a", "lmdb:t"], ["-p", "lmdb:t"], ["-o", "lmdb:t"], ["-w", "-i", "lmdb:t"])):
        if _p == "postmap" or _n % 2 == 0:
            call(_p, *_a)
    for _i in ("", "a\n", "a\nkey\nnosuch\n", "A\nKEY\n", "a", "a\n\nb\n", " a\na \n", "\u00dc\n", "b\n"):
        call(_p, "-q", "-", "lmdb:t", "lmdb:u", input=_i)
        call(_p, "-d", "-", "lmdb:t", "lmdb:u", input=_i)
    for _i in ("", "a 2\nb 3\n c\n", "n\n", "N: x\n", "n: a, b\n", b"n\xff 1\n", "n 1", " n 1\n"):
        for _o in ("-i", "-ir", "-iw", "-in", "-if") if _i in ("a 2\nb 3\n c\n", "N: x\n") else ("-i",):
            call(_p, _o, "lmdb:t", input=_i)
        call(_p, "-i", "lmdb:new", input=_i)
        call(_p, "-i", "hash:h", input=_i)
    call(_p, "-i", "texthash:t", input="a 1\n")
    call(_p, "-i", "regexp:re", input="a 1\n")
    call(_p, "-i", "foo:t", input="a 1\n")
    call(_p, "-i", "t", input="a 1\n")
MESSAGE = "From: a@b\nSubject: one\n two\nX: y\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=xx\n\npreamble\n--xx\nContent-Type: text/plain\nX-Part: p\n\nbody one\nkey\n--xx\nContent-Type: message/rfc822\n\nSubject: inner\nX-Inner: i\n\ninner body\n--xx--\nafter\n"
for _o in ("-h", "-b", "-m", "-hb", "-hm", "-bm", "-hbm", "-hU", "-bU", "-hf", "-hr"):
    call("postmap", _o, "-q", "-", "regexp:all", input=MESSAGE, name=f"message {_o}")
    call("postmap", _o, "-q", "a", "regexp:mail")
    call("postmap", _o, "regexp:mail")
for _n, _i in (("no-header", "\nbody\n"), ("no-body", "A: b\n"), ("empty", ""), ("bad-header", "A: b\nnot a header\nmore\n"), ("cr", "A: b\r\n\r\nbody\r\n"), ("from", "From x\nA: b\n\nx\n"), ("first-blank", " A: b\nC: d\n\nx\n"), ("bytes", b"A: \xff\n\nb\xff\n"), ("long", "A: " + "x" * 5000 + "\n\n" + "y" * 5000 + "\n"),
               ("many-lines", "A: b\n" + " c\n" * 300 + "\nx\n"), ("space-colon", "A : b\nB:c\n: d\n\nx\n"), ("nul", "A: b\0c\n\nx\0y\n")):
    for _o in ("-h", "-b", "-hb"):
        call("postmap", _o, "-q", "-", "regexp:all", input=_i, name=f"message {_n} {_o}")


_templates = {}
_lock = threading.Lock()


def template(instance, program):
    """Tables and other files for each call; made once."""
    with _lock:
        if (id(instance), program) not in _templates:
            alias = program == "postalias"
            directory = folder(instance, f"template-{program}", t="a: 1\nkey: two, words\nUPPER: x\n\u00fc: uml\n" if alias else COMMON, u="a: u\nb: only\n" if alias else "a u\nb only\n",
                               h="a: 1\n" if alias else "a 1\n", bt="a: 1\n" if alias else "a 1\n", re="/^a$/ one\n/(k.*)/ <$1>\n", ci="1.2.3.4 x\n", mail="/./ hit\n", all="/(.*)/ <$1>\n", garbage="a: 1\n", zero="a: 1\n")
            for spec in ("lmdb:t", "lmdb:u", "hash:h", "btree:bt"):
                instance.run(program, spec, cwd=directory, check=True)
            for suffix in ("lmdb", "db"):
                instance.write(f"{directory}/garbage.{suffix}", "garbage" * 5000)
                instance.write(f"{directory}/zero.{suffix}", "")
            os.mkdir(f"{directory}/dir")
            os.symlink("u", f"{directory}/link")
            os.symlink("/nonexistent", f"{directory}/dangling")
            _templates[id(instance), program] = directory
        return _templates[id(instance), program]


def modern(instance, value):
    """What the libraries of the reference say by themselves, and what 3.11 says otherwise (facts: commands 4.1, 4.2)."""
    rc, out, err = value
    if not instance.suite.is_ours:
        err = "".join(line for line in err.splitlines(True) if not re.match(r"(BDB|QID)\d+ ", line))
        err = err.replace("specify only one of -s -q or -d", "specify only one of -d -i -q or -s")
    return rc, out, err


def call_case(kind, number, case):
    program, args, data = case

    def run(instance):
        directory = f"{instance.base}/case-{kind}{number}"
        # Tables may be changed in place, all else is only read or replaced.
        shutil.copytree(template(instance, program), directory, symlinks=True, copy_function=lambda a, b: (shutil.copy2 if b.endswith(("db", "/t", "/u", "/h")) else os.link)(a, b))
        rc, text, err = modern(instance, run_in(instance, directory, program, *args, input=data))
        text = "".join(r for r in text.splitlines(True) if not r.startswith("YP_"))
        if args[:1] == ("-s",) and any(a.startswith(("texthash:", "hash:", "inline:")) for a in args):
            text = "".join(sorted(text.splitlines(True)))       # the order of a hash table
        out = [(rc, text, err)]
        if args and args[0][:2] in ("-d", "-i"):
            specs = [a for a in ("lmdb:t", "lmdb:u", "lmdb:new", "hash:h", "btree:bt") if a in args]
            out.append([rows(instance, directory, program, spec, not spec.startswith("hash")) for spec in specs])
        return out, sorted(os.listdir(directory))
    return run


@pytest.mark.parametrize("name", CALLS)
def test_call(box, name):   # noqa: F811
    compare(box, "call", call_case, CALLS, name, CALLS_OURS.get(name))


FILES = ["all", "bt", "bt.db", "ci", "dangling", "dir", "garbage", "garbage.db", "garbage.lmdb", "h", "h.db", "link", "mail", "re", "t", "t.lmdb", "u", "u.lmdb", "zero", "zero.db", "zero.lmdb"]
CALLS_OURS = {"message -m": ([(1, "", "postmap: warning: ignoring -m option without -b or -h\n")], FILES)}
for _p in ("postmap", "postalias"):
    _t = ["@:\t@", "a:\t1", "key:\ttwo, words", "upper:\tx", "\u00fc:\tuml", ""] if _p == "postalias" else ['"q k"\tquoted', "a\t1", "key\ttwo words", "long\tv a b", "upper\tx", "\u00fc\tuml", ""]
    _only = (1, "", f"{_p}: fatal: specify only one of -d -i -q or -s\n")
    for _a in ("-i -q a lmdb:t", "-i -i lmdb:t", "-i -s lmdb:t"):       # 3.11 counts -i and repetitions (facts: commands 4.1)
        CALLS_OURS[f"{_p} {_a}"] = ([_only, [(0, _t, "")]], FILES)
    CALLS_OURS[f"{_p} -s -s lmdb:t"] = ([_only], FILES)
    for _type in ("foo", ""):                                           # 3.11's text (facts: commands 4.2)
        CALLS_OURS[f"{_p} {_type}:t"] = ([(1, "", f"{_p}: fatal: unsupported map type: {_type}\n")], FILES)
    CALLS_OURS[f"{_p} -i foo:t <'a 1\\n'"] = ([(1, "", f"{_p}: fatal: unsupported map type: foo\n"), []], FILES)
    for _a in ("lmdb:dir", "hash:dir", "dir", "lmdb:dir/"):             # the reference takes a directory for an empty file
        CALLS_OURS[f"{_p} {_a}"] = ([(1, "", f"{_p}: fatal: read {_a.rpartition(':')[2]}: Is a directory\n")], FILES)
    # A new table does not depend on what the old file held.
    CALLS_OURS[f"{_p} lmdb:garbage"] = ([(0, "", "" if _p == "postalias" else 'postmap: warning: garbage, line 1: record is in "key: value" format; is this an alias file?\n')], FILES)
    # Ours answers line by line.
    CALLS_OURS[f"{_p} -q - lmdb:t lmdb:u <'a\\n\\nb\\n'"] = ([(1, "a:\t1\n" if _p == "postalias" else "a\t1\n", f"{_p}: fatal: error reading lmdb:u: MDB_BAD_VALSIZE: Unsupported size of key/DB name/data, or wrong DUPFIXED size\n")], FILES)

# --- modes, owners, directories

SUFFIX = {"lmdb": ".lmdb", "hash": ".db", "btree": ".db"}
OTHER = 54321


def owned(path, uid=None, mode=None):
    if mode is not None:
        os.chmod(path, mode)
    if uid is not None:
        os.chown(path, uid, uid)


# What is prepared in a directory d that root owns; the program runs as root.
PLACES = {
    **{f"mode {m:o}": lambda d, s, m=m: owned(d + "/t", mode=m) for m in (0o644, 0o640, 0o600, 0o604, 0o666, 0o444, 0o400, 0o755, 0o4644)},
    "user source": lambda d, s: owned(d + "/t", OTHER), "user directory": lambda d, s: owned(d, OTHER), "user both": lambda d, s: (owned(d, OTHER), owned(d + "/t", OTHER, 0o640)), "open directory": lambda d, s: (owned(d, None, 0o777), owned(d + "/t", OTHER)),
    "sticky directory": lambda d, s: (owned(d, None, 0o1777), owned(d + "/t", OTHER)),
    "old table": lambda d, s: (open(d + "/new", "w").close(), owned(d + "/t" + s, None, 0o600)), "old user table": lambda d, s: owned(d + "/t" + s, OTHER, 0o660), "old table, user source": lambda d, s: (owned(d + "/t", OTHER), owned(d + "/t" + s, OTHER, 0o644)),
    "old table of root, user source": lambda d, s: owned(d + "/t", OTHER), "read-only table": lambda d, s: owned(d + "/t" + s, None, 0o444),
}
OLD = [p for p in PLACES if p.startswith("old") or p.startswith("read-only")]
PLACE_CASES = {f"{k} {p} {' '.join(o)}": (k, p, o) for k in KINDS for p in PLACES for o in ([], ["-p"], ["-o"], ["-op"]) if not o or k == "lmdb" or p == "user both"}


def place_case(kind, number, case):
    table, place, options = case

    def run(instance):
        directory = folder(instance, f"{kind}{number}", t="a 1\n")
        if place in OLD:
            instance.write(f"{directory}/t", "old 1\n")
            instance.run("postmap", f"{table}:t", cwd=directory, check=True)
            instance.write(f"{directory}/t", "a 1\n")
        PLACES[place](directory, SUFFIX[table])
        p = run_in(instance, directory, "postmap", *options, f"{table}:t")
        made = {}
        for f in sorted(os.listdir(directory)):
            st = os.stat(f"{directory}/{f}")
            made[f] = (oct(st.st_mode), st.st_uid, st.st_gid)
        return p, made, rows(instance, directory, "postmap", f"{table}:t", table != "hash")
    return run


@pytest.mark.parametrize("name", PLACE_CASES)
def test_place(box, name):   # noqa: F811
    if os.getuid() != 0:
        pytest.skip("needs root")
    compare(box, "place", place_case, PLACE_CASES, name, PLACES_OURS.get(name))


PLACES_OURS = {}

HOSTILE = {
    # name: (prepare(d, suffix), is it refused?)
    "link of another": (lambda d, s: (os.symlink(d + "/victim", d + "/t" + s), os.lchown(d + "/t" + s, OTHER, OTHER)), True),
    "dangling link of another": (lambda d, s: (os.symlink(d + "/nosuch", d + "/t" + s), os.lchown(d + "/t" + s, OTHER, OTHER)), True),
    "temporary link": (lambda d, s: os.symlink(d + "/victim", d + "/t" + s + ".tmp"), True),
    "temporary hard link": (lambda d, s: os.link(d + "/victim", d + "/t" + s + ".tmp"), False),
    "temporary of another": (lambda d, s: (open(d + "/t" + s + ".tmp", "w").write("x"), os.chown(d + "/t" + s + ".tmp", OTHER, OTHER), os.chmod(d + "/t" + s + ".tmp", 0o666)), False),
    "temporary fifo": (lambda d, s: os.mkfifo(d + "/t" + s + ".tmp"), True),
    "hard link": (lambda d, s: os.link(d + "/victim", d + "/t" + s), False),
    "own link": (lambda d, s: (os.mkdir(d + "/away"), open(d + "/away/real", "w").close(), os.symlink("away/real", d + "/t" + s)), False),
}


@pytest.mark.parametrize("table", KINDS)
@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_target(box, what, table):   # noqa: F811
    """postmap as root where somebody else can write: no other file is touched, and it is said why."""
    if box.ours is None or not box.ours.suite.is_ours or os.getuid() != 0:
        pytest.skip("needs the suite under test, as root")
    prepare, refused = HOSTILE[what]
    instance, suffix = box.ours, SUFFIX[table]
    directory = folder(instance, f"hostile-{what}-{table}".replace(" ", "-"), t="a 1\n", victim="precious\n")
    os.chown(directory, OTHER, OTHER)
    prepare(directory, suffix)
    p = instance.run("postmap", f"{table}:t", cwd=directory, timeout=20)
    with open(directory + "/victim") as f:
        assert f.read() == "precious\n"
    st = os.stat(directory + "/victim")
    assert (st.st_uid, stat.S_IMODE(st.st_mode)) == (0, 0o644)
    assert not os.path.exists(directory + "/nosuch")
    assert (p.returncode != 0) == refused, p
    if refused:
        assert re.fullmatch(rf"postmap: fatal: open database t\{suffix}: .*\n", p.stderr), p
    else:
        assert instance.run("postmap", "-q", "a", f"{table}:t", cwd=directory).stdout == "1\n"
        made = os.lstat(f"{directory}/t{suffix}")
        assert stat.S_ISLNK(made.st_mode) == (what == "own link") and os.stat(f"{directory}/t{suffix}").st_uid == 0
        assert not os.path.exists(f"{directory}/t{suffix}.tmp")
    if what.startswith(("link", "dangling")):
        for args in (["-i"], ["-d", "a"]):
            p = instance.run("postmap", *args, f"{table}:t", cwd=directory, input="b 2\n")
            assert p.returncode == 1 and "symbolic link of another user" in p.stderr, p

# --- as an ordinary user

USER_CALLS = {f"{k} {w} {' '.join(a)}": (k, w, a) for k in KINDS for w in ("closed directory", "own directory", "unreadable source", "unreadable table", "read-only table", "foreign table") for a in ([], ["-q", "a"], ["-d", "a"], ["-s"], ["-i"]) if k == "lmdb" or a in ([], ["-d", "a"])}


def user_case(kind, number, case):
    table, place, args = case

    def run(instance):
        directory = folder(instance, f"{kind}{number}", t="a 1\nb 2\n")
        suffix = SUFFIX[table]
        if place != "own directory":
            instance.run("postmap", f"{table}:t", cwd=directory, check=True)
        me = pwd.getpwnam("phtest").pw_uid
        if place in ("own directory", "foreign table", "read-only table"):
            owned(directory, me)
        if place == "unreadable source":
            owned(directory + "/t", mode=0o600)
        if place == "unreadable table":
            owned(directory + "/t" + suffix, mode=0o600)
        if place == "read-only table":
            owned(directory + "/t" + suffix, me, 0o444)
        rc, out, err = run_in(instance, directory, "postmap", *args, f"{table}:t", as_user=True, input="c 3\n")
        return rc, out, err, rows(instance, directory, "postmap", f"{table}:t", table != "hash")[1], sorted(os.listdir(directory))
    return run


@pytest.mark.parametrize("name", USER_CALLS)
def test_user(box, name):   # noqa: F811
    if os.getuid() != 0:
        pytest.skip("needs root")
    compare(box, "user", user_case, USER_CALLS, name, USER_OURS.get(name))


USER_OURS = {}

# --- -F: values are files

FILE_CALLS = {" ".join(a): a for a in (
    ["-F", "lmdb:f"], ["-F", "hash:f"], ["-F", "-q", "one", "lmdb:built"], ["-q", "one", "lmdb:built"], ["-F", "-q", "two", "lmdb:built"], ["-F", "-q", "nosuch", "lmdb:built"], ["-F", "-s", "lmdb:built"], ["-s", "lmdb:built"], ["-F", "-q", "a", "lmdb:plain"], ["-F", "-s", "lmdb:plain"],
    ["-F", "-q", "one", "texthash:f"], ["-F", "-q", "missing", "texthash:f"], ["-F", "-q", "one", "texthash:good"], ["-F", "-q", "k", "inline:{k=x}"], ["-F", "-q", "k", "inline:{{k = x, y}}"], ["-F", "-q", "k", "inline:{k=nosuch}"], ["-F", "-q", "k", "static:x"], ["-F", "-q", "k", "static:{x y}"], ["-F", "-q", "k", "static:nosuch"],
    ["-F", "-q", "k", "regexp:re"], ["-F", "-q", "k", "pcre:re"], ["-F", "-q", "10.1.1.1", "cidr:ci"], ["-F", "-q", "k", "randmap:{x}"], ["-F", "-q", "k", "unionmap:{static:x}"], ["-F", "-q", "k", "pipemap:{static:k,inline:{k=x}}"], ["-F", "-d", "one", "lmdb:built"])}


def files_case(kind, number, args):
    def run(instance):
        directory = folder(instance, f"{kind}{number}", x="content of x\n", y="no newline", z=b"\xff\0bin\n", f="one x\ntwo x, y\nthree x y z\nmissing nosuch\nhalf x nosuch\ndir .\n", good="one x\ntwo x y\n", plain="a b\nb aGVsbG8=\nc a===\n", re="/k/ x\n", ci="10.0.0.0/8 x\n")
        shutil.copy(directory + "/good", directory + "/built")
        instance.run("postmap", "-F", "lmdb:built", cwd=directory)
        instance.run("postmap", "lmdb:plain", cwd=directory)
        out = [run_in(instance, directory, "postmap", *args)]
        if args[1].endswith(":f"):
            out += [rows(instance, directory, "postmap", args[1], False), rows(instance, directory, "postmap", args[1], False)]
        return out
    return run


@pytest.mark.parametrize("name", FILE_CALLS)
def test_files(box, name):   # noqa: F811
    compare(box, "files", files_case, FILE_CALLS, name, FILES_OURS.get(name))


FILES_OURS = {}

# --- newaliases and its other names

NEWALIASES = {
    "newaliases": (["newaliases"], "lmdb:@d/a"), "sendmail -bi": (["sendmail", "-bi"], "lmdb:@d/a"), "sendmail -I": (["sendmail", "-I"], "lmdb:@d/a"), "two": (["newaliases"], "lmdb:@d/a, hash:@d/b"), "no type": (["newaliases"], "@d/a"), "empty": (["newaliases"], ""), "blank": (["newaliases"], ","),
    "missing": (["newaliases"], "lmdb:@d/nosuch"), "second missing": (["newaliases"], "lmdb:@d/a lmdb:@d/nosuch"), "first missing": (["newaliases"], "lmdb:@d/nosuch lmdb:@d/a"), "bad type": (["newaliases"], "regexp:@d/a"), "unknown type": (["newaliases"], "foo:@d/a"),
    "recipient": (["newaliases", "x"], "lmdb:@d/a"), "-oA": (["sendmail", "-bi", "-oAlmdb:@d/b"], "lmdb:@d/a"), "-oA apart": (["sendmail", "-bi", "-oA", "lmdb:@d/b"], "lmdb:@d/a"), "bad source": (["newaliases"], "lmdb:@d/bad"), "-C": (["newaliases", "-C", "@d/main.cf"], "lmdb:@d/a"),
    "dash": (["newaliases"], "-v"), "several": (["newaliases"], "lmdb:@d/a,lmdb:@d/a,,lmdb:@d/b"), "-q": (["newaliases", "-q"], "lmdb:@d/a"), "-v": (["newaliases", "-z"], "lmdb:@d/a"),
}


def newaliases_case(kind, number, case):
    args, database = case

    def run(instance):
        directory = folder(instance, f"{kind}{number}", a="root: x\n", b="b: y, z\n", bad="root\na@b: c\nok: d\n")
        text = "".join(f"{k} = {v}\n" for k, v in instance.main.items() if k != "alias_database") + f"alias_database = {database}\n"
        instance.write(f"{directory}/main.cf", text.replace("@d", directory))
        p = run_in(instance, directory, args[0], *[a.replace("@d", directory) for a in args[1:]], env=instance.env(MAIL_CONFIG=directory))
        return p, sorted(os.listdir(directory))
    return run


@pytest.mark.parametrize("name", NEWALIASES)
def test_newaliases(box, name):   # noqa: F811
    ours = (1, "", "postalias: fatal: unsupported map type: foo\n"), ["a", "b", "bad", "main.cf"]     # 3.11 (facts: commands 4.2)
    compare(box, "newaliases", newaliases_case, NEWALIASES, name, ours if name == "unknown type" else None)
