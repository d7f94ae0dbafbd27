# SPDX-License-Identifier: ISC
"""Life of a whole suite: start, stop, reload, throttling, triggers, rootless."""

import os
import re
import socket
import stat
import subprocess
import time

import pytest
from harness import REFERENCE_ONLY, SELF_CHECK, Sink, Smtp, free_port, send_mail, wait_for
from harness.instance import _connects
from harness.under_test import IS_REFERENCE, make

pytestmark = pytest.mark.skipif((REFERENCE_ONLY or SELF_CHECK) and not IS_REFERENCE, reason="needs the suite under test")
MODES = ["root", "rootless"]
PLAIN = "Subject: x\r\n\r\nhello\r\n"


def modes():
    return pytest.mark.parametrize("rootless", [
        pytest.param(False, id="root", marks=pytest.mark.skipif(os.getuid() != 0, reason="not root")),
        pytest.param(True, id="rootless", marks=pytest.mark.skipif(IS_REFERENCE, reason="ours only"))])


@pytest.fixture(params=[
    pytest.param(False, id="root", marks=pytest.mark.skipif(os.getuid() != 0, reason="not root")),
    pytest.param(True, id="rootless", marks=pytest.mark.skipif(IS_REFERENCE, reason="ours only"))], scope="module")
def live(request):
    with Sink() as sink:
        i = make(sink, rootless=request.param)
        i.sink = sink
        try:
            yield i.start()
        finally:
            i.destroy()


def test_maildir_by_smtp(live):
    have = len(live.maildir("user"))
    assert send_mail(live.port(), "a@example.com", "user@vmbox.test", PLAIN).startswith("250 2.0.0 Ok: queued as ")
    text = live.wait_maildir("user", have + 1)[-1]
    assert b"Subject: x" in text and b"Delivered-To: user@vmbox.test" in text


def test_maildir_by_sendmail(live):
    have = len(live.maildir("user"))
    t = time.monotonic()
    live.run("sendmail", "-f", "a@example.com", "user@vmbox.test", input="Subject: y\n\nhello\n", check=True)
    live.wait_maildir("user", have + 1)
    assert time.monotonic() - t < 10, "the trigger for pickup was lost"


def test_sendmail_t(live):
    have = len(live.maildir("user"))
    live.run("sendmail", "-t", "-i", input="To: user@vmbox.test\nSubject: z\n\n.\nmore\n", check=True)
    assert b"\n.\nmore" in live.wait_maildir("user", have + 1)[-1].replace(b"\r", b"")


def test_relay(live):
    live.sink.clear()
    for i in range(5):
        assert send_mail(live.port(), "a@example.com", f"u{i}@relay.test", PLAIN).startswith("250")
    assert len(live.sink.wait(5)) == 5
    live.wait_queue_empty()
    assert live.run("mailq").stdout == "Mail queue is empty\n"


def test_status_and_second_start(live):
    p = live.postfix("status")
    assert p.returncode == 0
    p = live.postfix("start", check=False)
    assert p.returncode == 1


def test_reload_keeps_sessions(live):
    live.sink.clear()
    with Smtp(live.port()) as c:
        c.cmd("EHLO x")
        assert c.cmd("MAIL FROM:<a@example.com>").startswith("250")
        live.reload()
        assert c.cmd("RCPT TO:<u@relay.test>").startswith("250")
        assert c.cmd("DATA").startswith("354")
        live.reload()
        assert c.data(PLAIN).startswith("250")
        assert c.cmd("QUIT").startswith("221")
    live.sink.wait(1)


def test_reload_opens_a_listener(live):
    port = free_port()
    path = live.config + "/master.cf"
    old = open(path).read()
    pid = live.master_pid()
    with Smtp(live.port()) as c:
        c.cmd("EHLO x")
        try:
            live.write("master.cf", old + f"127.0.0.1:{port} inet n - n - - smtpd\n")
            live.reload()
            wait_for(lambda: _connects(port), what="the new listener")
            assert c.cmd("NOOP").startswith("250")
        finally:
            live.write("master.cf", old)
            live.reload()
        wait_for(lambda: not _connects(port), what="the listener to go")
        assert c.cmd("NOOP").startswith("250")
    assert live.master_pid() == pid


def test_parameter_change_by_reload(live):
    live.set(smtpd_banner="$myhostname ESMTP changed")
    try:
        live.reload()

        def banner():
            with Smtp(live.port()) as c:
                return c.banner.endswith("changed")
        wait_for(banner, what="the new banner")
    finally:
        live.set(smtpd_banner=None)
        live.reload()


def test_garbage_does_not_throttle(live):
    """Sessions full of nonsense cost the others nothing."""
    mark = live.mark()
    for data in (b"\0" * 5000 + b"\r\n", b"\xff\xfe" * 3000, b"EHLO " + b"x" * 100000 + b"\r\n", b"\r\n" * 500, b"MAIL FROM:<" + b"(" * 5000,
                 b"RCPT TO:<a@[" * 200 + b"\r\n", b"BDAT 99999999999999999999\r\n", b"DATA\r\n.\r\n" * 50):
        with socket.create_connection(("127.0.0.1", live.port()), 10) as s:
            try:
                s.sendall(data)
                s.shutdown(socket.SHUT_WR)
                while s.recv(65536):
                    pass
            except OSError:
                pass
    with Smtp(live.port()) as c:
        assert c.banner.startswith("220") and c.cmd("EHLO x").startswith("250")
    bad = [line for line in live.log_lines(mark) if re.search(r"panic|killed by signal|throttling|exit status|fatal", line)]
    assert not bad


