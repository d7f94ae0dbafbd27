# SPDX-License-Identifier: ISC
"""postqueue --suspend and --resume: one destination is held back, the others are not."""

import json
import os
import re
import signal
import subprocess
import threading
import time

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
        live.reload()
        live.run("postqueue", "--resume", f"[127.0.0.1]:{live.sink.port}", check=True)
    assert arrives(live, "one.test") is True


def test_it_ends_by_itself(live):
    told(live, r"suspended until", "--suspend", "one.test", "--for", "1s")
    wait_for(lambda: arrives(live, "one.test") is True, what="the end of the suspension", poll=0.2)


def listed(live, *args, **kwargs):
    p = live.run("postqueue", "--suspended", *args, **kwargs)
    assert p.returncode == 0, p.stderr
    return p.stdout


def test_list_of_what_is_held_back(live):
    assert listed(live) == "Nothing is suspended\n" and listed(live, "-j") == ""
    now = time.time()
    told(live, r"suspended until", "--suspend", "ONE.test", "--for", "1h")
    told(live, r"suspended until", "--suspend", "transport:relay", "--for", "2d")
    with open(f"{live.queue}/saved/qmgr-suspended", "a") as f:
        f.write("1 past.test\nnonsense\n")
    rows = [json.loads(x) for x in listed(live, "-j").splitlines()]
    assert [r["suspended"] for r in rows] == ["one.test", "transport:relay"]
    assert 0 <= rows[0]["until"] - int(now) - 3600 < 60 and 0 <= rows[1]["until"] - int(now) - 2 * 86400 < 60
    lines = listed(live).splitlines()
    assert len(lines) == 2 and re.fullmatch(r"one\.test +until \w+, \d+ \w+ \d+ \d\d:\d\d:\d\d [+-]\d{4} \(\w+\)", lines[0])
    if not live.rootless:
        live.set(authorized_mailq_users="root")
        try:
            # Without its set-gid bit it reads the configuration of this test.
            p = subprocess.run(["setpriv", "--no-new-privs", "--reuid=nobody", "--clear-groups", "--", live.suite.prog("postqueue"), "--suspended"],
                               env=live.env(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
            assert p.returncode == 69 and "User nobody(" in p.stderr and "is not allowed to view the mail queue" in p.stderr
        finally:
            live.set(authorized_mailq_users=None)
    live.stop()
    try:
        assert len(listed(live).splitlines()) == 2      # from the file itself
    finally:
        live.start()
    for name in ("one.test", "transport:relay"):
        told(live, r"is over", "--resume", name)
    assert listed(live) == "Nothing is suspended\n"


@pytest.mark.parametrize("args", [["--suspended", "-p"], ["--suspended", "-f"], ["--suspended", "-j", "--next-attempt"],
                                  ["--suspended", "--sender", "x"], ["--suspend", "a b"], ["--suspend", ""], ["--suspend", "x", "--for", "2x"], ["--resume", "x", "-p"]], ids=" ".join)
def test_mistakes(live, args):
    p = live.run("postqueue", *args)
    assert p.returncode == 69 and "fatal: " in p.stderr


def restart(live, how):
    if how == "reload":
        before = live.pids("qmgr")
        live.reload()
        wait_for(lambda: live.pids("qmgr") and not set(before) & set(live.pids("qmgr")), what="a new queue manager")
    elif how == "kill":
        before = live.pids("qmgr")
        for p in before:
            os.kill(p, signal.SIGKILL)
        wait_for(lambda: not set(before) & set(live.pids("qmgr")), what="the end of the queue manager")
        live.run("postqueue", "-f", check=True)
        wait_for(lambda: live.pids("qmgr") and not set(before) & set(live.pids("qmgr")), what="a new queue manager")
    else:
        live.stop()
        live.start()


@pytest.mark.parametrize("how", ["reload", "stop", "kill"])
def test_it_outlives_a_restart(live, how):
    """What is suspended stays so, what was resumed or is over does not; a torn file harms nobody."""
    kept = f"{live.queue}/saved/qmgr-suspended"
    told(live, r"suspended until", "--suspend", "One.test", "--for", "1h")
    told(live, r"suspended until", "--suspend", "two.test", "--for", "1s")
    told(live, r"suspended until", "--suspend", "three.test", "--for", "1h")
    told(live, r"three.test is over", "--resume", "three.test")
    assert os.stat(kept).st_mode & 0o777 == 0o600 and not os.path.exists(kept + ".tmp")
    wait_for(lambda: arrives(live, "two.test") is True, what="the end of the short one", poll=0.2)
    with open(kept, "a") as f:
        soon = int(time.time()) + (3 if how == "reload" else 0)
        f.write(f"nonsense\n99999999999999999999999 x\n1 past.test\n{soon} three.test\n4000000000 a b\n4000000000 cut")
    mark = live.mark()
    restart(live, how)
    lines = live.wait_log(r"delivery to cut is suspended until", mark)
    assert time.time() >= soon or any("delivery to three.test is suspended until" in x for x in lines)     # ends after the restart
    wait_for(lambda: arrives(live, "three.test") is True, what="a delivery", poll=0.2)
    assert time.time() >= soon
    assert arrives(live, "one.test").startswith("delivery to one.test is suspended until ")
    assert arrives(live, "two.test") is True
    assert len([x for x in lines if "is passed over" in x]) == 3 and len([x for x in lines if "delivery to cut is suspended" in x]) == 1
    told(live, r"is over", "--resume", "one.test")
    told(live, r"is over", "--resume", "cut")
    assert not os.path.exists(kept)
    restart(live, how)
    assert arrives(live, "one.test") is True


@pytest.mark.skipif(os.getuid() != 0, reason="for the superuser every directory is writable")
def test_nowhere_to_keep_it(live):
    os.rename(f"{live.queue}/saved", f"{live.queue}/away")
    try:
        mark = live.mark()
        told(live, r"suspended until", "--suspend", "one.test")
        live.wait_log(r"qmgr-suspended: .*will be forgotten", mark)
        assert arrives(live, "one.test") is not True
    finally:
        os.rename(f"{live.queue}/away", f"{live.queue}/saved")
        told(live, r"is over", "--resume", "one.test")
