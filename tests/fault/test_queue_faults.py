# SPDX-License-Identifier: ISC
"""Queue files that nobody of ours has written, very many recipients, a full queue, two masters: the rest goes on. (Row 41 of the table of attacks.)"""

import os
import random
import re
import subprocess

import pytest
from harness import REFERENCE_ONLY, SELF_CHECK, Instance, Sink, Smtp, send_mail, wait_for
from harness.spool import queue_file, record
from harness.under_test import IS_REFERENCE, make

pytestmark = pytest.mark.skipif((REFERENCE_ONLY or SELF_CHECK) and not IS_REFERENCE, reason="needs the suite under test")

R = record
GOOD = queue_file()
SIZE = "%15d %15d %15d %15d %15d %15d"
HEAD = GOOD[:97]


def shapes():
    """{name: content}: none of them can be delivered."""
    rng = random.Random(3)
    out = {
        "empty": b"", "zeros": bytes(4096), "text": b"From: nobody\n\nhello\n", "noise": rng.randbytes(5000), "type-0": b"\0\0" + GOOD,
        "no-size": GOOD[97:], "size-0": queue_file(size=SIZE % (0, 0, 0, 0, 0, 0)), "size-minus": queue_file(size=SIZE % (-1, -1, -1, 0, -1, 0)),
        "size-text": queue_file(size="x" * 95), "size-huge": queue_file(size=SIZE % (2 ** 62, 2 ** 62, 1, 0, 1, 0)),
        "size-inside": queue_file(size=SIZE % (25, 100, 1, 0, 25, 0)), "flags": queue_file(size=SIZE % (25, 250, 1, 1 << 20, 25, 0)),
        "zeroed-middle": GOOD[:120] + bytes(60) + GOOD[180:], "length-5": HEAD + b"A\xff\xff\xff\xff\xff\x01" + GOOD[97:],
        "length-huge": HEAD + b"S\xff\xff\xff\x7f" + b"x" * 100, "no-sender": GOOD.replace(R("S", "s@example.test"), b""),
        "sender-behind": queue_file(envelope=R("R", "early@relay.test")).replace(R("S", "s@example.test"), b""),
        "pointer-self": HEAD + R("p", "%15d" % 97), "pointer-loop": HEAD + R("T", "1 1") + R("p", "%15d" % 97),
        "pointer-far": HEAD + R("p", "%15d" % 10 ** 14), "pointer-minus": HEAD + R("p", "%15d" % -1), "pointer-text": HEAD + R("p", " " * 15),
        "content-type": queue_file(envelope=R("N", "text in the envelope")), "unknown": queue_file(envelope=R("Q", "x")),
        "nothing-behind": HEAD + R("T", "1 1") + R("S", "s@x"),
    }
    out.update({f"cut-{n}": GOOD[:n] for n in (1, 2, 50, 98, 130, 170, 200)})
    return out


def place(i, queue, data, mode=0o700):
    """A message file under the name that its inode asks for."""
    tmp = f"{i.queue}/{queue}/tmp"
    with open(tmp, "wb") as f:
        f.write(data)
    name = f"ABCDE{os.stat(tmp).st_ino:X}"
    os.chown(tmp, i.account.pw_uid, i.account.pw_gid)
    os.chmod(tmp, mode)
    os.rename(tmp, f"{i.queue}/{queue}/{name}")
    return name


@pytest.fixture(scope="module")
def road():
    with Sink() as sink, make(sink, main={"in_flow_delay": "0", "qmgr_message_recipient_limit": "20000"}) as i:
        i.sink = sink
        yield i


@pytest.mark.limit(60)
def test_hostile_files(road):
    """Each goes to corrupt/ with a line that names it; good mail between them is delivered; nobody dies."""
    i, mark, bad = road, road.mark(), {}
    i.sink.clear()
    for n, (shape, data) in enumerate(shapes().items()):
        bad[place(i, "incoming", data)] = shape
        if n % 5 == 0:
            place(i, "incoming", queue_file(rcpts=[("R", f"good{n}@relay.test")]))
    i.run("postqueue", "-f", check=True)
    i.sink.wait(len(range(0, len(bad), 5)))
    assert all(m.rcpts[0].startswith("good") for m in i.sink.messages)
    wait_for(lambda: not i.queue_files("incoming", "active", "deferred"), 20,
             Late(lambda: {bad.get(k, k): v for k, v in i.queue_files("incoming", "active", "deferred").items()}))
    assert {bad[n] for n in i.queue_files("corrupt")} == set(bad.values())
    lines = i.log_lines(mark)
    for name, shape in bad.items():
        assert len([x for x in lines if f'saving corrupt file "{name}"' in x]) == 1, shape
    assert not [x for x in lines if re.search(r"panic|killed by signal|fatal:", x)]
    for name in bad:
        os.unlink(f"{i.queue}/corrupt/{name}")


class Late:
    """A text that is made when it is needed."""

    def __init__(self, fn):
        self.fn = fn

    def __str__(self):
        return str(self.fn())


def peak(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"VmHWM:\s+(\d+)", f.read()).group(1))


