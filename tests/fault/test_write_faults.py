# SPDX-License-Identifier: ISC
"""Each single write, sync, rename, creation and removal of each program fails once, then all of them from there on. Whoever sent
the message is told 4xx, or the message arrives whole, at each of its recipients; the service resumes by itself.
FAULT_SWEEP=N: this many calls of each program instead of those that a message makes when nothing fails, and with both errors."""

import errno
import os
import re
import subprocess
import time

import pytest
from harness import REFERENCE_ONLY, SELF_CHECK, Sink, Smtp, faults, ours, wait_for
from harness.spool import Spool, queue_file
from harness.under_test import IS_REFERENCE, make

pytestmark = pytest.mark.skipif(IS_REFERENCE or REFERENCE_ONLY or SELF_CHECK, reason="needs the suite under test")

SWEEP = int(os.environ.get("FAULT_SWEEP", "0"))
CALLS = {"cleanup": 8, "qmgr": 5, "smtp": 4, "virtual": 6, "local": 8, "bounce": 8, "flush": 4, "smtpd": 1}     # at least what a message needs
LINES = 40
ADDRESS = {"virtual": "<vN@vmbox.test>: maildir delivery failed", "dir": "<dir@mail.example.test>: maildir delivery failed",
           "box": "<box@mail.example.test>: cannot append"}


class Road:
    """An instance whose mail goes everywhere: to a server that takes some, defers some and refuses some, to mailboxes of virtual(8)
    and of local(8). Messages are numbered."""

    def __init__(self, control, sink):
        self.control, self.sink, self.n, self.later = control, sink, 0, True
        self.acked, self.refused = set(), {}
        sink.hook = self._answer
        self.i = make(sink, rootless=True, environment=control.environment, main={
            "minimal_backoff_time": "1s", "maximal_backoff_time": "1s", "queue_run_delay": "1s", "transport_retry_time": "1s",
            "service_throttle_time": "1s", "deliver_lock_attempts": "1", "stale_lock_time": "1s", "notify_classes": "", "in_flow_delay": "0", "max_idle": "20s"})
        control.prepare(self.i)
        self.i.write("aliases", f"box {self.i.mail}/mbox\ndir {self.i.mail}/ldir/\n")

    def _answer(self, verb, line, session):
        if verb == "RCPT" and "refuse" in line:
            return "550 5.1.1 no such user"
        return "450 4.2.0 later" if verb == "RCPT" and "later" in line and self.later else None

    def content(self, n):
        return f"Subject: number {n}.\nMessage-Id: <n{n}@load>\n\n" + "text of some length in a line\n" * LINES + f"end of {n}.\n"

    def send(self):
        """One message; its number."""
        self.n += 1
        n = self.n
        rcpts = [f"r{n}@relay.test", f"refuse{n}@relay.test", f"later{n}@relay.test", f"v{n}@vmbox.test", "box@mail.example.test", "dir@mail.example.test"]
        with Smtp(self.i.port()) as c:
            c.cmd("EHLO x")
            reply = c.cmd(f"MAIL FROM:<s{n}@relay.test>")
            for r in rcpts:
                if reply[0] == "2":
                    reply = c.cmd(f"RCPT TO:<{r}>")
            if reply[0] == "2":
                reply = c.cmd("DATA")
            if reply[0] == "3":
                reply = c.data(self.content(n).replace("\n", "\r\n"))
        if reply.startswith("250"):
            self.acked.add(n)
            return reply.rsplit(" ", 1)[1]
        self.refused[n] = reply
        return None

    def settle(self, name):
        """Until the queue manager has done with the message for now. One that is stuck is found at the end."""
        mark = time.monotonic() + 1
        while time.monotonic() < mark:
            if name in self.i.queue_files("deferred") or not self.i.queue_files("incoming", "active"):
                return
            time.sleep(0.01)

    def ready(self, *queues):
        """Complete files. One that could not be removed, and so is not complete, goes in its time."""
        return {k: v for k, v in self.i.queue_files(*queues).items() if mode(v) & 0o100}

    def complete(self):
        return self.ready("incoming", "active", "deferred", "maildrop")

    # --- what has arrived

    def mailboxes(self):
        """{mailbox: messages}"""
        out = {"virtual": self.i.maildir("user"), "dir": self.i.maildir("ldir"), "box": []}
        if os.path.exists(f"{self.i.mail}/mbox"):
            with open(f"{self.i.mail}/mbox", "rb") as f:
                out["box"] = [x for x in re.split(rb"(?m)^From ", f.read()) if x]
        return out

    def missing(self):
        """What acknowledged messages lack."""
        got = {k: {number(m) for m in v} for k, v in self.mailboxes().items()}
        relayed = {}
        for m in list(self.sink.messages):
            for r in m.rcpts:
                relayed.setdefault(r.split("@")[0], []).append(m.content)
        out = []
        for n in sorted(self.acked):
            notices = b"".join(relayed.get(f"s{n}", ()))
            # The mail system gives up on a mailbox that cannot be written; then the sender knows.
            out += [f"{n} {k}" for k, v in got.items() if n not in v and ADDRESS[k].replace("N", str(n)).encode() not in notices]
            out += [f"{n} {w}" for w in ("r", "later") if n not in [number(c) for c in relayed.get(f"{w}{n}", ())]]
            out += [] if f"refuse{n}@relay.test".encode() in notices else [f"{n} notice"]
        return out

    def whole(self):
        """Every message that is anywhere is complete, and none of them was refused."""
        for m in [m.content for m in self.sink.messages] + [m for v in self.mailboxes().values() for m in v]:
            n = number(m)
            if b"Undelivered Mail" not in m:
                assert m.count(b"text of some length in a line") == LINES and f"end of {n}.".encode() in m, m
            assert n in self.acked, (n, self.refused.get(n), m[:300])

    def finish(self):
        """No more faults: everything that was acknowledged arrives, with no more than time."""
        self.control.stop()
        self.later = False
        wait_for(lambda: not self.missing(), 15, Late(lambda: f"{self.missing()}\n{self.i.queue_files()}\n" + "\n".join(
            x for x in self.i.log_lines() if re.search("warning|fatal|error", x))[-3000:]), poll=0.1)
        self.whole()
        wait_for(lambda: not self.complete(), 15, Late(self.i.queue_files))
        assert all(r.startswith("4") for r in self.refused.values()), self.refused
        assert not [x for x in self.i.log_lines() if "panic:" in x or "killed by signal" in x]
        assert not self.i.queue_files("corrupt")


