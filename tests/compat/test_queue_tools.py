# SPDX-License-Identifier: ISC
"""postcat on files of every shape, postsuper on spools that need mending: hand-made, given to both."""

import os
import re
import subprocess
import tempfile

import pytest
from harness import REFERENCE_ONLY, SELF_CHECK, Batch, Suites, ours
from harness.spool import Spool, queue_file, record

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="needs the reference, as root")

R = record
NOW = 1795225759
GOOD = queue_file(now=NOW)
SIZE = "%15d %15d %15d %15d %15d %15d"


def made(*envelope, content=(R("N", "Subject: x"), R("N"), R("N", "body")), extracted=()):
    return R("T", f"{NOW} 1") + b"".join(envelope) + R("S", "s@x") + R("R", "r@x") + R("M") + b"".join(content) + R("X") + b"".join(extracted) + R("E")


HEADS = [R("N", "Subject: x"), R("N", " more"), R("N", "\ttab"), R("N", "X-Blank :y"), R("N", "no header"), R("N", "To: z"), R("N"), R("N", "a: body")]
FILES = {
    "good": GOOD,
    "empty": b"",
    "text": b"just some text\n",
    "zeros": bytes(200),
    "type-0": b"\0\x05abcde" + GOOD,
    "every-type": made(*[R(k, "1795225759 payload of " + k) for k in "cFILDO/WVK<ion>B"]),
    "unknown-types": made(*[R(k, "x") for k in "QZ!\x7f"]),
    "extracted": made(extracted=[R(k, "v " + k) for k in "RO/PreAFIL>Kon"]),
    "attributes": made(*[R("A", a) for a in ("novalue", "=x", "a = b", "a=", "create_time=1795225759", "create_time=x", " a=b ", "a==b", "a b=c", "")]),
    "times": R("T", "1795225759") + R("T", "x") + R("T", "-1 5") + R("W", "%15d" % -1) + R("W", "0") + GOOD[97:],
    "time-huge": R("T", "99999999999999999999") + GOOD[97:],
    "wide": made(R("F", "Full N\u00e4me"), R("F", b"\xff\x00\x01bin"), R("F", "x" * 200)),
    "long-record": made(R("A", "a=" + "y" * 20000)),
    "pieces": made(content=[R("N", "Subject: x"), R("N"), R("L", "piece one "), R("L", "two "), R("N", "end"), R("L", "open")]),
    "headers": made(content=HEADS),
    "long-header": made(content=[R("L", "Subject: a"), R("N", "continued"), R("N", "To: b"), R("N"), R("N", "body")]),
    "no-headers": made(content=[R("N", "plain text"), R("N", "A: b")]),
    "blank-first": made(content=[R("N", " blank"), R("N", "A: b")]),
    "no-content": made(content=[]),
    "nul": made(content=[R("N", b"a: \0b"), R("N"), R("N", b"\0\0"), R("N", b"\xff\xfe")]),
    "type-in-content": made(content=[R("N", "a: b"), R("R", "inside"), R("p", "%15d" % 0), R("w", "0"), R("N"), R("N", "text")]),
    "twice-m": made(R("M")),
    "twice-x": made(extracted=[R("X")]),
    "x-first": R("T", f"{NOW} 1") + R("X") + R("E"),
    "e-first": R("T", f"{NOW} 1") + R("E") + GOOD,
    "e-in-content": made(content=[R("N", "a: b"), R("E")]),
    "after-end": GOOD + R("R", "behind") + R("E"),
    "after-end-junk": GOOD + b"\xffjunk",
    "no-end": GOOD[:-2],
    "cut-type": GOOD + b"",
    "cut-length": GOOD[:97] + b"A\x85",
    "cut-payload": GOOD[:130],
    "length-5": GOOD[:97] + b"A\xff\xff\xff\xff\xff\x01" + b"x" * 50,
    "length-4": GOOD[:97] + b"A\xff\xff\xff\x7f" + b"x" * 50,
    "length-padded": R("T", f"{NOW} 1") + b"S\x83\x00s@x" + R("R", "r@x") + R("M") + R("X") + R("E"),
    "size-1": queue_file(now=NOW, size="%15d" % 100),
    "size-3": queue_file(now=NOW, size="%15d %15d %15d" % (25, 200, 1)),
    "size-0": queue_file(now=NOW, size=SIZE % (0, 0, 0, 0, 0, 0)),
    "size-minus": queue_file(now=NOW, size=SIZE % (-1, -1, -1, -1, -1, 1)),
    "size-text": queue_file(now=NOW, size="some text that is not a size"),
    "size-huge": queue_file(now=NOW, size=SIZE % (10 ** 14, 10 ** 14, 1, 0, 1, 0)),
    "size-wrong": queue_file(now=NOW, size=SIZE % (5, 150, 1, 0, 5, 0)),
    "size-twice": GOOD[:97] + GOOD,
    "pointer-0": made(R("p", "%15d" % 0), R("w", "0")),
    "pointer-self": R("T", "1 1") + R("p", "%15d" % 5),
    "pointer-loop": R("T", "1 1") + R("S", "x") + R("p", "%15d" % 5),
    "pointer-far": R("T", "1 1") + R("p", "%15d" % 10 ** 12),
    "pointer-minus": R("T", "1 1") + R("p", "%15d" % -5),
    "pointer-text": R("T", "1 1") + R("p", "   not a number") + R("S", "x"),
    "pointer-inside": R("T", "1 1") + R("S", "x" * 30) + R("p", "%15d" % 10),
    "pointer-forth": R("T", "1 1") + R("p", "%15d" % 40) + b"\xff" * 18 + R("S", "x") + R("M") + R("X") + R("E"),
    "pointer-short": R("T", "1 1") + R("p", "30") + b"A" * 30,
}
OPTIONS = [[], ["-e"], ["-bh", "-o"], ["-r", "-v"], ["-ed"]]
MORE = {
    **{f"{name} {' '.join(o)}": [*o, f"@{name}"] for name in ("good", "headers", "pieces", "no-headers", "long-header", "nul", "type-in-content", "blank-first")
       for o in (["-h"], ["-b"], ["-he"], ["-be"], ["-ho"], ["-bd"], ["-hv"], ["-hbe"], ["-bhr"])},
    "several": ["-e", "@good", "@headers", "@good"],
    "several-b": ["-b", "@good", "@headers", "@good"],
    "damaged-between": ["-e", "@good", "@cut-payload", "@good"],
    "junk-between": ["-e", "@good", "@text", "@good"],
    "missing-between": ["-e", "@good", "/nonexistent", "@good"],
    **{f"start {s} {' '.join(o)}": ["-s", str(s), *o, "@good"] for s in (0, 97, 117, 118, 9999, "1x", "-1", "") for o in ([], ["-e"], ["-v"])},
    "options-behind": ["@good", "-e"],
}
# The reference does not survive these, or never ends: what matters is that ours does.
OURS_ONLY = {"size-0", "time-huge"}
CASES = {**{f"{name} {' '.join(o) or 'all'}": [*o, f"@{name}"] for name in FILES for o in OPTIONS if name not in OURS_ONLY}, **MORE}
# Where the reference gives up, ours goes on: sizes that lead nowhere, standard input that cannot be positioned.
for name in ["size-huge -e", "size-huge -ed"] + [f"size-{n} -bh -o" for n in ("1", "minus", "text", "huge")]:
    del CASES[name]


