# SPDX-License-Identifier: ISC
"""Where the file of a message is while it is delivered: a new one stays in incoming/ and moves to active/ when it takes long.
Whatever is asked of the queue manager meanwhile, it is delivered once."""

import os
import re
import threading

import pytest
from harness import REFERENCE_ONLY, SELF_CHECK, Sink, send_mail, wait_for
from harness.under_test import IS_REFERENCE, make

pytestmark = pytest.mark.skipif(IS_REFERENCE or REFERENCE_ONLY or SELF_CHECK, reason="needs the suite under test")


@pytest.fixture
def held():
    """An instance whose next server answers the end of the data when it is told to."""
    with Sink() as sink:
        sink.arrived, sink.go, sink.reply = threading.Semaphore(0), threading.Event(), None

        def hook(verb, line, session):
            if verb == "DOT":
                sink.arrived.release()
                sink.go.wait(60)
                return sink.reply
            return None
        sink.hook = hook
        i = make(sink, rootless=os.getuid() != 0, main={"default_destination_concurrency_limit": "50", "initial_destination_concurrency": "50"})
        i.sink = sink
        try:
            yield i.start()
        finally:
            sink.go.set()
            i.destroy()


def submit(i):
    reply = send_mail(i.port(), "a@example.com", "u@relay.test", "Subject: x\r\n\r\nx\r\n")
    assert reply.startswith("250"), reply
    assert i.sink.arrived.acquire(timeout=20)
    return reply.split()[-1]


def scanned(i, n):
    """Have incoming/ scanned: an old file that nobody has finished is removed by every scan."""
    mark, orphan = i.mark(), f"{i.queue}/incoming/ABCDE{n:05}"
    with open(orphan, "w"):
        os.chmod(orphan, 0o600)
    if os.getuid() == 0:
        os.chown(orphan, os.stat(i.queue + "/incoming").st_uid, -1)
    os.utime(orphan, (1, 1))
    i.run("postkick", "public", "qmgr", "I", check=True)
    i.wait_log(rf"ABCDE{n:05}: removed \(incomplete", mark)


def outcome(i, name, mark, ending="removed"):
    lines = i.wait_log(rf"{name}: {ending}", mark)
    return [sum(1 for x in lines if re.search(rf"{name}: {what}", x)) for what in ("from=<.*queue active", "to=<", ending)]


def test_delivered_once(held):
    """Scans, and a trigger that names it again, before and after the move."""
    mark = held.mark()
    name = submit(held)
    held.run("postkick", "public", "qmgr", f"N{name}\n", check=True)
    scanned(held, 1)
    wait_for(lambda: name in held.queue_files("active"), what="the move to active/")
    assert re.search(rf"^{name}\*", held.run("mailq").stdout, re.M)
    held.run("postkick", "public", "qmgr", f"N{name}\n", check=True)
    scanned(held, 2)
    held.sink.go.set()
    assert outcome(held, name, mark) == [1, 1, 1]
    assert len(held.sink.messages) == 1 and not held.queue_files("incoming", "active", "deferred")


@pytest.mark.parametrize("reply,ending,left", [(None, "removed", 0), ("450 later", r"to=<\S+,.*status=deferred", 30)])
def test_ends_while_moving(held, reply, ending, left):
    """Many come to their end while their files are being moved: none is lost, none is left in active/."""
    held.sink.reply = reply
    mark = held.mark()
    names = [submit(held) for _ in range(30)]
    wait_for(lambda: held.queue_files("active"), what="the first move")
    held.sink.go.set()
    for name in names:
        held.wait_log(rf"{name}: {ending}", mark)
    wait_for(lambda: not held.queue_files("incoming", "active"), what="an idle queue")
    assert len(held.queue_files("deferred")) == left
    assert len(re.findall(r"status=(?:sent|deferred)", held.log_text(mark))) == 30


def test_refused_from_incoming(held):
    """The report of a message that never was in active/ has its header."""
    held.sink.reply = "550 no"
    held.sink.go.set()
    mark = held.mark()
    name = submit(held)
    assert outcome(held, name, mark) == [1, 1, 1]
    assert f"{name}: sender non-delivery notification: " in held.log_text(mark)
