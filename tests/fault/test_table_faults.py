# SPDX-License-Identifier: ISC
"""Tables under kill -9, concurrent readers and growth: a reader sees the old or the new content, nothing else."""

import os
import pty
import re
import signal
import subprocess
import threading
import time

import pytest
from harness import REFERENCE_ONLY, SELF_CHECK, Instance, ours, wait_for
from harness.under_test import IS_REFERENCE

pytestmark = pytest.mark.skipif(REFERENCE_ONLY or SELF_CHECK or IS_REFERENCE, reason="needs the suite under test")
KINDS = {"lmdb": ".lmdb", "hash": ".db", "btree": ".db"}


@pytest.fixture(scope="module")
def box():
    instance = Instance(ours(), main={"lmdb_map_size": "65536"})
    yield instance
    instance.destroy()


def entries(first, n, value):
    return "".join(f"key{i} {value}{i}\n" for i in range(first, first + n))


def listed(box, spec):
    p = box.run("postmap", "-s", spec)
    assert p.returncode == 0, p
    return dict(line.split("\t", 1) for line in p.stdout.splitlines())


@pytest.mark.parametrize("kind", KINDS)
def test_killed_update(box, kind):
    """postmap -i ended at any point: all of its entries are there, or none, and the table works on."""
    spec = f"{kind}:{box.base}/killed-{kind}"
    box.write(spec.partition(":")[2], entries(0, 50, "old"))
    box.run("postmap", spec, check=True)
    before = listed(box, spec)
    argv, done, killed = box.argv("postmap", "-i", spec), 0, 0
    for delay in range(24):
        p = subprocess.Popen(argv, stdin=subprocess.PIPE, env=box.env(), cwd="/")
        p.stdin.write(entries(1000 + delay * 2000, 2000, "new").encode())
        p.stdin.flush()
        # The kill comes before the end of the input, at it, or while the changes are written.
        if delay % 4 == 0:
            p.send_signal(signal.SIGKILL)
        p.stdin.close()
        if delay % 4:
            wait_for(lambda p=p, d=delay: p.poll() is not None or cpu(p.pid) >= d % 4, 10, "progress", poll=0.0005)
            p.send_signal(signal.SIGKILL)
        p.wait()
        after = listed(box, spec)
        new = after.keys() - before.keys()
        assert all(after[k] == before[k] for k in before)
        assert new in (set(), {f"key{i}" for i in range(1000 + delay * 2000, 3000 + delay * 2000)}), len(new)
        done, killed = done + bool(new), killed + (p.returncode == -9)
        before = after
    assert killed
    assert box.run("postmap", "-i", spec, input="last one\n").returncode == 0
    assert listed(box, spec)["last"] == "one"
    left = [f for f in os.listdir(box.base) if f.startswith(f"killed-{kind}") and f.endswith(".tmp")]
    assert left == [], left