def test_many_sessions(live):
    sessions = [Smtp(live.port()) for _ in range(40)]
    for n, c in enumerate(sessions):
        assert c.cmd(f"EHLO x{n}").startswith("250")
    for c in sessions:
        assert c.cmd("QUIT").startswith("221")
        c.close()


def test_lost_trigger(live):
    """A complete message whose trigger never came is found (ours: within 10 s)."""
    if IS_REFERENCE:
        pytest.skip("the reference takes up to five minutes")
    live.sink.clear()
    live.sink.hook = lambda v, line, s: "450 4.2.0 later" if v == "RCPT" else None
    send_mail(live.port(), "a@example.com", "lost@relay.test", PLAIN)
    wait_for(lambda: live.queue_files("deferred"), what="a deferred message")
    live.sink.hook = None
    (name, path), = live.queue_files("deferred").items()
    now = time.time()
    os.utime(path, (now - 5, now - 5))
    os.rename(path, f"{live.queue}/incoming/{name}")
    live.sink.wait(1, timeout=15)


def test_modes_of_the_tree(live):
    if live.rootless:
        pytest.skip("one account owns all")
    want = {"private": 0o700, "public": 0o710, "maildrop": 0o730, "incoming": 0o700, "active": 0o700, "deferred": 0o700, "pid": 0o755}
    for d, mode in want.items():
        assert stat.S_IMODE(os.stat(f"{live.queue}/{d}").st_mode) == mode, d
    pid = f"{live.queue}/pid/master.pid"
    assert stat.S_IMODE(os.stat(pid).st_mode) == 0o600
    text = open(pid).read()
    assert len(text) == 33 and text.endswith("\n")


@modes()
def test_throttling(rootless):
    """A service that cannot start is throttled; the others work on."""
    port = free_port()
    with Sink() as sink:
        i = make(sink, rootless=rootless, master=f"127.0.0.1:{port} inet n - n - - smtpd\n  -o smtpd_banner=\n")
        try:
            i.start()
            socket.create_connection(("127.0.0.1", port)).close()
            i.wait_log(r"master\[\d+\]: warning: .*smtpd.* bad command startup -- throttling")
            assert send_mail(i.port(), "a@example.com", "u@relay.test", PLAIN).startswith("250")
            sink.wait(1)
        finally:
            i.destroy()


@modes()
def test_stop_and_start(rootless):
    with Sink() as sink:
        i = make(sink, rootless=rootless)
        try:
            i.start()
            i.stop()
            p = i.postfix("status", check=False)
            assert p.returncode == 1
            p = i.postfix("stop", check=False)
            assert p.returncode == 1
            i.run("sendmail", "-f", "a@example.com", "u@relay.test", input="Subject: while down\n\nx\n", check=True)
            assert len(i.queue_files("maildrop")) == 1
            i.start()
            sink.wait(1)
            assert not i.pids() == []
        finally:
            i.destroy()


def test_status_asked_by_many():
    """Those who ask at the same time whether master runs see each other not."""
    i = make()
    try:
        master = f"{i.suite.daemon_directory}/master"
        i.start()
        i.stop()
        asking = [subprocess.Popen([master, "-t"], env=i.env()) for _ in range(30)]
        assert [p.wait() for p in asking] == [0] * 30
        asking = [subprocess.Popen([master, "-t"], env=i.env()) for _ in range(30)]
        i.start()
        assert {p.wait() for p in asking} <= {0, 1}
        assert subprocess.run([master, "-t"], env=i.env(), check=False).returncode == 1
    finally:
        i.destroy()


@modes()
def test_process_limit(rootless):
    """maxproc: one more client waits until another leaves."""
    i = make(rootless=rootless, smtpd={"smtp": {"maxproc": "2"}})
    try:
        i.start()
        a, b = Smtp(i.port()), Smtp(i.port())
        c = Smtp(i.port(), banner=False, timeout=1)
        assert c.reply() == "TIMEOUT"
        a.cmd("QUIT")
        a.close()
        c.settimeout(20)
        assert c.reply().startswith("220")
        b.close()
        c.close()
    finally:
        i.destroy()


@modes()
def test_worker_death_is_survived(rootless):
    """A killed worker costs its own session only, and leaves the log line."""
    i = make(rootless=rootless)
    try:
        i.start()
        a, b = Smtp(i.port()), Smtp(i.port())
        mark = i.mark()
        busy = [p for p in i.pids("smtpd") if has_client(p)]
        assert len(busy) == 2
        os.kill(busy[0], 9)
        i.wait_log(r"killed by signal 9", mark)
        answers = sorted(x.cmd("NOOP")[:3] for x in (a, b))
        assert answers == ["250", "EOF"]
        with Smtp(i.port()) as c:
            assert c.banner.startswith("220")
    finally:
        i.destroy()


def has_client(pid):
    """Has this process an established TCP connection?"""
    inodes = set()
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            m = re.match(r"socket:\[(\d+)\]", os.readlink(f"/proc/{pid}/fd/{fd}"))
            if m:
                inodes.add(m.group(1))
    except OSError:
        return False
    with open("/proc/net/tcp") as f:
        return any(line.split()[9] in inodes and line.split()[3] == "01" for line in f.readlines()[1:])
