# SPDX-License-Identifier: ISC
"""Nothing acknowledged is ever lost: kill -9 under load, a full disk, torn files."""

import fcntl
import os
import random
import re
import signal
import subprocess
import threading
import time

import pytest
from harness import REFERENCE_ONLY, SELF_CHECK, Sink, Smtp, send_mail, wait_for
from harness.under_test import IS_REFERENCE, make

pytestmark = pytest.mark.skipif((REFERENCE_ONLY or SELF_CHECK) and not IS_REFERENCE, reason="needs the suite under test")
# A killed agent or service is tried again soon, so that the tests are.
QUICK = {"transport_retry_time": "2s", "service_throttle_time": "2s", "minimal_backoff_time": "2s", "queue_run_delay": "2s"}
SECONDS = float(os.environ.get("FAULT_SECONDS", "6"))


class Load:
    """Threads that send numbered messages as fast as they are taken; acked has
    the numbers whose final dot was answered with 250."""

    def __init__(self, port, threads=4, limit=1000):
        self.port = port
        self.limit = limit
        self.acked, self.sent = set(), 0
        self.lock = threading.Lock()
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self._work, daemon=True) for _ in range(threads)]
        for t in self.threads:
            t.start()

    def _work(self):
        while not self.stop.is_set():
            try:
                with Smtp(self.port, timeout=10) as c:
                    if not c.banner.startswith("220"):
                        continue
                    c.cmd("EHLO x")
                    for _ in range(10):
                        if len(self.acked) >= self.limit:
                            self.stop.wait(0.1)
                            break
                        with self.lock:
                            self.sent += 1
                            n = self.sent
                        reply = c.mail("a@example.com", "u@relay.test",
                                       f"Subject: n{n}\r\nMessage-Id: <n{n}@load>\r\n\r\n" + "text\r\n" * 50)
                        if reply.startswith("250"):
                            with self.lock:
                                self.acked.add(n)
                        elif "EOF" in reply or "TIMEOUT" in reply or self.stop.is_set():
                            break
            except OSError:
                self.stop.wait(0.02)

    def end(self):
        self.stop.set()
        for t in self.threads:
            t.join(15)


def numbers(sink):
    out = set()
    for m in sink.messages:
        found = re.search(rb"(?m)^Subject: n(\d+)", m.content)
        if found:
            out.add(int(found.group(1)))
    return out


def all_delivered(instance, sink, acked, timeout=60):
    end = time.monotonic() + timeout
    flushed = 0.0
    while acked - numbers(sink) and time.monotonic() < end:
        if time.monotonic() - flushed > 3:
            instance.run("postqueue", "-f")
            flushed = time.monotonic()
        time.sleep(0.05)
    missing = acked - numbers(sink)
    queued = instance.queue_files()
    assert not missing, f"{len(missing)} of {len(acked)} acknowledged messages not delivered; in the queue: {len(queued)}: " \
                        f"{list(queued.values())[:5]}\n" + "\n".join(instance.log_lines()[-30:])


@pytest.mark.limit(180)
@pytest.mark.parametrize("victims", ["smtpd", "cleanup", "qmgr", "smtp", "trivial-rewrite", "bounce", "any"])
def test_kill_processes(victims):
    rng = random.Random(victims)
    with Sink() as sink:
        i = make(sink, main=QUICK)
        try:
            i.start()
            load = Load(i.port())
            end = time.monotonic() + (SECONDS if victims == "any" else SECONDS / 2)
            killed = 0
            while time.monotonic() < end:
                pids = [p for p in i.pids(None if victims == "any" else victims) if p != i.master_pid()]
                if pids:
                    try:
                        os.kill(rng.choice(pids), signal.SIGKILL)
                        killed += 1
                    except ProcessLookupError:
                        pass
                load.stop.wait(0.1)
            load.end()
            assert killed > 0 or victims == "bounce"
            assert len(load.acked) > 10
            all_delivered(i, sink, load.acked)
        finally:
            i.destroy()


