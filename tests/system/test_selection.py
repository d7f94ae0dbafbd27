# SPDX-License-Identifier: ISC
"""Which messages postqueue shows and postsuper changes when they are selected by what they are."""

import json
import os
import re
import time

import pytest
from harness import REFERENCE_ONLY, SELF_CHECK, Sink, Smtp, wait_for
from harness.under_test import IS_REFERENCE, make

pytestmark = pytest.mark.skipif(IS_REFERENCE or REFERENCE_ONLY or SELF_CHECK, reason="needs the suite under test")

MAIL = [    # name, sender, recipients, bytes of text
    ("a", "ann@example.com", ["u1@relay.test"], 10),
    ("b", "bob@example.net", ["u1@relay.test", "u2@other.relay.test"], 10),
    ("c", "", ["u3@RELAY.test"], 10),
    ("d", "ann@example.com", ["full@relay.test"], 20000),
]


@pytest.fixture(scope="module")
def queue():
    """Four deferred messages; a is on hold, b is two days old."""
    with Sink(hook=lambda v, line, s: ("452 4.2.2 Mailbox full" if "full@" in line else "450 4.2.0 later") if v == "RCPT" else None) as sink:
        i = make(sink, rootless=os.getuid() != 0, main={"minimal_backoff_time": "1000s", "relay_domains": "relay.test",
                 "transport_maps": f"inline:{{ {{relay.test = smtp:[127.0.0.1]:{sink.port}}} {{.relay.test = smtp:[127.0.0.1]:{sink.port}}} }}"})
        try:
            i.start()
            i.names = {}
            for name, sender, rcpts, size in MAIL:
                mark = i.mark()
                with Smtp(i.port()) as c:
                    c.cmd("EHLO x")
                    for line in [f"MAIL FROM:<{sender}>"] + [f"RCPT TO:<{r}>" for r in rcpts] + ["DATA"]:
                        c.cmd(line)
                    text = "x" * 60 + "\r\n"
                    assert c.data("Subject: x\r\n\r\n" + text * (size // 60 + 1)).startswith("250")
                    c.cmd("QUIT")
                lines = i.wait_log("status=deferred", mark, count=len(rcpts))
                i.names[re.search(r" (\w+): to=", "\n".join(lines)).group(1)] = name
            wait_for(lambda: len(i.queue_files("deferred")) == 4, what="the deferred queue")
            i.run("postsuper", "-h", id_of(i, "a"), check=True)
            age(i.queue_files("deferred")[id_of(i, "b")], 2 * 86400)
            yield i
        finally:
            i.destroy()


def id_of(instance, name):
    return next(k for k, v in instance.names.items() if v == name)


def age(path, seconds):
    """Arrival that much earlier: the T record, which has the same length then."""
    with open(path, "r+b") as f:
        data = f.read()
        stamp = re.search(rb"T.(\d{10}) \d+", data, re.S)
        f.seek(stamp.start(1))
        f.write(b"%d" % (int(stamp.group(1)) - seconds))


CASES = [
    ([], "abcd"), (["--sender", "ann@example.com"], "ad"), (["--sender", "*@EXAMPLE.*"], "abd"), (["--sender", ""], "c"), (["--sender", "<>"], "c"),
    (["--recipient", "u1@relay.test"], "ab"), (["--recipient", "u?@relay.test"], "abc"), (["--domain", "relay.test"], "abcd"),
    (["--domain", "other.relay.test"], "b"), (["--domain", "*.relay.test"], "b"), (["--reason", "*mailbox full*"], "d"), (["--reason", "*later*"], "abc"),
    (["--older-than", "1d"], "b"), (["--newer-than", "1d"], "acd"), (["--larger-than", "10k"], "d"), (["--smaller-than", "10k"], "abc"),
    (["--queue", "hold"], "a"), (["--queue", "deferred", "--sender", "ann@*"], "d"),
    (["--recipient", "u1@relay.test", "--domain", "other.relay.test"], ""),     # one and the same recipient
    (["--sender", "nobody"], ""),
]


@pytest.mark.parametrize("args,want", CASES, ids=lambda x: " ".join(x) if isinstance(x, list) else x)
def test_list(queue, args, want):
    p = queue.run("postqueue", "-j", *args, check=True)
    got = "".join(sorted(queue.names[json.loads(line)["queue_id"]] for line in p.stdout.splitlines()))
    assert got == want
    text = queue.run("postqueue", "-p", *args, check=True).stdout
    assert (f"in {len(want)} Request" in text) if want else text == "Mail queue is empty\n"


@pytest.mark.parametrize("args,want", CASES, ids=lambda x: " ".join(x) if isinstance(x, list) else x)
def test_dry_run(queue, args, want):
    before = queue.queue_files()
    p = queue.run("postsuper", "-d", "ALL", "--dry-run", *args, check=True)
    lines = p.stdout.splitlines()
    assert "".join(sorted(queue.names[re.match(r"\w+ (\w+): would be removed$", line).group(1)] for line in lines[:-1])) == want
    assert lines[-1] == f"Deleted: would be {len(want)} message{'' if len(want) == 1 else 's'}" and p.stderr == ""
    assert queue.queue_files() == before


@pytest.mark.parametrize("args", [["postqueue", "-f", "--sender", "x"], ["postqueue", "-p", "--older-than", "2x"], ["postqueue", "-p", "--larger-than", "k"],
                                  ["postqueue", "-p", "--larger-than", "99999999999999999999"], ["postsuper", "--sender", "x"],
                                  ["postsuper", "-s", "--dry-run"], ["postqueue", "-p", "--nosuch", "x"]], ids=" ".join)
def test_mistakes(queue, args):
    p = queue.run(*args)
    assert p.returncode in (1, 69) and "fatal: " in p.stderr and p.stdout == ""


def test_hold_and_release_a_domain(queue):
    """What is done is done to the selected ones alone, by name and on all of them."""
    p = queue.run("postsuper", "-h", "ALL", "--domain", "other.relay.test", check=True)
    assert "Placed on hold: 1 message" in p.stderr
    assert id_of(queue, "b") in queue.queue_files("hold")
    p = queue.run("postsuper", "-H", id_of(queue, "b"), "--sender", "nobody@*", check=True)
    assert "Released from hold: 0 messages" in p.stderr
    p = queue.run("postsuper", "-H", "-", "--domain", "other.relay.test", input=f"{id_of(queue, 'a')}\n{id_of(queue, 'b')}\n", check=True)
    assert "Released from hold: 1 message" in p.stderr
    assert sorted(queue.names[k] for k in queue.queue_files("hold")) == ["a"]


def test_time_is_now(queue):
    """The fixture's arithmetic: b is what --older-than sees as two days old."""
    assert time.time() - json.loads(queue.run("postqueue", "-j", "--older-than", "47h", check=True).stdout)["arrival_time"] > 47 * 3600