def mode(path):
    try:
        return os.stat(path).st_mode
    except OSError:
        return 0


def number(content):
    found = re.search(rb"(?m)^Subject: number (\d+)\.", content)
    return int(found.group(1)) if found else 0


class Late:
    """A text that is made when it is needed."""

    def __init__(self, fn):
        self.fn = fn

    def __str__(self):
        return str(self.fn())


@pytest.fixture(scope="module")
def road():
    with faults.shim() as control, Sink() as sink:
        r = Road(control, sink)
        try:
            r.i.start()
            yield r
        finally:
            control.stop()
            r.i.destroy()


@pytest.mark.limit(120 + SWEEP * 60)
@pytest.mark.parametrize("every", [0, 1], ids=["once", "from-then-on"])
def test_sweep(road, every):
    road.later = True
    hit = {}
    for program, calls in CALLS.items():
        for code in (errno.EIO, errno.ENOSPC) if SWEEP else ((errno.EIO, errno.ENOSPC)[every],):
            for first in range(1, (SWEEP or calls) + 1):
                road.control.fail(program, "any", code, first, every)
                name = road.send()
                if name:
                    road.settle(name)
                if road.control.stop():
                    hit[program] = first
    assert road.refused and set(hit) >= {"cleanup", "qmgr", "smtp", "virtual", "local", "bounce", "flush"}, hit
    road.finish()


def arguments(n):
    return ["-f", f"s{n}@relay.test", f"r{n}@relay.test", f"later{n}@relay.test", f"refuse{n}@relay.test", f"v{n}@vmbox.test", "box@mail.example.test",
            "dir@mail.example.test"]


def submit(road, k, every, code):
    """sendmail and postdrop: exit status 0 is an acknowledgement."""
    road.n += 1
    n = road.n
    road.control.fail("postdrop", "any", code, k, every)
    p = road.i.run("sendmail", *arguments(n), input=road.content(n))
    hits = road.control.stop()
    if p.returncode == 0:
        road.acked.add(n)
    else:
        assert p.returncode == 75, p
        road.refused[n] = "4"
    return hits


@pytest.mark.limit(120)
def test_submission(road):
    """The same by the sendmail command: postdrop's file, and pickup's handing over."""
    road.later = True
    for every, code in ((0, errno.EIO), (1, errno.ENOSPC)):
        assert [bool(submit(road, k, every, code)) for k in (1, 2, 3, 9)] == [True, True, True, False]
        for program, calls in (("pickup", 1), ("cleanup", 5)):
            for k in range(1, calls + 1):
                wait_for(lambda: not road.ready("maildrop"), 5, "an empty maildrop")
                road.n += 1
                road.control.fail(program, "any", code, k, every)
                assert road.i.run("sendmail", *arguments(road.n), input=road.content(road.n)).returncode == 0
                road.acked.add(road.n)
                wait_for(road.control.failed, 5, f"call {k} of {program}")
                road.control.stop()
                road.i.run("postqueue", "-f", check=True)       # wakes up pickup as well
    road.finish()


@pytest.mark.skipif(os.getuid() != 0, reason="its files belong to the mail owner")
def test_postsuper():
    """What postsuper cannot do leaves the message where it was or where it is to be, and the command says so; nothing is lost."""
    with faults.shim() as control, Spool() as spool:
        names = {q: [spool.put(q, f"{q}{n}", queue_file()) for n in range(2)] for q in ("deferred", "hold")}
        spool.put("defer", "log", b"x", name=names["deferred"][0])

        def run(*args):
            return subprocess.run([ours().prog("postsuper"), *args], capture_output=True, text=True, timeout=60, env={
                **control.environment, "PATH": "/usr/bin:/bin", "MAIL_CONFIG": spool.base, "ASAN_OPTIONS": "detect_leaks=0:verify_asan_link_order=0"})

        def messages():
            return sorted(k for k, v in spool.tree().items() if k.startswith(("deferred", "hold")))
        assert run("-s").returncode == 0
        before = messages()
        assert len(before) == 4
        for args in (["-h", "ALL"], ["-H", "ALL"], ["-s"], ["-r", "ALL", "deferred"], ["-e", "ALL"], ["-h", "ALL"], ["-d", "ALL"]):
            for code in (errno.EIO, errno.ENOSPC):
                for first in (1,) if args[0] == "-d" else (1, 2):
                    control.fail("postsuper", "any", code, first, 1)
                    p = run(*args)
                    hits = control.stop()
                    assert bool(hits) == (os.strerror(code) in p.stderr), (args, first, p)
                    assert messages() == before, (args, first, p)
        assert run("-d", "ALL").returncode == 0 and not messages()