@pytest.mark.limit(180)
@pytest.mark.parametrize("load_before", [60, 150])
def test_kill_everything(load_before):
    """All processes at once, then a start on the same queue."""
    with Sink() as sink:
        i = make(sink, main=QUICK)
        try:
            i.start()
            load = Load(i.port())
            wait_for(lambda: len(load.acked) > load_before, 30, "some load")
            for p in [i.master_pid()] + i.pids():
                try:
                    os.kill(p, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            i.kill_left()
            load.end()
            wait_for(lambda: not i.left(), 10, "all processes to be gone")
            i.running = False
            i.start()
            all_delivered(i, sink, load.acked)
        finally:
            i.destroy()


@pytest.mark.skipif(os.getuid() != 0, reason="mounts a small file system")
@pytest.mark.limit(120)
def test_full_disk():
    with Sink() as sink:
        i = make(sink, main={"message_size_limit": "100000", "queue_minfree": "0"})
        p = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1500k,mode=755", "none", i.queue], capture_output=True)
        if p.returncode:
            i.destroy()
            pytest.skip("cannot mount")
        try:
            i.start()
            sink.hook = lambda v, line, s: "450 4.2.0 later" if v == "RCPT" else None
            acked, refused, n = set(), [], 0
            while len(refused) < 3 and n < 400:
                n += 1
                body = f"Subject: n{n}\r\nMessage-Id: <n{n}@load>\r\n\r\n" + ("x" * 70 + "\r\n") * 600
                with Smtp(i.port()) as c:
                    c.cmd("EHLO x")
                    reply = c.mail("a@example.com", "u@relay.test", body)
                if reply.startswith("250"):
                    acked.add(n)
                else:
                    refused.append(reply)
            assert acked and len(refused) == 3, (len(acked), refused)
            assert all(re.match(r"4\d\d |EOF|421", r) for r in refused), refused
            # Room again: what was acknowledged goes out, the service works.
            subprocess.run(["mount", "-o", "remount,size=20m", i.queue], check=True)
            sink.hook = None
            all_delivered(i, sink, acked)
            assert send_mail(i.port(), "a@example.com", "u@relay.test", "Subject: after\r\n\r\nx\r\n").startswith("250")
        finally:
            try:
                i.stop()
            finally:
                subprocess.run(["umount", "-l", i.queue])
                i.destroy()


def incomplete(i, name, age, content=b"C" + bytes([95]) + b" " * 95):
    """What a killed cleanup leaves in incoming, age seconds ago."""
    path = f"{i.queue}/incoming/{name}"
    with open(path, "wb") as f:
        f.write(content)
    if "." not in name:     # a queue ID ends in the inode number: postsuper, at start, mends others
        path = f"{path[:-5]}{os.stat(path).st_ino:X}"
        os.rename(f"{i.queue}/incoming/{name}", path)
    os.chmod(path, 0o600)
    os.chown(path, i.account.pw_uid, i.account.pw_gid)
    then = time.time() - age
    os.utime(path, (then, then))
    return path


@pytest.mark.skipif(IS_REFERENCE, reason="the reference leaves it to postsuper, after a week")
@pytest.mark.limit(120)
@pytest.mark.parametrize("restart", [False, True], ids=["running", "restart"])
def test_orphans_are_removed(restart):
    """What a killed cleanup left behind goes after ten minutes; what is young or has a writer stays."""
    i = make()
    try:
        i.start()
        old = incomplete(i, "ABCDE12345", 601)
        temporary = incomplete(i, "123456.789", 601, b"")
        young = incomplete(i, "ABCDE12346", 300)
        locked = incomplete(i, "ABCDE12347", 601)
        with open(locked, "rb") as writer:
            fcntl.flock(writer, fcntl.LOCK_EX)
            if restart:
                i.stop()
                i.start()
                wait_for(lambda: not os.path.exists(temporary), 10, "the temporary name to be removed")
            wait_for(lambda: not os.path.exists(old), 10, "the orphan to be removed")
            i.wait_log(os.path.basename(old) + r": removed \(incomplete file")
            assert os.path.exists(young) and os.path.exists(locked)
        # Its writer is gone now.
        incomplete(i, "ABCDE12348", 0)
        wait_for(lambda: not os.path.exists(locked), 10, "the orphan without a lock to be removed")
        assert os.path.exists(young)
    finally:
        i.destroy()


@pytest.mark.skipif(IS_REFERENCE, reason="the reference takes up to five minutes")
@pytest.mark.limit(120)
def test_trigger_lost_after_a_scan():
    """Scanned while incomplete, then completed, and cleanup dies before it can say so: found within 10 s."""
    with Sink() as sink:
        i = make(sink)
        try:
            i.start()
            sink.hook = lambda v, line, s: "450 4.2.0 later" if v == "RCPT" else None
            assert send_mail(i.port(), "a@example.com", "u@relay.test", "Subject: n1\r\n\r\nx\r\n").startswith("250")
            wait_for(lambda: i.queue_files("deferred"), what="a deferred message")
            (name, path), = i.queue_files("deferred").items()
            with open(path, "rb") as f:
                content = f.read()
            i.run("postsuper", "-d", "ALL", check=True)
            sink.hook = None
            path = incomplete(i, name, 1, content)
            time.sleep(6)               # a scan has seen it
            assert os.path.exists(path) and not sink.messages
            os.chmod(path, 0o700)
            sink.wait(1, timeout=10)
        finally:
            i.destroy()


@pytest.mark.limit(120)
@pytest.mark.parametrize("how", ["empty", "cut", "garbage", "flipped", "huge-length"])
def test_damaged_queue_file(how):
    """A damaged file is set aside with a log line; the rest of the queue is delivered."""
    with Sink() as sink:
        i = make(sink)
        try:
            i.start()
            sink.hook = lambda v, line, s: "450 4.2.0 later" if v == "RCPT" else None
            for n in (1, 2):
                assert send_mail(i.port(), "a@example.com", "u@relay.test", f"Subject: n{n}\r\n\r\nx\r\n").startswith("250")
            wait_for(lambda: len(i.queue_files("deferred")) == 2, what="two deferred messages")
            i.stop()
            bad, good = sorted(i.queue_files("deferred").values())
            data = bytearray(open(bad, "rb").read())
            if how == "empty":
                data = bytearray()
            elif how == "cut":
                data = data[:len(data) // 2]
            elif how == "garbage":
                data = bytearray(random.Random(1).randbytes(len(data)))
            elif how == "flipped":
                data[97] = 0xFF
            else:
                data[98:99] = b"\xff\xff\xff\xff\xff"
            with open(bad, "r+b") as f:
                f.truncate(0)
                f.write(data)
            want = re.search(rb"Subject: (n\d)", open(good, "rb").read()).group(1).decode()
            sink.hook = None
            i.start()
            i.run("postqueue", "-f")
            sink.wait(1)
            assert f"Subject: {want}".encode() in sink.messages[0].content
            mark = 0
            lines = [x for x in i.log_lines(mark) if "panic" in x or "killed by signal" in x]
            assert not lines
            wait_for(lambda: not i.queue_files("active", "incoming"), what="the damaged file to leave the active queue")
        finally:
            i.destroy()