class Plain:
    def __init__(self, suite):
        self.suite = suite

    def run(self, name, *args, config=None, input=b""):
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "TZ": "UTC", "ASAN_OPTIONS": "detect_leaks=0"}
        if config:
            env["MAIL_CONFIG"] = config
        p = subprocess.run([self.suite.prog(name), *args], input=input, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, cwd="/", timeout=60)
        err = re.sub(r"(?m)^\S*/(post\w+): ", r"\1: ", p.stderr.decode("latin-1"))
        return p.returncode, p.stdout.decode("latin-1"), err


@pytest.fixture(scope="module")
def postcat():
    with tempfile.TemporaryDirectory(prefix="ph-cat-", dir="/tmp") as d, Spool() as spool:
        for name, data in FILES.items():
            with open(f"{d}/{name}", "wb") as f:
                f.write(data)

        def run(args):
            argv = [f"{d}/{a[1:]}" if a.startswith("@") else a for a in args]
            verbose = any(a.startswith("-") and "v" in a for a in args)

            def of(i):
                code, out, err = i.run("postcat", *argv, config=spool.base, input=GOOD)
                return code, out, "" if verbose else err    # with -v the reference speaks of its own internals, too
            return of
        yield Batch(Suites(Plain), {name: run(args) for name, args in CASES.items()})


@pytest.mark.parametrize("name", CASES)
def test_postcat(postcat, name):
    postcat.compare(name)


