# SPDX-License-Identifier: ISC
"""The wall clock jumps a day ahead and back while the suite runs: nothing stands still, nothing is returned too early, and a
file that is stamped for a time that has not come, because the clock was wrong, does not wait for it."""

import os
import re
import time

import pytest
from harness import REFERENCE_ONLY, SELF_CHECK, Sink, Smtp, faults, send_mail, wait_for
from harness.spool import queue_file
from harness.under_test import IS_REFERENCE, make

pytestmark = pytest.mark.skipif(IS_REFERENCE or REFERENCE_ONLY or SELF_CHECK, reason="needs the suite under test")
DAY = 86400
TEXT = "Subject: x\r\n\r\nx\r\n"


@pytest.fixture(scope="module")
def road():
    with faults.shim() as control, Sink() as sink:
        i = control.prepare(make(sink, environment=control.environment, main={
            "queue_run_delay": "1s", "minimal_backoff_time": "1000s", "maximal_backoff_time": "1000s", "maximal_queue_lifetime": "12h",
            "bounce_queue_lifetime": "12h", "notify_classes": ""}))
        try:
            i.sink, i.later = sink, False
            sink.hook = lambda v, line, s: "450 4.2.0 later" if v == "RCPT" and i.later else None
            yield i.start(), control
        finally:
            i.destroy()


@pytest.fixture(autouse=True)
def right_clock(road):
    i, control = road
    i.sink.clear()
    control.set_clock(0)
    yield
    control.set_clock(0)
    i.later = False
    i.flush_queue()


def deferred(i):
    """One message that could not be delivered yet."""
    i.later = True
    send_mail(i.port(), "a@relay.test", "u@relay.test", TEXT)
    return wait_for(lambda: i.queue_files("deferred"), what="a deferred message")


@pytest.mark.parametrize("jump", [-DAY, DAY, -7 * DAY, 5500 * DAY], ids=["a-day-back", "a-day-ahead", "a-week-back", "after-2038"])
def test_new_mail(road, jump):
    """A session that is open meanwhile goes on, and new mail is delivered at once, again and again."""
    i, control = road
    mark = i.mark()
    with Smtp(i.port()) as c:
        c.cmd("EHLO x")
        for offset in (0, jump, 0, jump):
            control.set_clock(offset)
            assert c.mail("a@relay.test", "u@relay.test", TEXT).startswith("250")
            assert send_mail(i.port(), "a@relay.test", "u@relay.test", TEXT).startswith("250")
    assert len(i.sink.wait(8, timeout=5)) == 8
    wait_for(lambda: not i.queue_files("incoming", "active", "deferred"), what="an idle queue")
    assert not [x for x in i.log_lines(mark) if re.search("panic|fatal|killed|timeout|status=(?:expired|bounced)", x)]


@pytest.mark.parametrize("first,then", [(0, -DAY), (DAY, 0)], ids=["a-day-back", "was-a-day-ahead"])
def test_clock_set_back(road, first, then):
    """What was deferred is stamped for a day that comes late: it is tried soon, with a warning, and not returned."""
    i, control = road
    control.set_clock(first)
    name, = deferred(i)
    mark = i.mark()
    i.later = False
    control.set_clock(then)
    i.wait_log(f"{name}: its time stamp is \\d+ s ahead", mark, timeout=5)
    i.wait_log(f"{name}: removed", mark, timeout=5)
    assert [m.sender for m in i.sink.messages] == ["a@relay.test"]


def test_clock_set_ahead_and_back(road):
    """A message from the time when the clock was ahead is not older than it is, nor is one from before."""
    i, control = road
    names = set(deferred(i))
    control.set_clock(DAY // 4)
    send_mail(i.port(), "a@relay.test", "w@relay.test", TEXT)
    wait_for(lambda: len(i.queue_files("deferred")) == 2, what="two deferred messages")
    mark = i.mark()
    i.run("postqueue", "-f", check=True)
    i.wait_log("status=deferred", mark, count=2)
    control.set_clock(0)
    wait_for(lambda: len(i.queue_files("deferred")) == 2, what="two deferred messages")
    mark = i.mark()
    i.run("postqueue", "-f", check=True)
    i.wait_log("status=deferred", mark, count=2)
    wait_for(lambda: len(i.queue_files("deferred")) == 2, what="two deferred messages")
    assert not i.sink.messages and names <= set(i.queue_files("deferred"))


def test_incoming_file_of_the_future(road):
    """Restored, or written while the clock was ahead: not even a trigger speaks of it."""
    i, _ = road
    mark = i.mark()
    tmp = f"{i.queue}/incoming/tmp"
    with open(tmp, "wb") as f:
        f.write(queue_file())
    name = f"ABCDE{os.stat(tmp).st_ino:X}"
    os.chown(tmp, i.account.pw_uid, i.account.pw_gid)
    os.chmod(tmp, 0o700)
    os.utime(tmp, (time.time() + DAY,) * 2)
    os.rename(tmp, f"{i.queue}/incoming/{name}")
    i.wait_log(f"{name}: removed", mark, timeout=10)
    assert len(i.sink.messages) == 1


def test_deferred_file_of_the_near_future(road):
    """A stamp that the queue manager could have made itself is kept to."""
    i, _ = road
    name, = deferred(i)
    i.later = False
    mark = i.mark()
    send_mail(i.port(), "b@relay.test", "u@relay.test", TEXT)       # and some turns of the queue manager pass
    i.sink.wait(1)
    for _ in range(2):
        send_mail(i.port(), "b@relay.test", "u@relay.test", TEXT)
        wait_for(lambda: not i.queue_files("incoming", "active"), what="an idle queue")
    assert name in i.queue_files("deferred") and not [x for x in i.log_lines(mark) if name in x]
