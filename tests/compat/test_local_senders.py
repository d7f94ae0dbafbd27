# SPDX-License-Identifier: ISC
"""local_login_sender_maps: which envelope sender a login name may give, asked of postdrop and through sendmail."""

import grp
import os
import re
import subprocess

import pytest
from harness import REFERENCE_ONLY, SELF_CHECK, Batch, Suites, ours
from harness.spool import Spool, record

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="changes to other users")

ANYBODY = "54321"           # has no name
PATTERNS = {
    "*": ["", "a@b"], "<>": ["", "a@b", "<>"], "bob": ["bob", "BOB", "bob@example.test", "bob+x", "bob+x+y", "+x", ""],
    "bob@ex.test": ["bob@ex.test", "BOB@EX.TEST", "bob+x@ex.test", "bob@ex.test ", "bob", "bob@ex.test.x"],
    "@ex.test": ["a@ex.test", "a@EX.test", "a@sub.ex.test", "@ex.test", "ex.test", "a@b@ex.test"], "@EX.test": ["a@ex.test"],
    "bob@": ["bob@ex.test", "bob"], "a,b@c  d": ["a", "b@c", "d", "e"], "bob*": ["bob", "bobx"], "*@ex.test": ["a@ex.test"], "NULL": ["", "<>"],
    "bob+x@ex.test": ["bob+x@ex.test", "bob@ex.test"], '"a b"@ex.test': ["a b@ex.test", '"a b"@ex.test'], "@mail.example.test": ["bob"],
}
# name: (tables, login, sender)
TABLES = {
    "no entry": ("inline:{ { root = * } }", "nobody", "x"), "number": ("inline:{ { uid:54321 = * } }", ANYBODY, "x"),
    "number alone": ("inline:{ { 54321 = * } }", ANYBODY, "x"), "no tables": ("", "nobody", "x"), "root": ("inline:{ { root = bob } }", "root", "x"),
    "root may": ("inline:{ { root = bob } }", "root", "bob"), "fails": ("fail:x", "nobody", "x"), "case": ("inline:{ { NOBODY = b } }", "nobody", "b"),
    "first that knows": ("inline:{ { nobody = a } }, inline:{ { nobody = b } }", "nobody", "b"), "second": ("inline:{ { x = a } }, inline:{ { nobody = b } }", "nobody", "b"),
    "no sender": ("inline:{ { nobody = b } }", "nobody", None), "no sender at all": ("static:*", "nobody", None), "static": ("static:a", "nobody", "a"),
    "expression": ("regexp:{ {/^(.*)$/ $1 $1@ex.test} }", "nobody", "Nobody@ex.test"),
}


class Plain:
    def __init__(self, suite):
        self.suite = suite


def message(sender):
    return b"".join([record("A", "rewrite_context=local"), record("S", sender) if sender is not None else b"", record("R", "u@x.test"), record("M"),
                     record("N", "Subject: x"), record("X"), record("E")])


def submitted(settings, login, program, args, data, instance):
    """The program under that login; where set-gid would add a group it is there from the start, so that the configuration is taken."""
    with Spool(recipient_delimiter="+", myhostname="mail.example.test", command_directory=instance.suite.command_directory, **settings) as spool:
        os.chown(spool.queue + "/maildrop", spool.owner.pw_uid, grp.getgrnam("postdrop").gr_gid)
        os.chmod(spool.queue + "/maildrop", 0o1730)
        os.makedirs(spool.queue + "/public")
        os.chmod(spool.queue, 0o755)
        env = {"PATH": "/usr/bin", "LC_ALL": "C", "MAIL_CONFIG": spool.base, "ASAN_OPTIONS": "detect_leaks=0"}
        p = subprocess.run(["setpriv", f"--reuid={login}", "--regid=postdrop", "--clear-groups", "--", instance.suite.prog(program), *args],
                           input=data, capture_output=True, timeout=30, cwd="/", env=env)
        kept = [f for f in os.listdir(spool.queue + "/maildrop") if os.stat(f"{spool.queue}/maildrop/{f}").st_mode & 0o100]
        out = re.sub(r"[0-9A-F]{8,}", "QID", p.stdout.decode("latin-1"))
        return p.returncode, out, re.sub(r"[0-9A-F]{8,}", "QID", p.stderr.decode("latin-1")), len(kept)


CASES = {f"{p} {s or 'null'}": ({"local_login_sender_maps": f"inline:{{ {{ nobody = {p} }} }}"}, "nobody", "postdrop", ["-r"], message(s))
         for p, senders in PATTERNS.items() for s in senders}
CASES.update({f"key {p} {s or 'null'}": ({"local_login_sender_maps": f"inline:{{ {{ nobody = {p} }} }}",
              "empty_address_local_login_sender_maps_lookup_key": "NULL"}, "nobody", "postdrop", ["-r"], message(s))
             for p in ("NULL", "null", "<>", "*") for s in ("", "<>", "NULL")})
CASES.update({name: ({"local_login_sender_maps": maps}, login, "postdrop", ["-r"], message(s)) for name, (maps, login, s) in TABLES.items()})
CASES.update({f"sendmail {login} {s or 'null'}": ({"local_login_sender_maps": "inline:{ { nobody = bob@ex.test } { root = * } }"}, login, "sendmail",
              ["-i", "-f", s, "u@x.test"], b"Subject: x\n\nx\n") for login, s in (("nobody", "bob@ex.test"), ("nobody", "al@ex.test"), ("nobody", ""),
                                                                               ("root", "al@ex.test"), (ANYBODY, "al@ex.test"))})


@pytest.fixture(scope="module")
def senders():
    yield Batch(Suites(Plain), {name: lambda i, case=case: submitted(*case, i) for name, case in CASES.items()})


@pytest.mark.parametrize("name", CASES)
def test_sender(senders, name):
    senders.compare(name)


@pytest.mark.skipif(REFERENCE_ONLY or SELF_CHECK, reason="the reference has no table then, and no answer")
@pytest.mark.parametrize("table", ["texthash:/nonexistent/x", "nosuch:x"])
def test_table_that_cannot_be_opened(table):
    code, out, err, kept = submitted({"local_login_sender_maps": table}, "nobody", "postdrop", ["-r"], message("x"), Plain(ours()))
    assert (code, kept) == (2, 0) and f"table lookup error for '{table}'" in out and "is unavailable" in err