def many(spool, args):
    """A spool with everything that postsuper has an opinion on. Tidy: without directories that cannot be removed, which
    end the reference's run, and ours not."""
    ids, tidy = {}, not ("-s" in args or "-S" in args or args == [])
    for where in ("maildrop", "incoming", "active", "hold"):
        ids[where] = spool.put(where, f"in-{where}")
    ids["deferred"] = spool.put("deferred/A", "deferred")
    spool.put("deferred/A", "expired", mode=0o710)
    spool.put("defer/A", "log-defer", b"E\0", ids["deferred"], 0o600)
    spool.put("bounce", "log-bounce", b"E\0", ids["deferred"], 0o600)
    spool.put("trace", "log-trace", b"E\0", ids["hold"], 0o600)
    spool.put("deferred", "not-hashed")
    spool.put("deferred/B", "wrong-hash")
    if not tidy:
        spool.put("active/A", "hashed")
    spool.put("hold", "other-inode", name="12345ABCDEF")
    spool.put("deferred/1", "other-inode-log", name="12345ABCDEA")
    spool.put("defer/1", "log-renamed", b"E\0", "12345ABCDEA", 0o600)
    if "ALL" in args:
        return ids                  # what such runs say of foreign files depends on the queues that they pass through
    spool.put("hold", "odd-name", name="Zorro99")
    spool.put("hold", "short-name", name="AB1")
    spool.put("hold", "long", name="4jWZw54Qv1z1cB7f")
    spool.put("active", "unfinished", name="ABCDE77777#FIX")
    right = spool.put("active", "unfinished-right")
    os.rename(f"{spool.queue}/active/{right}", f"{spool.queue}/active/{right}#FIX")
    spool.put("hold", "bogus", name="not.a-name")
    spool.put("hold", "bogus-blank", name="a b")
    spool.put("incoming", "young", mode=0o600)
    spool.put("incoming", "old", mode=0o600, age=8 * 86400)
    spool.put("incoming", "old-temporary", name="123456.789", mode=0o600, age=8 * 86400)
    spool.put("active", "corrupt", mode=0o400)
    spool.put("active", "corrupt-old", mode=0o400, age=8 * 86400)
    spool.put("corrupt", "set-aside")
    os.symlink("/etc/passwd", f"{spool.queue}/hold/LINK99999")
    os.mkfifo(f"{spool.queue}/hold/FIFO99999")
    for d in ("active/empty", "deferred/C", "hold/D", "deferred/C/E", *([] if tidy else ["hold/full/x"])):
        os.makedirs(f"{spool.queue}/{d}")
    for root, dirs, files in os.walk(spool.queue):
        for n in dirs + files:
            if root != spool.queue:
                os.chown(f"{root}/{n}", spool.owner.pw_uid, spool.owner.pw_gid, follow_symlinks=False)
    return ids


STDIN = "@deferred\n@hold  \n\n   \nNOSUCH1\nbad/id\n@active\r\n../../etc/passwd\n" + "A" * 300 + "\n@maildrop junk\n\x00\n@incoming"
SUPER = {
    **{f"{' '.join(a) or 'none'}{' long' if long else ''}": (a, long) for long in (False, True)
       for a in ([], ["-s"], ["-S"], ["-p"], ["-s", "-p"])},
    **{f"{o} -": ([o, "-"], True) for o in ("-d", "-r", "-h", "-H", "-e", "-f")},
    **{f"{o} ALL": ([o, "ALL"], True) for o in ("-d", "-r", "-h", "-H", "-e", "-f")},
    **{" ".join(a): (a, True) for a in (
        ["-s", "hold"], ["-s", "deferred", "defer"], ["-S", "hold"], ["-p", "incoming"], ["-p", "active", "hold"], ["-s", "flush"], ["-s", "trace"],
        ["-d", "ALL", "incoming"], ["-d", "ALL", "hold", "deferred"], ["-h", "ALL", "hold"], ["-H", "ALL", "deferred"], ["-r", "ALL", "maildrop"],
        ["-e", "ALL", "-e", "ALL"], ["-h", "ALL", "-H", "ALL"], ["-h", "ALL", "-d", "ALL", "hold"], ["-r", "ALL", "-d", "ALL"],
        ["-d", "@deferred", "-h", "@active", "-H", "@hold", "-r", "@incoming", "-e", "@deferred"], ["-f", "@hold", "-f", "@deferred"],
        ["-d", "@deferred", "hold"], ["-d", "@hold", "hold", "hold"], ["-e", "@maildrop"], ["-h", "@maildrop"], ["-r", "@maildrop"], ["-h", "@hold"],
        ["-d", "-", "hold"], ["-d", "-", "-h", "-"], ["-s", "-d", "ALL"], ["-p", "-d", "ALL", "hold"], ["-d", "all"], ["-d", ""], ["-d", "corrupt"],
        ["-d", "ALL", "corrupt"], ["-s", ""], ["-d", "@deferred", "-z"], ["-d"], ["-v"])},
    "-s -d id": (["-s", "-d", "@deferred"], True),
}


