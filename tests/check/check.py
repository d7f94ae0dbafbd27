#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Checks of the source: layers, sizes, banned calls, manual pages, licence lines,
paths of a developer's machine, parameters. usage: check.py [source directory]
Prints one line a check; the last line is "N passed, N failed"."""

import os
import re
import subprocess
import sys

# A layer may include those to its left and itself (design: the house).
USES = {
    "base": [],
    "io": ["base"],
    "conf": ["base", "io"],
    "ipc": ["base", "io"],
    "map": ["base", "io", "conf", "ipc"],
    "net": ["base", "io", "conf", "ipc", "map", "smtp"],
    "smtp": ["base", "io"],
    "mail": ["base", "io", "conf", "ipc", "map", "smtp", "net"],
    "milter": ["base", "io", "conf", "ipc", "map", "smtp", "net", "mail"],
    "dkim": ["base", "io", "conf", "ipc", "map", "smtp", "net", "mail"],
    "service": ["base", "io", "conf", "ipc"],
}
BANNED = ("strcpy strcat sprintf vsprintf strtok atoi atol atoll sscanf setjmp longjmp sigsetjmp alarm gets "
          "strncpy strncat alloca").split()
NOT_PROGRAMS = {"lib", "tests", "doc", "conf", "packaging", "obj", "run", "build", "build-test", "b", ".git", ".ci", "dist"}
FUNCTION_LINES = 120
FILE_LINES = 1000


def sources(top):
    out = []
    for root, dirs, files in os.walk(top):
        rel = os.path.relpath(root, top)
        dirs[:] = [d for d in dirs if not (rel == "." and (d in NOT_PROGRAMS - {"lib", "tests"} or d.startswith("build")))
                   and d not in ("__pycache__", "corpus", ".git")]
        for f in files:
            if f.endswith((".c", ".h", ".def")):
                out.append(os.path.normpath(os.path.join(rel, f)))
    return sorted(out)


def read(top, path):
    with open(os.path.join(top, path), encoding="utf-8", errors="replace") as f:
        return f.read()


def bare(text):
    """The text with comments and strings blanked, line structure kept."""
    def blank(m):
        return re.sub(r"[^\n]", " ", m.group(0))
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', blank, text, flags=re.S)


def check_layers(top, files):
    programs = {f.split("/")[0] for f in files if f.count("/") == 1 and f.split("/")[0] not in NOT_PROGRAMS}
    for f in files:
        parts = f.split("/")
        for i, line in enumerate(read(top, f).split("\n"), 1):
            m = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if not m:
                continue
            target = m.group(1).split("/")
            where = target[0] if len(target) > 1 else None
            if where == "lib":
                yield f"{f}:{i}: include {m.group(1)} without lib/"
                continue
            if m.group(1).endswith(".def"):
                continue            # tables of rows, made to be read by others
            # lib/smtp and the program smtp share a name; -Ilib comes first.
            in_lib = os.path.exists(os.path.join(top, "lib", m.group(1)))
            if parts[0] == "lib" and len(parts) == 3 and where:
                own = parts[1]
                if where in programs and not in_lib:
                    yield f"{f}:{i}: lib includes program {where}"
                elif where in USES and where != own and where not in USES.get(own, []):
                    yield f"{f}:{i}: layer {own} includes {where}"
            elif parts[0] in programs and where in programs and where != parts[0] and not in_lib:
                yield f"{f}:{i}: program {parts[0]} includes program {where}"


def check_sizes(top, files):
    for f in files:
        if not f.endswith(".c"):
            continue
        lines = bare(read(top, f)).split("\n")
        if len(lines) - 1 > FILE_LINES:
            yield f"{f}: {len(lines) - 1} lines (limit {FILE_LINES})"
        start = None
        for i, line in enumerate(lines, 1):
            if line.startswith("{"):
                start = i
            elif line.startswith("}") and start:
                if i - start - 1 > FUNCTION_LINES and not line.rstrip().endswith("};") and not line.startswith("};"):
                    yield f"{f}:{start}: function of {i - start - 1} lines (limit {FUNCTION_LINES})"
                start = None


def check_banned(top, files):
    rx = re.compile(r"(?<![\w.>])(" + "|".join(BANNED) + r")\s*\(")
    for f in files:
        if f.startswith("lib/base/") or f.endswith(".def"):
            continue
        for i, line in enumerate(bare(read(top, f)).split("\n"), 1):
            m = rx.search(line)
            if m:
                yield f"{f}:{i}: {m.group(1)}()"


def check_spdx(top, files):
    tracked = subprocess.run(["git", "-C", top, "ls-files"], capture_output=True, text=True).stdout.split("\n")
    wanted = set(files) | {t for t in tracked if t.endswith((".py", ".sh", ".1", ".5", ".8", ".md")) or t in
                           ("configure", "Makefile.in", "runtests", "quickstart", ".ci/run")}
    for f in sorted(wanted):
        path = os.path.join(top, f)
        if os.path.isfile(path) and os.path.getsize(path) and not f.endswith(".md") and \
                "SPDX-License-Identifier: ISC" not in read(top, f)[:2000]:
            yield f"{f}: no SPDX line"


def check_macros(top, files):
    """A macro never returns, jumps, frees or loops."""
    for f in files:
        text = bare(read(top, f))
        for m in re.finditer(r"(?m)^[ \t]*#[ \t]*define[ \t]+(\w+)((?:[^\n]*\\\n)*[^\n]*)", text):
            body = m.group(2)
            bad = re.search(r"\b(return|goto|free|for|while)\b\s*\(?", body)
            if bad and not re.search(r"while\s*\(\s*(0|false)\s*\)", body):
                line = text.count("\n", 0, m.start()) + 1
                yield f"{f}:{line}: macro {m.group(1)} has {bad.group(1)}"


def check_man(top, files):
    for p in sorted({f.split("/")[0] for f in files if f.endswith(".c") and f.count("/") == 1}):
        if p in NOT_PROGRAMS:
            continue
        if not any(os.path.exists(os.path.join(top, p, f"{p}.{s}")) for s in (1, 8)):
            yield f"{p}: no manual page {p}/{p}.1 or {p}/{p}.8"


def check_paths(top, files):
    tracked = subprocess.run(["git", "-C", top, "ls-files"], capture_output=True, text=True).stdout.split("\n")
    me = "tests/check/check.py"
    for f in tracked:
        path = os.path.join(top, f)
        if not f or f == me or not os.path.isfile(path) or "/corpus/" in f:
            continue
        for i, line in enumerate(read(top, f).split("\n"), 1):
            if re.search(r"(?<![\w$}])/(?:work|home/[a-z]+)/", line):
                yield f"{f}:{i}: path of a machine: {line.strip()[:80]}"


def parameters(top, files):
    """(kind, name, file) of every row of the parameter table (lib/conf/param.h)."""
    for f in files:
        if not f.endswith("params.def") and not f.endswith("shared.def"):
            continue
        for m in re.finditer(r"(?m)^(PARAM|PARAM_LATER|PARAM_TWIN|SHARED|SHARED_LATER)\(([^\n]*)", read(top, f)):
            args = re.sub(r'"(?:\\.|[^"\\])*"', '""', m.group(2)).split(",")
            yield m.group(1), args[2 if m.group(1).startswith("SHARED") else 1].strip(), f


# Written by make install and left to those who package; the reader of debugger_command is "-D", which master refuses.
INSTALLATION = set("""sendmail_path mailq_path newaliases_path manpage_directory sample_directory readme_directory html_directory
shlib_directory meta_directory debugger_command mail_release_date local_destination_concurrency_limit
local_destination_recipient_limit""".split())
# Accepted and ignored, by Postfix too; the table says why.
OBSOLETE = set("dns_ncache_ttl_fix_enable maps_rbl_domains sun_mailtool_compatibility qmgr_fudge_factor".split())
# Some code reads them, but what a user means by setting them does not happen yet.
PARTLY = set("""fallback_transport fallback_transport_maps luser_relay mailbox_command mailbox_command_maps mailbox_transport
mailbox_transport_maps smtp_tls_security_level""".split())


def check_parameters(top, files):
    """A parameter without the mark LATER is read by some code, one with the mark by none; each stands once."""
    used, read_by_code = set(), set()
    for f in files:
        if f.startswith("tests/"):
            continue
        text = read(top, f)
        used |= set(re.findall(r"\$\{?\{?\$?([a-z0-9_]+)", text))
        if not f.endswith(".def"):
            used |= set(re.findall(r"(?:->|\.)\s*([A-Za-z0-9_]+)\b", bare(text)))
            used |= set(re.findall(r'"([a-z0-9_]+)"', text))
            read_by_code |= set(re.findall(r"\bconf\.(\w+)", bare(text)))
    seen = {}
    for kind, name, f in parameters(top, files):
        if name in seen:
            yield f"{f}: {name} is also in {seen[name]}"
        seen[name] = f
        if kind in ("PARAM", "SHARED") and name not in used | INSTALLATION | OBSOLETE and "p_" + name not in used:
            yield f"{f}: {name} is neither acted upon nor marked LATER"
        if kind in ("PARAM_LATER", "SHARED_LATER") and name in read_by_code - PARTLY:
            yield f"{f}: {name} is marked LATER, but code reads it"


CHECKS = [
    ("layers: a lower layer never includes a higher one", check_layers),
    ("sizes of functions and files", check_sizes),
    ("banned calls", check_banned),
    ("licence line in each file", check_spdx),
    ("macros without control flow", check_macros),
    ("a manual page for each program", check_man),
    ("no path of a developer's machine", check_paths),
    ("each parameter is acted upon or marked", check_parameters),
]


def main():
    top = sys.argv[1] if len(sys.argv) > 1 else "."
    files = sources(top)
    passed = failed = 0
    for title, check in CHECKS:
        found = list(check(top, files))
        if found:
            failed += 1
            print(f"FAIL: {title}: {len(found)}")
            for line in found[:40]:
                print(f"  {line}")
        else:
            passed += 1
            print(f"ok: {title}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


sys.exit(main())