def cpu(pid):
    """Clock ticks that a process has used."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            fields = f.read().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])
    except OSError:
        return 1 << 30


@pytest.mark.parametrize("kind", KINDS)
def test_readers_during_rebuild(box, kind):
    """Every look sees one whole version, while postmap replaces the table again and again."""
    spec = f"{kind}:{box.base}/readers-{kind}"
    path = spec.partition(":")[2]
    box.write(path, entries(0, 300, "v0-"))
    box.run("postmap", spec, check=True)
    stop, bad, looks = threading.Event(), [], []

    def read():
        while not stop.is_set():
            p = box.run("postmap", "-s", spec)
            versions = {line.split("\t")[1].split("-")[0] for line in p.stdout.splitlines()}
            looks.append(1)
            if p.returncode != 0 or len(versions) != 1 or p.stdout.count("\n") != 300:
                bad.append((p.returncode, versions, p.stdout.count("\n"), p.stderr))
    threads = [threading.Thread(target=read) for _ in range(3)]
    for t in threads:
        t.start()
    for version in range(1, 12):
        box.write(path, entries(0, 300, f"v{version}-"))
        box.run("postmap", spec, check=True)
    stop.set()
    for t in threads:
        t.join()
    assert not bad and looks, bad[:3]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", (signal.SIGTERM, signal.SIGKILL))
def test_update_that_waits(box, kind, how):
    """Until its input ends, postmap -i writes nothing: not a byte of the table changes when it is ended before."""
    spec = f"{kind}:{box.base}/waits-{kind}-{how}"
    box.write(spec.partition(":")[2], entries(0, 50, "old"))
    box.run("postmap", spec, check=True)
    path = spec.partition(":")[2] + KINDS[kind]
    with open(path, "rb") as f:
        before = f.read()
    p = subprocess.Popen(box.argv("postmap", "-i", spec), stdin=subprocess.PIPE, env=box.env(), cwd="/")
    p.stdin.write(entries(1000, 20000, "new").encode())
    p.stdin.flush()             # more than a pipe holds: some of it was read
    p.send_signal(how)
    assert p.wait(20) == -how
    with open(path, "rb") as f:
        assert f.read() == before
    p.stdin.close()
    assert len(listed(box, spec)) == 50


@pytest.mark.parametrize("kind", KINDS)
def test_readers_during_update(box, kind):
    """A reader that has the table open finds all that was there before, and what is new after the update; never an error."""
    spec = f"{kind}:{box.base}/grown-{kind}"
    box.write(spec.partition(":")[2], entries(0, 300, "v"))
    box.run("postmap", spec, check=True)
    p = subprocess.Popen(box.argv("postmap", "-q", "-", spec), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=box.env(), cwd="/")
    stop, asked = threading.Event(), []

    def ask():
        while not stop.is_set():
            p.stdin.write(f"key{len(asked) % 300}\n".encode())
            asked.append(f"key{len(asked) % 300}\tv{len(asked) % 300}\n")
    answers = []
    reading = threading.Thread(target=lambda: answers.extend(p.stdout))
    asking = threading.Thread(target=ask)
    reading.start()
    asking.start()
    for n in range(1, 9):
        box.run("postmap", "-i", spec, input=entries(n * 1000, 1000, "v"), check=True)
    stop.set()
    asking.join()
    p.stdin.write("".join(f"key{n}\n" for n in range(1000, 9000)).encode())
    p.stdin.close()
    reading.join(60)
    assert p.wait(20) == 0 and p.stderr.read() == b""
    p.stdout.close()
    p.stderr.close()
    answers = [a.decode() for a in answers]
    assert answers[:len(asked)] == asked
    assert answers[len(asked):] == [f"key{n}\tv{n}\n" for n in range(1000, 9000)]


def test_lmdb_grows(box):
    """lmdb_map_size is only where it starts: a build, an update and single changes grow the file."""
    spec = f"lmdb:{box.base}/grows"
    box.write(spec.partition(":")[2], entries(0, 3000, "x" * 100))
    box.run("postmap", spec, check=True)
    assert os.path.getsize(f"{box.base}/grows.lmdb") > 300000
    reader = subprocess.Popen(box.argv("postmap", "-q", "-", spec), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=box.env(), cwd="/")
    for n in range(4):      # while somebody has it open
        box.run("postmap", "-i", spec, input=entries(10000 * (n + 1), 3000, "y" * 200), check=True)
    out, _ = reader.communicate(b"key1\nkey42999\nnosuch\n", timeout=20)
    assert out.decode().split("\t")[0] == "key1" and f"key42999\t{'y' * 200}42999\n" in out.decode()
    assert len(listed(box, spec)) == 15000


def test_updates_at_once(box):
    """Many postmap -i at the same time lose nothing."""
    for kind in KINDS:
        spec = f"{kind}:{box.base}/at-once-{kind}"
        procs = [subprocess.Popen(box.argv("postmap", "-i", spec), stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=box.env(), cwd="/") for _ in range(12)]
        for i, p in enumerate(procs):
            p.stdin.write(entries(i * 10, 10, "v").encode())
            p.stdin.close()
        for p in procs:
            assert p.wait(30) == 0 and not p.stderr.read()
            p.stderr.close()
        assert len(listed(box, spec)) == 120, kind


def test_progress(box):
    """A line of progress for long work, on a terminal only."""
    spec = f"lmdb:{box.base}/progress"
    box.write(spec.partition(":")[2], "a 1\n")
    quiet = box.run("postmap", spec, check=True)
    assert quiet.stderr == ""
    fifo = f"{box.base}/slow"
    os.mkfifo(fifo)
    master, slave = pty.openpty()
    p = subprocess.Popen(box.argv("postmap", f"lmdb:{fifo}"), stdin=subprocess.DEVNULL, stderr=slave, env=box.env(), cwd="/")
    os.close(slave)
    seen = b""
    with open(fifo, "w") as f:
        end = time.monotonic() + 20
        n = 0
        os.set_blocking(master, False)
        while b" entries" not in seen and time.monotonic() < end:
            f.write(entries(n, 5000, "v"))
            n += 5000
            try:
                seen += os.read(master, 4096)
            except BlockingIOError:
                pass
    os.set_blocking(master, True)
    try:
        while True:
            more = os.read(master, 4096)
            if not more:
                break
            seen += more
    except OSError:
        pass                    # EIO: the other side is closed
    os.close(master)
    assert p.wait(60) == 0
    counts = [int(c) for c in re.findall(rb"(\d+) entries", seen)]
    assert counts and counts[-1] == n and seen.endswith(b"entries\r\n"), seen