@pytest.fixture(scope="module")
def postsuper():
    def run(args, long):
        def of(i):
            with Spool(enable_long_queue_ids="yes" if long else "no") as spool:
                ids = many(spool, args)

                def real(text):
                    return re.sub("@([a-z]+)", lambda m: ids[m.group(1)], text)
                code, out, err = i.run("postsuper", *[real(a) for a in args], config=spool.base, input=real(STDIN).encode())
                err = spool.named(err)
                for root, _, files in os.walk(spool.queue):         # names that were made meanwhile
                    for f in sorted(files, key=len, reverse=True):
                        if f not in spool.labels and len(f) > 8 and f not in ("LINK99999", "FIFO99999"):
                            err = err.replace(f, "NEW")
                if "usage:" in err:
                    err = err.split("usage:")[0]
                if "-v" in args:
                    err = ""
                # The order in which a directory shows its files is not ours to choose.
                tree = {k: v for k, v in spool.tree().items() if not k.startswith("dir defer/")}     # directories for logs that are not there
                if "-d" in args and "ALL" in args:      # ours leaves no log behind, whatever queues were named
                    tree = {k: v for k, v in tree.items() if not k.startswith("log-")}
                return code, out, sorted(set(err.splitlines())), tree
        return of
    yield Batch(Suites(Plain), {name: run(*case) for name, case in SUPER.items()})


@pytest.mark.parametrize("name", SUPER)
def test_postsuper(postsuper, name):
    postsuper.compare(name)


def log_of(*rcpts):
    return "".join(f"\n<{r}>: why {r}\nrecipient={r}\noffset=1\ndsn_orig_rcpt=rfc822;{r}\nstatus=4.4.1\naction=delayed\n"
                   f"reason=why {r}\n\n" for r in rcpts).encode()


LISTS = {"text": ["-p"], "json": ["-j"], "text long": ["-p"]}


@pytest.fixture(scope="module")
def lists():
    """Messages with a log and without, one among the other."""
    def run(name):
        def of(i):
            with Spool(enable_long_queue_ids="yes" if "long" in name else "no") as spool:
                for n in range(48):
                    where, hashed = ("deferred", True) if n % 4 else (("active", "hold", "incoming")[n // 4 % 3], False)
                    message, to = f"{n * 37 % 16:X}{n:04d}ABCDE", [f"u{k}@r{n}.test" for k in range(n % 3 + 1)]
                    data = queue_file(f"s{n}@example.test", [("D" if n % 5 == 0 and k == 0 else "R", r) for k, r in enumerate(to)],
                                      now=NOW + n * 86399)
                    spool.put(f"{where}/{message[0]}" if hashed else where, message, data, message, mode=0o710 if n % 7 == 0 else 0o700)
                    if n % 3 != 1:
                        spool.put(f"defer/{message[0]}", "", log_of(*to[:2]), message, 0o600)
                code, out, _ = i.run("postqueue", *LISTS[name], config=spool.base)
                # The first message in the directory is not the same one in both.
                out = re.sub(r"^(-.*-\n)", r"\1\n", out)
                if not i.suite.is_ours:     # 3.11 also shows the original address: of one that has a reason none
                    out = re.sub(r'\{"address": ("[^"]*"), "', r'{"orig_address": "", "address": \1, "', out)
                    out = re.sub(r'\{"address": ("[^"]*")\}', r'{"orig_address": \1, "address": \1}', out)
                return code, sorted(out.split("\n\n" if name != "json" else "\n"))
        return of
    yield Batch(Suites(Plain), {name: run(name) for name in LISTS})


@pytest.mark.parametrize("name", LISTS)
def test_list(lists, name):
    lists.compare(name)


@pytest.mark.skipif(REFERENCE_ONLY or SELF_CHECK, reason="needs the suite under test")
@pytest.mark.parametrize("name", sorted(OURS_ONLY))
def test_postcat_ends(name):
    with tempfile.NamedTemporaryFile() as f, Spool() as spool:
        f.write(FILES[name])
        f.flush()
        code, out, _ = Plain(ours()).run("postcat", "-e", f.name, config=spool.base)
        assert code in (0, 1) and "ENVELOPE RECORDS" in out
