# SPDX-License-Identifier: ISC
"""postsuper -d of many messages: no log stays behind without its message, and none goes that has one."""

import os
import signal
import subprocess

import pytest
from harness import ours, wait_for
from harness.spool import Spool

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="postsuper belongs to root")

MANY = 700                          # more than those whose logs are just tried
LOGS = ("defer", "bounce", "trace")


def log_path(spool, queue, name):
    return f"{spool.queue}/{queue}/" + (f"{name[0]}/" if queue == "defer" else "") + name


def put_log(spool, queue, name):
    path = log_path(spool, queue, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(b"\n\n")
    os.chown(path, spool.owner.pw_uid, -1)
    os.chown(os.path.dirname(path), spool.owner.pw_uid, -1)


def filled(spool, where="deferred"):
    """Names of MANY messages; each third has no log."""
    names = [f"{n % 16:X}{n:04d}ABCDEF" for n in range(MANY)]
    for n, name in enumerate(names):
        spool.put(f"deferred/{name[0]}" if where == "deferred" else where, "", b"x", name)
        if n % 3 > 0:
            put_log(spool, LOGS[n % 7 % 3], name)
    return names


def left(spool, *queues):
    return {f for q in queues for _, _, files in os.walk(f"{spool.queue}/{q}") for f in files}


def started(spool, *args):
    env = {**os.environ, "MAIL_CONFIG": spool.base, "LC_ALL": "C"}
    return subprocess.Popen([ours().prog("postsuper"), *args], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)


def test_all_of_a_queue():
    with Spool() as spool:
        filled(spool)
        others = {spool.put("hold", "", b"x", name=f"F{n:04d}FFFFF") for n in range(3)}
        for name in others:
            put_log(spool, "defer", name)
        p = started(spool, "-d", "ALL", "deferred")
        _, err = p.communicate(timeout=60)
        assert p.returncode == 0 and f"Deleted: {MANY} messages" in err
        assert left(spool, "deferred") == set()
        assert left(spool, *LOGS) == others


def test_a_log_that_comes_meanwhile():
    with Spool() as spool:
        names = filled(spool)
        p = started(spool, "-d", "-")
        p.stdin.write("".join(n + "\n" for n in names[:-1]))
        p.stdin.flush()
        # The reader takes blocks: all but the last one or so are gone now, and the directories have been read.
        wait_for(lambda: not os.path.exists(f"{spool.queue}/deferred/{names[600][0]}/{names[600]}"), what="deletion")
        for name in (names[570], names[580], "NOBODYS1"):
            put_log(spool, "trace", name)
        _, err = p.communicate(names[-1] + "\n", timeout=60)
        assert p.returncode == 0 and f"Deleted: {MANY} messages" in err
        assert left(spool, *LOGS) == {"NOBODYS1"}


def test_killed():
    with Spool() as spool:
        names = filled(spool)
        p = started(spool, "-d", "ALL")
        wait_for(lambda: len(left(spool, "deferred")) < len(names), what="deletion", poll=0)
        p.kill()
        p.communicate(timeout=60)
        assert left(spool, *LOGS) <= left(spool, "deferred")


def test_told_to_end():
    with Spool() as spool:
        names = filled(spool)
        p = started(spool, "-d", "-")
        p.stdin.write("".join(n + "\n" for n in names[:-50]))
        p.stdin.flush()
        wait_for(lambda: not os.path.exists(f"{spool.queue}/deferred/{names[600][0]}/{names[600]}"), what="deletion")
        p.send_signal(signal.SIGTERM)
        p.communicate(timeout=60)
        messages = left(spool, "deferred")
        assert set(names[-50:]) <= messages
        assert left(spool, *LOGS) <= messages
