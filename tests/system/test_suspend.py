# SPDX-License-Identifier: ISC
"""postqueue --suspend and --resume: one destination is held back, the others are not."""

import os
import re
import threading

import pytest
from harness import REFERENCE_ONLY, SELF_CHECK, Sink, send_mail, wait_for
from harness.under_test import IS_REFERENCE, make

pytestmark = pytest.mark.skipif(IS_REFERENCE or REFERENCE_ONLY or SELF_CHECK, reason="needs the suite under test")
TEXT = "Subject: x\r\n\r\nx\r\n"


@pytest.fixture(scope="module")
def live():
    with Sink() as sink:
        hop = f"[127.0.0.1]:{sink.port}"
        i = make(sink, rootless=os.getuid() != 0, main={"relay_domains": "one.test, two.test, three.test",
                 "transport_maps": f"inline:{{ {{one.test = smtp:{hop}}} {{two.test = smtp:{hop}}} {{three.test = relay:{hop}}} }}"})
        i.sink = sink
        try:
            yield i.start()
        finally:
            i.destroy()


def arrives(live, domain):
    """Does a message to that domain arrive, or is it deferred? The reason then."""
    live.sink.clear()
    mark = live.mark()
    assert send_mail(live.port(), "a@example.com", f"u@{domain}", TEXT).startswith("250")
    line = next(t for t in live.wait_log(rf"to=<u@{domain}>", mark) if f"to=<u@{domain}>" in t)
    if "status=sent" in line:
        return True
    wait_for(lambda: live.queue_files("deferred"), what="the deferred message")
    live.flush_queue()
    return re.search(r"status=deferred \((.*)\)", line).group(1)


def told(live, pattern, *args):
    mark = live.mark()
    live.run("postqueue", *args, check=True)
    live.wait_log(pattern, mark)


@pytest.mark.parametrize("name,held", [("ONE.test", ["one.test"]), ("transport:relay", ["three.test"]), ("hop", ["one.test", "two.test", "three.test"])])
def test_suspend_and_resume(live, name, held):
    name = f"[127.0.0.1]:{live.sink.port}" if name == "hop" else name
    told(live, r"qmgr\[\d+\]: delivery to \S+ is suspended until ", "--suspend", name, "--for", "1h")
    for domain in ("one.test", "two.test", "three.test"):
        got = arrives(live, domain)
        assert got is True if domain not in held else got.startswith(f"delivery to {name.lower()} is suspended until "), domain
    told(live, r"qmgr\[\d+\]: suspension of \S+ is over", "--resume", name)
    assert all(arrives(live, d) is True for d in ("one.test", "two.test", "three.test"))


def test_what_waits_in_memory(live):
    """Deliveries that wait for a free place behind a slow one leave at once; the one under way goes on."""
    live.set(default_destination_concurrency_limit="1")
    live.reload()
    entered, go = [], threading.Event()
    live.sink.clear()
    live.sink.hook = lambda v, line, s: (entered.append(line), go.wait(30), None)[2] if v == "MAIL" else None
    try:
        mark = live.mark()
        for _ in range(3):
            send_mail(live.port(), "a@example.com", "u@one.test", TEXT)
        wait_for(lambda: entered, what="the first delivery")
        live.wait_log(r"\(queue active\)", mark, count=3)
        told(live, r"suspended until", "--suspend", f"[127.0.0.1]:{live.sink.port}")
        live.wait_log(r"status=deferred", mark, count=2)
        go.set()
        live.wait_log(r"status=sent", mark, count=1)
        assert len(live.sink.wait(1)) == 1
    finally:
        go.set()
        live.sink.hook = None
        live.set(default_destination_concurrency_limit=None)
        live.flush_queue()
        live.reload()           # and so the suspension is forgotten
    assert arrives(live, "one.test") is True


def test_it_ends_by_itself(live):
    told(live, r"suspended until", "--suspend", "one.test", "--for", "1s")
    wait_for(lambda: arrives(live, "one.test") is True, what="the end of the suspension", poll=0.2)


@pytest.mark.parametrize("args", [["--suspend", "a b"], ["--suspend", ""], ["--suspend", "x", "--for", "2x"], ["--resume", "x", "-p"]], ids=" ".join)
def test_mistakes(live, args):
    p = live.run("postqueue", *args)
    assert p.returncode == 69 and "fatal: " in p.stderr