@pytest.mark.limit(90)
def test_very_many_recipients(road):
    """A message to 50 000 recipients, over the limit of recipients in memory: qmgr and showq stay small."""
    i = road
    i.sink.clear()
    wait_for(lambda: not i.queue_files("incoming", "active"), what="an idle queue")
    before = max(peak(p) for p in i.pids("qmgr"))
    name = place(i, "hold", queue_file(rcpts=[("D", f"user{n}@relay.test") for n in range(950000)] +
                                       [("R", f"user{n}@discard.test") for n in range(50000)]))
    listing = i.run("postqueue", "-p")
    assert listing.returncode == 0 and listing.stdout.count("@discard.test") == 50000 and "user1@relay.test" not in listing.stdout
    i.set(transport_maps=i.main["transport_maps"].replace("inline:{", "inline:{ discard.test=discard: "))
    i.reload()
    mark = i.mark()
    i.run("postsuper", "-H", name, check=True)
    i.run("postqueue", "-f", check=True)
    i.wait_log(f"{name}: removed", mark, timeout=60)
    assert len([x for x in i.log_lines(mark) if "status=sent" in x]) == 50000
    after = max(peak(p) for p in i.pids("qmgr"))
    # 20 000 recipients in memory at once, with a sanitizer's overhead.
    assert after - before < 150000, (before, after)
    assert all(peak(p) < 300000 for p in i.pids("showq"))


@pytest.mark.limit(60)
def test_second_master(road):
    """On a queue that is served, or with the data directory of another one, nobody else starts."""
    i = road
    again = i.run("postfix", "-c", i.config, "start")
    assert again.returncode == 1 and "already running" in again.stderr
    for what in ("queue_directory", "data_directory"):
        other = Instance(i.suite, main={what: getattr(i, what.split("_")[0])})
        try:
            mark = other.mark(), i.mark()
            p = other.run("postfix", "-c", other.config, "start")
            assert p.returncode == 1, (what, p.stderr)
            said = p.stderr + other.log_text(mark[0]) + i.log_text(mark[1])
            assert re.search(r"already running|unable to acquire|lock", said), (what, said)
        finally:
            other.destroy()
    assert i.master_pid() and send_mail(i.port(), "a@example.com", "u@relay.test", "Subject: x\r\n\r\nx\r\n").startswith("250")


@pytest.mark.skipif(os.getuid() != 0, reason="mounts a small file system")
@pytest.mark.limit(60)
@pytest.mark.parametrize("minfree", ["0", "900000"])
def test_full_queue(minfree):
    """A full queue: refused with 452 before or 451/452 after the data, no notices written into it, and it ends by itself."""
    with Sink() as sink:
        i = make(sink, main={"message_size_limit": "400000", "queue_minfree": minfree, "notify_classes": "resource, software, bounce, policy, protocol"})
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1200k,mode=755", "none", i.queue], capture_output=True).returncode:
            i.destroy()
            pytest.skip("cannot mount")
        try:
            i.start()
            with open(i.queue + "/filler", "wb") as f:
                free = os.statvfs(i.queue)
                f.write(bytes(max(0, free.f_bavail * free.f_frsize - 60000)))
            replies = []
            for _ in range(3):
                with Smtp(i.port()) as c:
                    c.cmd("EHLO x")
                    replies.append(c.mail("a@example.com", "u@relay.test", "Subject: n\r\n\r\n" + ("x" * 70 + "\r\n") * 3000))
            assert all(re.match(r"45[12] 4\.3\.[01] ", r) for r in replies), replies
            local = i.run("sendmail", "-f", "a@example.com", "u@relay.test", input="Subject: x\n\n" + "y" * 70000 + "\n")
            assert local.returncode == 75, (local.returncode, local.stderr)
            assert not sink.messages and not i.queue_files("deferred", "hold", "corrupt", "maildrop")
            os.unlink(i.queue + "/filler")
            # Nothing half-written is left to be delivered, and no notice was kept back.
            i.set(queue_minfree="0")
            i.reload()
            # A server of before the reload may take this session, and free space is asked for once a second.
            wait_for(lambda: send_mail(i.port(), "a@example.com", "u@relay.test", "Subject: after\r\n\r\nx\r\n").startswith("250"), what="room again")
            sink.wait(1)
            wait_for(lambda: not i.queue_files("active", "incoming"), what="an idle queue")
            assert [m.content.count(b"Subject: after") for m in sink.messages] == [1]
        finally:
            try:
                i.stop()
            finally:
                subprocess.run(["umount", "-l", i.queue])
                i.destroy()


@pytest.mark.limit(60)
def test_report_larger_than_a_message():
    """A failure report for more recipients than a message of message_size_limit can name names some and says how many more
    there are. Postfix tries it again and again until the message expires, and then has no report either."""
    with Sink() as sink:
        sink.hook = lambda v, line, s: "550 5.1.1 no such user" if v == "RCPT" and "nobody" in line else None
        with make(sink, main={"message_size_limit": "60000", "in_flow_delay": "0", "notify_classes": "bounce"}) as i:
            name = place(i, "incoming", queue_file(sender="s@relay.test", rcpts=[("R", f"nobody{n}@relay.test") for n in range(400)]))
            i.wait_log(f"{name}: removed", timeout=30)
            sink.wait(1)
            report, = [m.content.decode() for m in sink.messages if m.rcpts == ["s@relay.test"]]
            listed = report.count("Final-Recipient:")
            assert 50 < listed < 400 and f"(And {400 - listed} more recipients" in report and len(report) < 60000
            assert sorted(set(re.findall(r"<(nobody\d+)@relay.test>:", report))) == sorted(set(re.findall(r"rfc822; (nobody\d+)@", report)))
            assert "Undelivered Message Headers" in report and "Subject: x" in report
            wait_for(lambda: not i.queue_files("incoming", "active", "deferred"), what="an idle queue")
